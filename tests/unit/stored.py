"""A store of one machine, and what tests of stores do to its files."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from patience import LIMIT
from pymachine.model import Machine

CLIENT = {"ca.pem": b"authority", "cert.pem": b"certificate", "key.pem": b"key"}
KILLED = """
import os, sys
from pathlib import Path
from pymachine.model import Machine
from pymachine.store.sqlite import SqliteStore
store = SqliteStore.open(Path(sys.argv[1]))
store.put(Machine("node1", "id-of-node1", "ssh"), secrets={"ca.pem": b"authority"})
os.kill(os.getpid(), 9)
"""


def machine(name: str = "node1") -> Machine:
    return Machine(name=name, id=f"id-of-{name}", driver="ssh")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def execute(folder: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def killed(folder: Path) -> None:
    """Write a record and die, so that it stands in the log alone; the log's index is gone, as after a reboot."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], timeout=LIMIT, check=False)
    assert done.returncode == -9
    assert (folder / "state.db-wal").stat().st_size
    (folder / "state.db-shm").unlink()
