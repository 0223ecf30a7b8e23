"""A login key for the receiver of an export: authorised on the host over SSH, and tried before it is given away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pymachine.errors import AuthFailed, CheckFailed, RemoteCommandFailed
from pymachine.model import SshAddress
from pymachine.transport import Command, Transport
from pymachine.transport.key_pair import new_private_key, public_line

DEADLINE = 30.0  # seconds of one command

# $1 is the line. The file may lack the newline at its end; sshd ignores a file that others can write.
_ADD = """
set -eu
umask 077
cd
mkdir -p .ssh
file=.ssh/authorized_keys
if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then echo >>"$file"; fi
printf '%s\\n' "$1" >>"$file"
if command -v restorecon >/dev/null 2>&1; then restorecon .ssh "$file" || :; fi
"""
# The content is replaced and not the file, which keeps its owner, mode and place.
_REMOVE = """
set -eu
umask 077
cd
file=.ssh/authorized_keys
[ -e "$file" ] || exit 0
kept=$(mktemp "$file.XXXXXX")
trap 'rm -f "$kept"' EXIT
grep -vxF -e "$1" "$file" >"$kept" || [ $? -eq 1 ]
cat "$kept" >"$file"
"""

Connect = Callable[[SshAddress], Transport]


@dataclass(frozen=True, slots=True)
class LoginGrant:
    """A key that a host accepts: the private key for the receiver, and the line by which it can be taken back."""

    private: bytes
    line: str


def grant_login(host: Transport, comment: str, connect: Connect) -> LoginGrant:
    """Make a key, authorise it for the account of the connection, and log in with it.

    If the host does not accept it, it is taken back. Raises ``CheckFailed`` for that, ``RemoteCommandFailed``,
    ``TransportError``.
    """
    private = new_private_key()
    grant = LoginGrant(private, f"{public_line(private)} {comment}")
    _run(host, _ADD, grant.line)
    try:
        _try(host.address, grant, connect)
    except BaseException as error:
        take_back(host, grant)
        if not isinstance(error, AuthFailed):
            raise
        raise CheckFailed(
            f"{host.address.host} does not accept a key from ~/.ssh/authorized_keys of {host.address.user}",
            hint="its sshd reads keys elsewhere (AuthorizedKeysFile); export without --login-key, and authorise a key"
            " of the receiver there",
        ) from None
    return grant


def take_back(host: Transport, grant: LoginGrant) -> None:
    """Remove the line of a grant. Raises as ``grant_login``."""
    _run(host, _REMOVE, grant.line)


def _run(host: Transport, script: str, line: str) -> None:
    result = host.run(Command.script(script, line), deadline=DEADLINE)
    if result.exit_code:
        lines = tuple(result.error_text.splitlines()[-3:])
        raise RemoteCommandFailed("writing ~/.ssh/authorized_keys", result.exit_code, lines)


def _try(address: SshAddress, grant: LoginGrant, connect: Connect) -> None:
    with TemporaryDirectory(prefix="pymachine-") as folder:
        path = Path(folder) / "key"
        path.touch(0o600)
        path.write_bytes(grant.private)
        with connect(replace(address, key_path=str(path))):
            pass
