"""The programs of a build: checked in advance, each run with a deadline and with its last lines in the error."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Timer

from pymachine.errors import CheckFailed, PymachineError
from pymachine_kvm.images.debian.fsync import can_be_unsynced, unsync

Progress = Callable[[str], None]
# Debian keeps these outside the PATH of ordinary accounts.
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
LAST_LINES = 12


def search_path(environ: Mapping[str, str]) -> str:
    """Return the PATH to look for programs in: the given one, then the folders of system programs."""
    return os.pathsep.join((environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))


def require(programs: Mapping[str, str], environ: Mapping[str, str]) -> None:
    """Raise ``CheckFailed`` if a program is missing. ``programs`` maps each to its Debian package."""
    path = search_path(environ)
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if missing:
        packages = " ".join(sorted({programs[program] for program in missing}))
        raise CheckFailed(
            f"building an image needs {', '.join(missing)}, which is not installed",
            hint=f"sudo apt-get install {packages}",
        )


def run(words: Sequence[str | Path], *, deadline: float, given: str = "", hear: Progress | None = None) -> None:
    """Run a program with ``given`` on its standard input; ``hear`` receives each line that it prints.

    As root it skips fsync (see ``unsynced``). Raises ``PymachineError`` with its last lines if it fails or takes
    longer than ``deadline`` seconds.
    """
    argv = [str(word) for word in words]
    environ = {**os.environ, "PATH": search_path(os.environ), "LC_ALL": "C.UTF-8"}
    lines: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ, text=True,
        errors="replace", preexec_fn=unsync if can_be_unsynced() else None,
    ) as process:  # fmt: skip
        watch = Timer(deadline, process.terminate)
        watch.start()
        try:
            _converse(process, given, lines, hear)
        except BaseException:
            process.terminate()
            raise
        finally:
            late = not watch.is_alive()
            watch.cancel()
    if process.returncode:
        raise _failed(argv[0], process.returncode, lines, deadline if late else None)


def _converse(process: subprocess.Popen[str], given: str, lines: deque[str], hear: Progress | None) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(given)  # a few lines: they fit the pipe
    process.stdin.close()
    for line in process.stdout:
        text = line.rstrip()
        lines.append(text)
        if hear is not None and text:
            hear(text)
    process.wait()


def _failed(program: str, code: int, lines: Sequence[str], late: float | None) -> PymachineError:
    reason = f"did not end within {late:g} s" if late else f"ended with code {code}"
    return PymachineError("\n  ".join((f"{Path(program).name} {reason}", *lines)))
