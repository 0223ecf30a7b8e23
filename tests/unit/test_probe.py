"""Looking at machines: what is found, what is late, and that nothing holds the list up."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from patience import AGES, LIMIT, gives_up
from pymachine.driver import Driver
from pymachine.engine.client import EngineAnswer
from pymachine.errors import DriverMissing, EngineError, PymachineError, TlsError, Unreachable
from pymachine.model import Endpoint, Machine, Phase, State
from pymachine.probe import ProbeResult, probe_machines
from pymachine.steps.services import Services
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_asker import FakeAsker
from pymachine.testing.fake_driver import FakeCloud
from pymachine.testing.recorder import RecordingReporter
from pymachine.transport import Transport

FILES = {"ca.pem": b"a", "cert.pem": b"c", "key.pem": b"k"}
ANSWER = EngineAnswer("26.1.5", "1.45", "1.24", "linux", "amd64", 0.25)
Ask = Callable[..., EngineAnswer]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "store") as store:
        yield store


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


def _no_connection(*args: object, **more: object) -> Transport:
    raise AssertionError("a probe must not log in")


def _tools(store: SqliteStore, cloud: FakeCloud, ask: Ask) -> Services:
    def load(name: str) -> type[Driver]:
        if name != "fake":
            raise DriverMissing(f"no driver {name!r}")
        return cloud.driver()

    return Services(store, RecordingReporter(), FakeAsker(), _no_connection, load, ask, time.time)


def _made(store: SqliteStore, cloud: FakeCloud, name: str, state: State | None = State.RUNNING) -> Machine:
    cloud.set_state(name, state)
    endpoint = Endpoint("192.0.2.7")
    machine = Machine(name, name, "fake", Phase.READY, handle={"id": name, "address": "x"}, endpoint=endpoint)
    saved = store.put(machine, secrets=FILES)
    store.materialise(name)
    return saved


def _silent(error: PymachineError) -> Ask:
    def ask(endpoint: Endpoint, folder: Path, *, deadline: float) -> EngineAnswer:
        raise error

    return ask


def test_an_engine_that_answers_is_running(store: SqliteStore, cloud: FakeCloud) -> None:
    machine = _made(store, cloud, "a")
    results = probe_machines([machine], _tools(store, cloud, lambda *_, **__: ANSWER), 5)
    assert results == {"a": ProbeResult(State.RUNNING, "26.1.5", "", 0.25)}
    assert cloud.calls == [], "an engine that answers needs no driver"


@pytest.mark.parametrize(
    ("state", "error", "found"),
    [
        (State.STOPPED, Unreachable("no answer"), State.STOPPED),
        (None, Unreachable("no answer"), State.MISSING),
        (State.RUNNING, Unreachable("no answer"), State.RUNNING),
        (State.UNREACHABLE, EngineError("answers with nonsense"), State.RUNNING),
        (State.RUNNING, TlsError("another certificate"), State.RUNNING),
    ],
)
def test_the_driver_tells_a_dead_host_from_a_dead_engine(
    state: State | None, error: PymachineError, found: State, store: SqliteStore, cloud: FakeCloud
) -> None:
    machine = _made(store, cloud, "a", state)
    result = probe_machines([machine], _tools(store, cloud, _silent(error)), 5)["a"]
    assert (result.state, result.engine, result.reason) == (found, None, error.message)


def test_a_half_made_machine_is_asked_of_its_driver_alone(store: SqliteStore, cloud: FakeCloud) -> None:
    machine = _made(store, cloud, "a").with_(phase=Phase.REACHABLE)
    fresh = Machine("b", "b", "fake")
    results = probe_machines([machine, fresh], _tools(store, cloud, _silent(EngineError("not to be asked"))), 5)
    assert [results[name].state for name in "ab"] == [State.RUNNING, State.MISSING]
    assert cloud.calls == ["inspect"]


def test_a_missing_driver_is_an_error_of_its_machine_alone(store: SqliteStore, cloud: FakeCloud) -> None:
    other = _made(store, cloud, "b").with_(driver="gone", phase=Phase.REACHABLE)
    results = probe_machines([_made(store, cloud, "a"), other], _tools(store, cloud, lambda *_, **__: ANSWER), 5)
    assert results["a"].state is State.RUNNING
    assert (results["b"].state, results["b"].reason) == (State.ERROR, "no driver 'gone'")


def test_deleted_client_files_come_back(store: SqliteStore, cloud: FakeCloud) -> None:
    machine = _made(store, cloud, "a")
    (store.client_folder("a") / "key.pem").unlink()

    def ask(endpoint: Endpoint, folder: Path, *, deadline: float) -> EngineAnswer:
        assert (folder / "key.pem").read_bytes() == b"k"
        return ANSWER

    assert probe_machines([machine], _tools(store, cloud, ask), 5)["a"].state is State.RUNNING


def test_the_list_ends_at_its_timeout_whatever_hangs(store: SqliteStore, cloud: FakeCloud) -> None:
    machines = [_made(store, cloud, f"m{n}") for n in range(6)]
    release = threading.Event()

    def ask(endpoint: Endpoint, folder: Path, *, deadline: float) -> EngineAnswer:
        if folder.name != "m0":
            release.wait(AGES)
        return ANSWER

    with gives_up():
        results = probe_machines(machines, _tools(store, cloud, ask), 0.5)
    release.set()
    assert results["m0"].state is State.RUNNING
    assert {results[f"m{n}"].state for n in range(1, 6)} == {State.TIMEOUT}
    assert results["m1"].reason.endswith(" 0.5 s")


def test_all_are_looked_at_together(store: SqliteStore, cloud: FakeCloud) -> None:
    machines = [_made(store, cloud, f"m{n}") for n in range(40)]
    together = threading.Barrier(40, timeout=LIMIT)

    def ask(endpoint: Endpoint, folder: Path, *, deadline: float) -> EngineAnswer:
        together.wait()
        return ANSWER

    results = probe_machines(machines, _tools(store, cloud, ask), 15)
    assert {result.state for result in results.values()} == {State.RUNNING}


def test_a_bug_in_a_probe_costs_the_row_of_its_machine_and_is_called_a_bug(
    store: SqliteStore, cloud: FakeCloud
) -> None:
    def ask(endpoint: Endpoint, folder: Path, *, deadline: float) -> EngineAnswer:
        raise RuntimeError("a bug")

    result = probe_machines([_made(store, cloud, "a")], _tools(store, cloud, ask), 5)["a"]
    assert result.state is State.ERROR
    assert "RuntimeError: a bug" in result.reason


def test_the_process_ends_while_probes_still_hang(tmp_path: Path) -> None:
    program = tmp_path / "hang.py"
    program.write_text(
        "import threading, sys\n"
        "from pymachine.cli import main\n"
        "from pymachine.cli.dependencies import Wiring\n"
        "from pymachine.model import Endpoint, Machine, Phase\n"
        "from pymachine.store.sqlite import SqliteStore\n"
        "from pathlib import Path\n"
        f"store = SqliteStore.open(Path({str(tmp_path / 's')!r}))\n"
        "store.put(Machine('a', 'a', 'none', Phase.READY, endpoint=Endpoint('192.0.2.1')), secrets={'ca.pem': b'',"
        " 'cert.pem': b'', 'key.pem': b''})\n"
        "hang = lambda *a, **k: threading.Event().wait()\n"
        "sys.exit(main(['-s', str(store.folder), 'ls', '--timeout', '0.3'], wiring=Wiring(ask_engine=hang)))\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert "Timeout" in done.stdout, done.stderr
    assert done.returncode == 0
