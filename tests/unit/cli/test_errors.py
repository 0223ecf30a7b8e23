"""How commands end: exit codes, what is said, and nothing that hangs or shows a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine import errors
from pymachine.cli.app import App
from pymachine.cli.dependencies import Wiring
from pymachine.cli.errors import conclude
from pymachine.cli.parallel import for_each
from pymachine.errors import (
    DriverError,
    Interrupted,
    NoSuchMachine,
    PymachineError,
    SeveralFailed,
    UsageFault,
    ValueFault,
)


def _ended(error: BaseException) -> int:
    def fail() -> int:
        raise error

    return conclude(App(Wiring()), fail)


def _every_error() -> list[type[PymachineError]]:
    plain = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PymachineError)]
    own = (SeveralFailed, errors.StepFailed, errors.RemoteCommandFailed, ValueFault)  # these take more than a message
    return [kind for kind in plain if kind not in own]


@pytest.mark.parametrize("kind", _every_error())
def test_every_error_ends_with_its_code_and_its_two_lines(
    kind: type[PymachineError], capfd: pytest.CaptureFixture[str]
) -> None:
    assert _ended(kind("it went wrong", hint="do this")) == kind.exit_code
    seen = capfd.readouterr()
    assert seen.out == ""
    assert seen.err == "error: it went wrong\nhint: do this\n"


def test_a_value_is_told_with_the_flag_of_its_option(capfd: pytest.CaptureFixture[str]) -> None:
    fault = ValueFault("m", "is wrong", hint="do this", field="registry_mirrors", index=1)
    assert _ended(fault) == 2
    assert capfd.readouterr().err == "error: --engine-registry-mirror: 'm' is wrong\nhint: do this\n"
    assert _ended(SeveralFailed({"n1": ValueFault(None, "that too", field="sans")})) == 5
    assert capfd.readouterr().err == "error: n1: --tls-san: that too\n"
    assert _ended(ValueFault("a_b", "is odd")) == 2
    assert capfd.readouterr().err == "error: 'a_b' is odd\n"


def test_each_of_several_failures_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    several = SeveralFailed({"a": DriverError("no"), "b": NoSuchMachine("gone", hint="look")})
    assert _ended(several) == 5
    assert capfd.readouterr().err == "error: a: no\nerror: b: gone\nhint: look\n"


def test_debug_adds_the_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    app = App(Wiring())
    app.debug = True

    def fail() -> int:
        raise DriverError("no")

    assert conclude(app, fail) == 1
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_with_130_and_handlers_are_put_back(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)

    def work() -> int:
        os.kill(os.getpid(), number)
        time.sleep(LIMIT)
        return 0

    assert conclude(App(Wiring()), work) == 130
    assert capfd.readouterr().err.startswith("error: interrupted\n")
    assert signal.getsignal(number) is before


def test_what_was_kept_is_said_when_a_step_was_interrupted(capfd: pytest.CaptureFixture[str]) -> None:
    assert _ended(Interrupted("interrupted while asking; machine a is on record", hint="go on")) == 130
    assert "machine a " in capfd.readouterr().err


def test_a_bug_is_written_down_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MACHINE_STORAGE_PATH", str(tmp_path))
    assert _ended(KeyError("oops")) == 1
    (log,) = (tmp_path / "crashes").iterdir()
    assert log.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in log.read_text()
    seen = capfd.readouterr().err
    assert "Traceback" not in seen
    assert str(log) in seen


def test_a_reader_that_went_away_needs_no_words(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "pymachine", "--help"]
    pipe = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert pipe.stdout is not None
    pipe.stdout.close()
    assert pipe.stderr is not None
    errors_seen = pipe.stderr.read()
    pipe.stderr.close()
    assert pipe.wait(LIMIT) == 128 + signal.SIGPIPE
    assert errors_seen == b""


@pytest.mark.parametrize("progress", ["plain", "json"])
@pytest.mark.parametrize(
    ("gone", "code"), [("stdout", 128 + signal.SIGPIPE), ("stderr", 0), ("both", 128 + signal.SIGPIPE)]
)
def test_a_reader_that_goes_away_ends_the_telling_and_not_the_work(
    gone: str, code: int, progress: str, tmp_path: Path
) -> None:
    environ = {**os.environ, "MACHINE_STORAGE_PATH": str(tmp_path / "store"), "FAKE_CLOUD": str(tmp_path / "cloud")}
    world = Path(__file__).parents[2] / "transcripts" / "fakeworld.py"
    read, write = os.pipe()
    os.close(read)
    kept = subprocess.DEVNULL
    out, err = (write if gone in ("stdout", "both") else kept), (write if gone in ("stderr", "both") else kept)
    words = [sys.executable, str(world), "--progress", progress]
    try:
        made = [
            subprocess.run(
                [*words, *given], stdout=out, stderr=err, env=environ, timeout=LIMIT, check=False
            ).returncode
            for given in (["create", "-d", "fake", "a"], ["create", "-d", "fake", "b"], ["stop", "a", "b"])
        ]
    finally:
        os.close(write)
    assert made == [code] * 3
    found = subprocess.run(
        [*words, "ls", "--json"], capture_output=True, env=environ, timeout=LIMIT, check=True
    )  # fmt: skip
    assert [row["state"] for row in json.loads(found.stdout)] == ["Stopped", "Stopped"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_no_file_of_ours(closed: str, tmp_path: Path) -> None:
    """The next file that is opened would have their number: the store itself."""
    environ = {**os.environ, "MACHINE_STORAGE_PATH": str(tmp_path / "store"), "FAKE_CLOUD": str(tmp_path / "cloud")}
    world = Path(__file__).parents[2] / "transcripts" / "fakeworld.py"
    script = f'"$0" "$1" create -d fake --debug a {closed}'
    ended = subprocess.run(["sh", "-c", script, sys.executable, world], env=environ, timeout=LIMIT, check=False)
    assert ended.returncode == 0
    found = subprocess.run(
        [sys.executable, world, "ls", "-q"], capture_output=True, text=True, env=environ, timeout=LIMIT, check=True
    )
    assert found.stdout == "a\n"


def test_a_failure_has_its_own_code_whoever_reads_it(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "pymachine", "-s", str(tmp_path), "inspect", "none"]
    read, write = os.pipe()
    os.close(read)
    try:
        ended = subprocess.run(words, stdout=write, stderr=write, timeout=LIMIT, check=False)
    finally:
        os.close(write)
    assert ended.returncode == NoSuchMachine.exit_code


def test_output_that_cannot_be_written_is_told_of_at_the_end(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "pymachine", "-s", str(tmp_path), "--help"]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, timeout=LIMIT, check=False)
    assert (ended.returncode, ended.stderr.count(b"\n")) == (1, 1)


def _told() -> tuple[dict[str, str], Callable[[str, str], None]]:
    told: dict[str, str] = {}
    return told, told.__setitem__


def test_several_machines_are_worked_on_at_once() -> None:
    together = threading.Barrier(8, timeout=LIMIT)
    told, tell = _told()

    def work(name: str) -> str:
        together.wait()
        return name.upper()

    for_each(list("abcdefgh"), work, tell)
    assert told == {name: name.upper() for name in "abcdefgh"}


def test_the_failure_of_one_leaves_the_others_be() -> None:
    told, tell = _told()

    def work(name: str) -> str:
        if name in "bd":
            raise DriverError(f"no {name}")
        return name

    with pytest.raises(SeveralFailed) as caught:
        for_each(list("abcd"), work, tell)
    assert {name: error.message for name, error in caught.value.failures.items()} == {"b": "no b", "d": "no d"}
    assert set(told) == {"a", "c"}


def test_the_failure_of_a_single_machine_is_its_own() -> None:
    def work(name: str) -> str:
        raise UsageFault("wrong")

    with pytest.raises(UsageFault):
        for_each(["a"], work, _told()[1])


def test_a_bug_in_one_of_several_is_not_hidden() -> None:
    def work(name: str) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        for_each(["a", "b"], work, _told()[1])


def test_ctrl_c_among_several_names_those_that_are_not_finished() -> None:
    told, tell = _told()
    release = threading.Event()

    def work(name: str) -> str:
        if name == "a":
            return name
        release.wait(LIMIT)
        return name

    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(Interrupted, match="stopped: b, c"):
        for_each(["a", "b", "c"], work, tell)
    release.set()
    timer.join()
    assert told == {"a": "a"}
