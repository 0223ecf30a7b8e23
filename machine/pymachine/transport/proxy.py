"""A program whose standard input and output replace the TCP connection to a host."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pymachine.errors import TransportError, Unreachable, UsageFault
from pymachine.override import override

END_PATIENCE = 1.0  # seconds for a program whose input has ended, before it is told to end, and before it is killed
EXIT_PATIENCE = 0.3  # seconds between the end of a program's output and its exit code
LAST_WORDS = 2000  # bytes

# Exit codes that say that another try will fail as well: wrong usage and a refusal, as of our own programs (see
# errors.py), and what shells answer for a program that cannot be run.
_LASTING = (2, 3, 126, 127)


def program_words(proxy: Sequence[str], host: str, port: int) -> list[str]:
    """Return the command line of ``SshAddress.proxy``: the program with its path, ``%h``, ``%p``, ``%%`` filled in.

    A program named without a folder is looked for beside this Python, where everything that was installed with
    pymachine is, then on the PATH. Raises ``UsageFault`` where there is none.
    """
    values = {"%h": host, "%p": str(port), "%%": "%"}
    name, *rest = (re.sub("%[hp%]", lambda token: values[token.group()], word) for word in proxy)
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise UsageFault(
            f"the program {name!r}, which connects to {host}, is not installed",
            hint="install it, or put it on the PATH",
        )
    return [found, *rest]


class ProgramSocket(socket.socket):
    """Our end of the connection that a program makes. Closing it ends the program, by force if need be.

    The program has a session of its own: Ctrl-C at the terminal is for us to answer, and the host is needed for
    that. What it writes to standard error is kept for ``fault``.
    """

    def __init__(self, words: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(fileno=ours.detach())
        self.name = Path(words[0]).name
        self._closing = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the program
        try:
            with theirs:
                self._process = subprocess.Popen(
                    words, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=self._errors, start_new_session=True
                )
        except OSError as error:
            super().close()
            self._errors.close()
            raise UsageFault(f"the program {words[0]} cannot be run: {error.strerror}") from error

    @override
    def close(self) -> None:
        """End the connection and the program; safe to call twice, from any thread."""
        super().close()
        with self._closing:  # a file that two threads close at once fails in the second
            self._errors.close()
        if self._process.returncode is None:
            _end(self._process)

    def fault(self, where: str) -> TransportError:
        """Close, and return why the program did not connect to ``where``, in its own words.

        ``Unreachable``, which is worth another try, unless its exit code says that it is not.
        """
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_PATIENCE)
        code = self._process.returncode
        said = self._last_words() or ("no greeting arrived in time" if code is None else f"it ended with code {code}")
        self.close()
        kind = TransportError if code in _LASTING else Unreachable
        return kind(f"cannot reach {where} through `{self.name}`: {said}")

    def _last_words(self) -> str:
        # Read at a place of its own: the program writes where the file's one position is.
        file = self._errors.fileno()
        text = os.pread(file, LAST_WORDS, max(os.fstat(file).st_size - LAST_WORDS, 0))
        lines = [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
        return "; ".join(lines[-3:]).removeprefix("error: ")


def _end(process: subprocess.Popen[bytes]) -> None:
    for harder in (process.terminate, process.kill):
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_PATIENCE)
            return
        harder()
    process.wait()
