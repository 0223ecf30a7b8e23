"""Wraps a command so that any login shell passes it to sh unchanged, as the login account or as root.

Every command prints a mark on both outputs first, which separates its output from that of shell start-up files, an
SSH banner or sudo.
"""

from __future__ import annotations

import re
import secrets
import shlex
from dataclasses import dataclass

from pymachine.transport.command import Command

# One argument of execve holds 128 KiB on Linux (MAX_ARG_STRLEN), and the login shell gets the line as one.
LINE_LIMIT = 120_000

_PATH = "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C; export PATH LC_ALL"

# sudo is told the prompt to print, so that the password is sent when it is asked for and never otherwise: not to
# a command that sudo starts without asking. doas asks on a terminal only, so there it has to be allowed without.
_AS_ROOT = f"""{_PATH}
if [ "$(id -u)" = 0 ]; then exec sh -c "$1"
elif command -v sudo >/dev/null 2>&1; then exec sudo -S -H -p "$2" -- sh -c "$1"
elif command -v doas >/dev/null 2>&1; then exec doas -n sh -c "$1"
fi
echo "neither sudo nor doas is installed" >&2
exit 127"""

# Read alike between single quotes by sh, csh, tcsh, zsh and fish. The rest is sent as octal: csh expands ! even
# there and knows no newlines in quotes, fish unescapes backslashes.
_UNSAFE = re.compile(rb"[^ -~]|['\\!]")


@dataclass(frozen=True, slots=True)
class Line:
    """A command as it is sent. ``mark`` precedes its output, ``prompt`` is what sudo asks with."""

    text: str
    mark: bytes
    prompt: bytes


def plain_line(command: Command) -> Line:
    """Return the line that runs a command as the login account. Raises ``ValueError`` if it is too long."""
    mark, prompt = _tokens()
    return Line(_for_any_shell(_body(command, mark)), mark.encode(), prompt.encode())


def root_line(command: Command) -> Line:
    """Return the line that runs a command as root, through sudo or doas unless root logged in."""
    mark, prompt = _tokens()
    script = f"set -- {shlex.quote(_body(command, mark))} {shlex.quote(prompt)}\n{_AS_ROOT}"
    return Line(_for_any_shell(script), mark.encode(), prompt.encode())


def _tokens() -> tuple[str, str]:
    # Unguessable, so that nothing but the command itself can announce it or ask for the password.
    token = secrets.token_hex(8)
    return f"<pymachine {token}>", f"<password {token}>"


def _body(command: Command, mark: str) -> str:
    return f"{_PATH}\nprintf %s {shlex.quote(mark)}; printf %s {shlex.quote(mark)} >&2\n{command.shell()}"


def _for_any_shell(script: str) -> str:
    data = script.encode(errors="surrogateescape")
    safe = _UNSAFE.sub(lambda found: b"\\0%03o" % found.group()[0], data).decode()
    line = f"""exec sh -c 'eval "$(printf %b "$0")"' '{safe}'"""
    if len(line) > LINE_LIMIT:
        raise ValueError(f"a command of {len(line)} characters is too long to send; put its data on standard input")
    return line
