"""Commands that read: what they do for a machine does not grow with the number of machines.

Counted are calls of functions, in all threads: the same on every computer. Loops inside C are timed in tests/bench.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pymachine import registry
from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.driver import Driver
from pymachine.engine.client import EngineAnswer
from pymachine.errors import Unreachable
from pymachine.model import Endpoint, Machine, Phase
from pymachine.store import client_files
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.mobile_cloud import MobileCloud
from unit.calls import calls_of

SIZES = (30, 60, 120)
# Of twice as many more machines: twice the calls, and a little for sorting. A quadratic command makes four times.
MOST = 2.5
MOST_EACH = 4000  # calls for one machine: a record is checked field by field, and looked at in a thread
ANSWER = EngineAnswer("26.1.5", "1.45", "1.24", "linux", "amd64", 0.01)
FILES = {"ca.pem": b"a", "cert.pem": b"c", "key.pem": b"k"}


def _unreachable(*_: object, **__: object) -> Any:
    raise Unreachable("no answer")


def _answering(*_: object, **__: object) -> EngineAnswer:
    return ANSWER


class Fleet:
    """So many machines of a cloud, on record; so many hosts in an inventory; so many leftovers."""

    def __init__(self, folder: Path, size: int) -> None:
        self.store, self.inventory = folder / "store", folder / "fleet.yaml"
        self.cloud = MobileCloud()
        self.kind = self.cloud.driver()
        lines = ["fleet: shop", "defaults: {driver: ssh, ssh: {user: ops}, labels: {a: b}}", "machines:"]
        with SqliteStore.open(self.store) as store:
            for number in range(size):
                name, address = f"m{number}", f"10.0.{number // 250}.{number % 250 + 1}"
                lines.append(f"- {{name: n{number}, ssh: {{host: {address}}}}}")
                self._add(store, name, address)
        self.inventory.write_text("\n".join(lines) + "\n")

    def _add(self, store: SqliteStore, name: str, address: str) -> None:
        for there in (name, f"left-{name}"):
            self.cloud.others(there)
            self.cloud.marks(there, store.identity)
        machine = Machine(name, name, "cloud", Phase.READY, handle={"id": name}, endpoint=Endpoint(address))
        store.put(machine, secrets=FILES)
        store.materialise(name)

    def run(self, *words: str, silent: bool = False) -> int:
        """Run a command line and return its exit code."""

        def loaded(name: str) -> type[Driver]:
            return self.kind if name == "cloud" else registry.load(name)

        return main(
            ["-s", str(self.store), *words],
            wiring=Wiring(
                ask_engine=_unreachable if silent else _answering, connect=_unreachable, load_driver=loaded
            ),
        )


@pytest.fixture(scope="module")
def fleets(tmp_path_factory: pytest.TempPathFactory) -> list[Fleet]:
    return [Fleet(tmp_path_factory.mktemp(f"fleet{size}-"), size) for size in SIZES]


# A command line and what it ends with.
READS: list[tuple[str, int]] = [
    ("ls", 0), ("ls --json", 0), ("ls -q", 0), ("ls --filter name=m", 0), ("inspect m7", 0), ("status m7", 0),
    ("active", 0), ("url m7", 0), ("ip m7 m8", 0), ("inventory check -f FILE", 0),
    ("inventory export -f FILE --format ssh-config", 0), ("plan -f FILE", 6), ("plan -f FILE --json", 6),
    ("fleet status -f FILE", 0), ("gc -d cloud", 0),
]  # fmt: skip
SILENT = [("ls", 0), ("ls --json", 0), ("status m7", 0)]


@pytest.mark.parametrize(
    ("line", "code", "silent"),
    [*((line, code, False) for line, code in READS), *((line, code, True) for line, code in SILENT)],
    ids=[*(line for line, _ in READS), *(f"{line}, engines silent" for line, _ in SILENT)],
)
def test_what_reads_grows_with_the_machines(
    line: str, code: int, silent: bool, fleets: list[Fleet], capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.8:2376")
    small, middle, large = (_counted(fleet, line.split(), silent, code) for fleet in fleets)
    assert large - middle <= MOST * (middle - small) + 200
    assert (large - middle) / (SIZES[2] - SIZES[1]) < MOST_EACH


@pytest.mark.usefixtures("fleets")
@pytest.mark.parametrize("begun", ["pymachine url ", "pymachine start m1 "])
def test_completion_grows_with_the_machines(
    begun: str, fleets: list[Fleet], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_PYMACHINE_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", begun)
    monkeypatch.setenv("COMP_CWORD", str(len(begun.split())))
    counts = []
    for fleet in fleets:
        monkeypatch.setenv("MACHINE_STORAGE_PATH", str(fleet.store))
        main([])
        counts.append(calls_of(lambda: main([])))
        assert "m29" in capfd.readouterr().out
    small, middle, large = counts
    assert large - middle <= MOST * (middle - small) + 200
    assert (large - middle) / (SIZES[2] - SIZES[1]) < 60


def test_the_files_of_all_machines_are_looked_for_once(fleets: list[Fleet], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a crash left beside a machine's files is looked for at each use: not among all machines' each time."""
    for folder in (fleets[0].store / "certs", fleets[2].store / "certs"):
        os.utime(folder, (1, 1))  # long ago: nobody writes there now
    for fleet, size in ((fleets[0], SIZES[0]), (fleets[2], SIZES[2])):
        with SqliteStore.open(fleet.store) as store:
            listed = _calls_of(client_files.names_in, monkeypatch, partial(_use_all, store, size))
        assert listed == 1


def _use_all(store: SqliteStore, size: int) -> None:
    for number in range(size):
        store.materialise(f"m{number}")


def _calls_of(
    function: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]
) -> int:
    calls = 0

    def counted(folder: str) -> list[str]:
        nonlocal calls
        calls += 1
        return function(folder)

    monkeypatch.setattr(client_files, "names_in", counted)
    client_files.beside.cache_clear()
    action()
    monkeypatch.undo()
    return calls


def test_drivers_are_looked_for_once_a_process(fleets: list[Fleet], capfd: pytest.CaptureFixture[str]) -> None:
    registry._read.cache_clear()
    fleets[2].run("ls", silent=True)
    fleets[2].run("plan", "-f", str(fleets[2].inventory))
    assert registry._read.cache_info().misses == 1


def _counted(fleet: Fleet, words: list[str], silent: bool, code: int) -> int:
    line = [str(fleet.inventory) if word == "FILE" else word for word in words]
    assert fleet.run(*line, silent=silent) == code  # what is loaded once is loaded
    return calls_of(lambda: fleet.run(*line, silent=silent))
