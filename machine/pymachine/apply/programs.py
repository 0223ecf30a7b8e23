"""Programs of this computer that work on a fleet: the docker client, hooks."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from pymachine.errors import DeadlineExceeded, PymachineError

KEPT = 2000  # lines


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code and the last lines of what it printed, on both outputs."""

    code: int
    lines: tuple[str, ...] = ()


class RunProgram(Protocol):
    """Runs a program of this computer; ``run_program`` in earnest."""

    def __call__(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        *,
        deadline: float,
        folder: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Ended:
        """Run it without input and wait for its end, at most ``deadline`` seconds.

        Raises ``DeadlineExceeded``, and ``PymachineError`` where it cannot be run.
        """


def run_program(
    words: Sequence[str],
    environ: Mapping[str, str],
    *,
    deadline: float,
    folder: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Ended:
    """Run a program in a group of its own, so that all of it can be ended with it."""
    try:
        process = subprocess.Popen(
            list(words), env=dict(environ), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise PymachineError(f"{words[0]} cannot be run: {(error.strerror or str(error)).lower()}") from None
    lines: deque[str] = deque(maxlen=KEPT)
    with process:
        assert process.stdout is not None
        reader = threading.Thread(target=_read, args=(process.stdout, lines, on_line), daemon=True)
        reader.start()
        code = _await(process, words[0], deadline)
        reader.join(1.0)  # a child that lives on may keep the pipe open
    return Ended(code, tuple(lines))


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
