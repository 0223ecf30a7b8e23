"""Processes of the system's ssh, each beside a shell that ends it with us; and the folder of their files."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress

from pymachine.clock import Deadline
from pymachine.transport.openssh_config import Files

LAST_WORDS = 2000  # bytes
LONGEST_LOG = 262_144  # bytes
END_PATIENCE = 2.0
_LOOK = 0.02
_LONGEST_SOCKET = 80  # of 107 bytes that a socket's path may have, with the 17 that ssh adds while it makes it
_PLAIN = re.compile(r"/[A-Za-z0-9/._+-]*", re.ASCII)
_SERVER_KEY = re.compile(
    r"^debug1: Server host (?:key|certificate): ([a-z0-9@.-]+) (SHA256:[A-Za-z0-9+/]{43})(?:[ ,\r].*)?$",
    re.ASCII | re.MULTILINE,
)

# The master would outlive us where we are killed. So it runs beside a shell that waits for the end of a pipe of ours,
# and then ends everything in the group and takes the folder away.
_GUARDED = """folder=$1; shift
exec 3<&0
( trap '' TERM; read -r _ <&3; rm -rf -- "$folder"; kill -s TERM 0 ) &
exec "$@" </dev/null 3<&-"""


def started(files: Files, words: Sequence[str], errors: int) -> subprocess.Popen[bytes]:
    """Start ssh in a session of its own: Ctrl-C at the terminal is for us to answer, and needs the host."""
    return subprocess.Popen(
        ["sh", "-c", _GUARDED, "sh", str(files.folder), *words],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
    )  # fmt: skip


def awaited(process: subprocess.Popen[bytes], done: Callable[[], bool], deadline: Deadline) -> int | None:
    """Wait until it is ``done`` or the process ends; return its exit code, None while it runs."""
    while not done() and process.poll() is None and not deadline.passed:
        deadline.pause(_LOOK)
    return process.poll()


def cut(process: subprocess.Popen[bytes]) -> None:
    """End ssh and what it started, and leave its folder: the shell that would remove it is ended before it can."""
    assert process.stdin is not None
    # The group is there as long as that shell is, so the number is nobody else's.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()


def end_softly(process: subprocess.Popen[bytes]) -> None:
    """End ssh and what it started, by the shell beside it, or by force."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(END_PATIENCE)
    except subprocess.TimeoutExpired:
        cut(process)


def last_words(errors: int) -> str:
    """Return the last lines that ssh wrote to a file of errors."""
    # Read at a place of its own: ssh writes where the file's one position is.
    text = os.pread(errors, LAST_WORDS, max(os.fstat(errors).st_size - LAST_WORDS, 0))
    lines = [line.strip() for line in text.decode(errors="replace").splitlines()]
    return "; ".join([line for line in lines if line and not line.startswith("debug1: ")][-3:])


def server_key(errors: int) -> tuple[str, str] | None:
    """Return type and fingerprint of the host key in the log of an ssh that logged in (LogLevel DEBUG1).

    A certificate counts as the key in it. What a host says stands behind other words there (sshconnect2.c,
    ``verify_host_key``); None where the log has no such line, or several that differ.
    """
    text = os.pread(errors, LONGEST_LOG, 0).decode(errors="replace")
    found = {match.groups() for match in _SERVER_KEY.finditer(text)}
    kind, fingerprint = found.pop() if len(found) == 1 else (None, None)
    return (kind.removesuffix("-cert-v01@openssh.com"), fingerprint) if kind and fingerprint else None


def short_folder() -> str:
    """Return the usual folder for such files, if its path is short enough for a socket, and plain: ssh reads blanks,
    quotes, percent signs and variables in the options that name files.
    """
    usual = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    short = len(usual) + len("/pymachine-XXXXXXXX/s") <= _LONGEST_SOCKET
    return usual if short and _PLAIN.fullmatch(usual) and os.access(usual, os.W_OK) else "/tmp"
