"""A forked program is the program that a new interpreter runs, but for its parent and session."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from transcripts.warm import BARE, ForkServer

PROBE = "transcripts.probe"
COLD = f'#!/bin/sh\nexec "{sys.executable}" -m {PROBE} "$@"\n'

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer.started(PROBE, BARE) as server:
        yield server


@pytest.fixture
def start(server: ForkServer, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a line of shell in which $WARM and $COLD are the two ways to start the probe."""
    environ = dict(BARE)
    for name, script in (("WARM", server.script), ("COLD", COLD)):
        program = tmp_path / name.lower()
        program.write_text(script)
        program.chmod(0o755)
        environ[name] = str(program)

    def go(line: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", "-c", line], cwd=tmp_path, env=environ, text=True, start_new_session=True,
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more},
        )  # fmt: skip

    return go


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Run:
    """Run a line to its end, with an input."""

    def go(line: str) -> subprocess.CompletedProcess[str]:
        process = start(line)
        out, err = process.communicate("one\r\ntwo", timeout=60)
        return subprocess.CompletedProcess(line, process.returncode, out, err)

    return go


@pytest.mark.parametrize(
    "line",
    [
        "$PROBE look a 'b  c' '' é -x",
        "umask 027; mkdir -p 'a b'; cd 'a b'; A=1 B= C='x\ny' $PROBE look",
        "$PROBE look </dev/null",
        "echo piped | $PROBE look | cat",
        "echo said >file; $PROBE look <file >>file; cat file",
        "env -i PATH=/usr/bin:/bin PYTHONPATH=$PYTHONPATH PYTHON=$PYTHON LC_ALL=$LC_ALL $PROBE look",
    ],
)
def test_a_fork_sees_what_a_new_process_sees(run: Run, line: str) -> None:
    warm, cold = (run(line.replace("$PROBE", program)) for program in ("$WARM", "$COLD"))
    assert (cold.returncode, cold.stderr) == (0, "")
    assert (warm.returncode, warm.stderr) == (0, "")
    assert _seen(warm.stdout) == _seen(cold.stdout)


def _seen(text: str) -> Any:
    return json.loads(text.replace("said\n", ""))


@pytest.mark.parametrize("how", ["exit", "message", "kill", "last", "full >/dev/full", "exit >/dev/full"])
def test_a_fork_ends_as_a_new_process_ends(run: Run, how: str) -> None:
    warm, cold = run(f"$WARM {how}"), run(f"$COLD {how}")
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)


def test_an_error_that_nobody_foresaw_ends_it(run: Run) -> None:
    warm, cold = run("$WARM raise"), run("$COLD raise")
    assert warm.returncode == cold.returncode == 1
    assert warm.stderr.splitlines()[-1] == cold.stderr.splitlines()[-1] == "RuntimeError: nobody foresaw this"


def test_it_is_a_fork_of_the_server(run: Run, server: ForkServer) -> None:
    assert run("$WARM parent").stdout == f"{server.pid}\n"


@pytest.mark.parametrize(
    "before",
    ["PYTHONUTF8=0", "LC_ALL=C", "TZ=UTC", "ulimit -n 100;", "trap '' INT;", "trap '' TERM;", "LD_BIND_NOW=1"],
)
def test_what_is_read_as_a_process_starts_takes_a_new_one(run: Run, server: ForkServer, before: str) -> None:
    assert run(f"{before} $WARM parent").stdout != f"{server.pid}\n"
    warm, cold = (run(f"{before} {program} look") for program in ("$WARM", "$COLD"))
    assert _seen(warm.stdout) == _seen(cold.stdout)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_for_the_client_reaches_the_fork(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: signal.Signals
) -> None:
    ended = []
    for program in ("$WARM", "$COLD"):
        with start(f"exec {program} wait") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            process.send_signal(number)
            ended.append(process.wait(60))
        _await_end(int((tmp_path / "pid").read_text()))
    assert ended == [-number, -number]


def _await_end(pid: int) -> None:
    for _ in range(600):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} was left behind")


def test_several_run_at_once_and_each_gets_its_own_end(run: Run) -> None:
    done = run("$WARM wait >/dev/null & a=$!; $WARM exit; echo $?; kill -9 $a; wait $a; echo $?")
    assert done.stdout == "said41\n137\n"


def test_the_server_ends_with_its_forks(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    with ForkServer.started(PROBE, BARE) as server:
        program = tmp_path / "other"
        program.write_text(server.script)
        process = start("exec sh ./other wait")
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
    _await_end(int((tmp_path / "pid").read_text()))
    process.kill()
    process.communicate()
