"""Run by ``test_store_crash``: processes that use one store hard, and one that kills them at any moment.

Usage: ``store_crash.py count FOLDER TIMES`` or ``store_crash.py kill FOLDER TIMES SEED``.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from pymachine.errors import Conflict
from pymachine.model import Machine
from pymachine.store import Store
from pymachine.store.sqlite import SqliteStore

LONGEST_LIFE = 0.05  # seconds until a worker is killed
BULK = b"." * 20_000  # makes writing a file take its time


def machine(name: str) -> Machine:
    return Machine(name=name, id=f"id-of-{name}", driver="ssh")


def count(folder: Path, times: int) -> None:
    """Raise the counter in one record ``times`` times, beside others who do the same."""
    with SqliteStore.open(folder) as store:
        for _ in range(times):
            while not raised(store):
                pass


def raised(store: Store) -> bool:
    try:
        found = store.find("counter") or machine("counter")
        store.put(found.with_(options={"count": found.options.get("count", 0) + 1}))
    except Conflict:
        return False
    return True


def kill(folder: Path, times: int, seed: int) -> None:
    """Kill ``times`` workers, each at a random moment, and look at what they leave."""
    chance, rev = random.Random(seed), 0
    for _ in range(times):
        reader, writer = os.pipe()
        worker = os.fork()
        if worker == 0:
            work(folder, writer)
        os.close(writer)
        time.sleep(chance.uniform(0.0, LONGEST_LIFE))
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        with os.fdopen(reader, "rb") as told:
            rev = inspect(folder, rev + len(told.read()))
    print("whole")


def work(folder: Path, acknowledge: int) -> None:
    """Write records and certificates until killed; tell of every write that was done."""
    with SqliteStore.open(folder) as store, store.lease("node1", "churn"):
        while True:
            found = store.find("node1") or machine("node1")
            generation = str(found.rev + 1).encode() + BULK
            store.put(found, secrets={"ca.pem": b"ca", "cert.pem": generation, "key.pem": generation})
            os.write(acknowledge, b".")
            store.advance(store.begin(found, "churn"), "materialising")
            store.materialise("node1")


def inspect(folder: Path, confirmed: int) -> int:
    """Check that nothing of the ``confirmed`` writes is lost and nothing is torn; return how many there are."""
    certificates = folder / "certs" / "node1"
    if certificates.is_symlink():
        pair = {(certificates / file).read_bytes() for file in ("cert.pem", "key.pem")}
        assert len(pair) == 1, "key and certificate are of different generations"
    with SqliteStore.open(folder) as store:
        with store.lease("node1", "inspect"):
            found = store.find("node1")
        rev = found.rev if found else 0
        assert rev >= confirmed, f"{confirmed} writes were confirmed, {rev} are there"
        if found:
            check_secrets(store, rev)
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    return rev


def check_secrets(store: Store, rev: int) -> None:
    secrets = store.secrets("node1")
    assert secrets["cert.pem"] == secrets["key.pem"] == str(rev).encode() + BULK
    certificates = store.materialise("node1")
    assert (certificates / "key.pem").read_bytes() == secrets["key.pem"]
    assert len(list(certificates.parent.iterdir())) == 2, "leftovers were not swept"


if __name__ == "__main__":
    if sys.argv[1] == "count":
        count(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        kill(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
