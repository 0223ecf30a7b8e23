"""Commands that read, with 5,000 machines beside 500: ten times, and little more.

Calls of functions are counted in tests/unit/test_growth.py; here the loops inside C count as well.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, run

import pytest

from bench.test_speed import _report
from lab.workstation import Workstation
from pymachine.model import Endpoint, Machine, Phase
from pymachine.store.sqlite import SqliteStore

pytestmark = [pytest.mark.bench, pytest.mark.soak(240), pytest.mark.timeout(900)]

SMALL, LARGE = 500, 5000
MOST = 20.0  # a quadratic command takes a hundred times as long
FILES = {"ca.pem": b"a", "cert.pem": b"c", "key.pem": b"k"}
READS = (
    "ls --timeout 60", "ls -q", "active", "inventory check -f FILE", "plan -f FILE", "fleet status -f FILE",
    "inventory export -f FILE --format ssh-config",
)  # fmt: skip


@dataclass(frozen=True)
class Fleet:
    """A user with that many machines on record, whose engines refuse, and that many others in an inventory."""

    user: Workstation
    inventory: Path

    def seconds(self, line: str, *, code: int | None = None) -> tuple[float, str]:
        """Return how long a command took, and what it printed."""
        words = [str(self.inventory) if word == "FILE" else word for word in line.split()]
        began = time.perf_counter()
        done = run(
            self.user.command(*words), env={**self.user.env(), "DOCKER_HOST": "tcp://127.0.0.1:1"}, text=True,
            capture_output=True, stdin=DEVNULL, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode in ((0, 1, 6) if code is None else (code,)), done.stderr[-2000:]
        assert "Traceback" not in done.stderr
        return time.perf_counter() - began, done.stdout


def _fleet(folder: Path, count: int, workstation: Workstation) -> Fleet:
    user = Workstation(folder, workstation.docker_cli, workstation.key)
    with SqliteStore.open(user.store) as store:
        for number in range(count):
            name = f"m{number}"
            handle = {"url": "tcp://127.0.0.1:1"}
            store.put(Machine(name, name, "none", Phase.READY, handle=handle, endpoint=Endpoint("127.0.0.1", 1)))
    inventory = folder / "fleet.yaml"
    hosts = "".join(
        f"- {{name: n{number}, ssh: {{host: 10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}}}}}\n"
        for number in range(count)
    )
    inventory.write_text(f"fleet: shop\ndefaults: {{driver: ssh}}\nmachines:\n{hosts}")
    return Fleet(user, inventory)


@pytest.fixture(scope="module")
def fleets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fleet, Fleet]:
    folder = tmp_path_factory.mktemp("scale")
    plain = Workstation(folder / "plain", Path("docker"), folder / "no-key")
    return _fleet(folder / "small", SMALL, plain), _fleet(folder / "large", LARGE, plain)


@pytest.mark.parametrize("line", READS)
def test_ten_times_the_machines_take_about_ten_times_as_long(line: str, fleets: tuple[Fleet, Fleet]) -> None:
    small, large = fleets
    short = min(small.seconds(line)[0] for _ in range(2))
    long, _ = large.seconds(line)
    _report(f"`{line}` of {LARGE:,} machines", f"of {SMALL}", long / short, 12, f"{long:.1f} s against {short:.1f} s")
    assert long / short <= MOST


def test_a_list_sees_all_machines_within_its_time(fleets: tuple[Fleet, Fleet]) -> None:
    _, large = fleets
    seconds, told = large.seconds("ls --json")
    states = [row["state"] for row in json.loads(told)]
    late = states.count("Timeout")
    print(f"\nCOUNT | machines of {LARGE:,} that `ls` did not see within its 10 s | {late} | {seconds:.1f} s")
    assert len(states) == LARGE
    assert seconds < 60
