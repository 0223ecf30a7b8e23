"""Start the fork server of a test run, and write the script that a session calls in place of a program."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
CLIENT = TESTS / "transcripts" / "forkclient.py"
# What a session starts from: nothing of the user's.
BARE = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(TESTS), "PYTHON": sys.executable, "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class ForkServer:
    """A running server: its process, and the script that a shell runs for one command.

    When it has ended, ``refused`` has the commands that new interpreters had to run.
    """

    pid: int
    script: str
    refused: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def started(cls, module: str, environ: Mapping[str, str]) -> Iterator[ForkServer]:
        """Start one for a module; its forks agree with clients whose variables for Python are those given."""
        folder = Path(tempfile.mkdtemp())  # a short path: that of a socket has 107 bytes at most
        socket = folder / "socket"
        process = subprocess.Popen(
            [sys.executable, "-m", "transcripts.forkserver", str(socket), module], cwd=folder, env=dict(environ),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", "the fork server did not start"
            words = f'"{sys.executable}" -I -S "{CLIENT}" "{socket}" {module}'
            server = cls(process.pid, f'#!/bin/sh\nexec {words} "$@"\n')
            yield server
            server.refused.extend(process.communicate()[0].splitlines())
        finally:
            process.kill()
            process.communicate()
            shutil.rmtree(folder)
