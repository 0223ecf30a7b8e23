"""Runs programs of this computer for a fleet: the docker client, hooks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from pymachine.errors import DeadlineExceeded, PymachineError

KEPT = 2000  # lines
MOST = 16 << 20  # bytes of an output that is kept whole


class NotInstalled(PymachineError):
    """The program is not installed on this computer."""


@dataclass(frozen=True, slots=True)
class CompletedProgram:
    """The result of a program: its exit code and the last lines of both outputs.

    ``output`` is its standard output if it was requested ``apart``; ``lines`` are then those of standard error.
    """

    code: int
    lines: tuple[str, ...] = ()
    output: bytes = field(default=b"", repr=False)

    def require(self, what: str) -> None:
        """Raise ``PymachineError`` that says how ``what`` ended, with the last lines, unless its code is 0."""
        if self.code:
            last = "".join(f"\n  {line}" for line in self.lines[-5:])
            raise PymachineError(f"{what} ended with code {self.code}{last}")


class RunProgram(Protocol):
    """Runs a program of this computer; the real one is ``run_program``."""

    def __call__(  # noqa: PLR0913
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        *,
        deadline: float,
        folder: Path | None = None,
        on_line: Callable[[str], None] | None = None,
        given: bytes | None = None,
        apart: bool = False,
    ) -> CompletedProgram:
        """Run it and wait for its end, at most ``deadline`` seconds.

        ``given`` is its input, empty by default. Raises ``DeadlineExceeded``, ``NotInstalled``, and
        ``PymachineError`` if it cannot be run, or if its ``apart`` output exceeds 16 MiB.
        """


def run_program(  # noqa: PLR0913 - as subprocess.run has them
    words: Sequence[str],
    environ: Mapping[str, str],
    *,
    deadline: float,
    folder: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    given: bytes | None = None,
    apart: bool = False,
) -> CompletedProgram:
    """Run a program in its own process group, so that its children can be ended with it."""
    process = _started(words, environ, folder, given=given is not None, apart=apart)
    lines: deque[str] = deque(maxlen=KEPT)
    output = bytearray()
    with process:
        told = process.stderr if apart else process.stdout
        assert told is not None
        threads = [threading.Thread(target=_read, args=(told, lines, on_line), daemon=True)]
        if apart:
            threads.append(threading.Thread(target=_keep, args=(process.stdout, output), daemon=True))
        if given is not None:
            threads.append(threading.Thread(target=_give, args=(process.stdin, given), daemon=True))
        for thread in threads:
            thread.start()
        code = _await(process, words[0], deadline)
        for thread in threads:
            thread.join(1.0)  # a child that lives on may keep the pipe open
    if len(output) > MOST:
        raise PymachineError(f"{words[0]} printed more than {MOST >> 20} MiB")
    return CompletedProgram(code, tuple(lines), bytes(output))


@dataclass(frozen=True, slots=True)
class Computer:
    """The programs of this computer: their environment, and what runs them."""

    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    run: RunProgram = run_program


def _started(
    words: Sequence[str], environ: Mapping[str, str], folder: Path | None, *, given: bool, apart: bool
) -> subprocess.Popen[bytes]:
    program = shutil.which(words[0], path=environ.get("PATH")) or words[0]
    try:
        return subprocess.Popen(
            list(words), executable=program, env=dict(environ), cwd=folder,
            stdin=subprocess.PIPE if given else subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError as error:
        if folder is not None and not folder.is_dir():
            raise PymachineError(f"{folder}: no such directory") from None
        raise NotInstalled(f"{words[0]} cannot be run: {(error.strerror or str(error)).lower()}") from None
    except OSError as error:
        raise PymachineError(f"{words[0]} cannot be run: {(error.strerror or str(error)).lower()}") from None


def _keep(stream: IO[bytes], output: bytearray) -> None:
    while chunk := stream.read(1 << 16):
        if len(output) <= MOST:
            output += chunk


def _give(stream: IO[bytes], given: bytes) -> None:
    with suppress(OSError), stream:  # it may end without reading it
        stream.write(given)


def _await(process: subprocess.Popen[bytes], name: str, deadline: float) -> int:
    try:
        return process.wait(deadline)
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if isinstance(error, subprocess.TimeoutExpired):
            raise DeadlineExceeded(f"{name} did not end within {deadline:g} s") from None
        raise


def _read(stream: IO[bytes], lines: deque[str], on_line: Callable[[str], None] | None) -> None:
    for raw in stream:
        line = raw.decode(errors="replace").rstrip()
        lines.append(line)
        if on_line is not None and line:
            on_line(line)
