"""The user-data of an instance. The host's accounts and all who may describe it can read it: it holds no secret."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace

from pymachine.cloudinit import NOTHING, Theirs, UserData, read_theirs, user_data
from pymachine.driver import Login, Request
from pymachine.errors import UsageFault
from pymachine.transport.key_files import check_by_ssh, read_key_file
from pymachine_aws.config import LaunchConfig

LIMIT = 16_384  # bytes, before they are written in base64 (EC2 User Guide)
_FILE = "--aws-user-data"

STAND_IN = Login("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA" + "A" * 44, "", b"")
"""A key of the length of ours, which is made after the first check."""


@dataclass(frozen=True, slots=True)
class Composition:
    """What the user-data is made of: ours for this account, and theirs."""

    ours: UserData
    theirs: Theirs

    @property
    def text(self) -> str:
        """The whole, as cloud-init reads it."""
        return user_data(self.ours, self.theirs)


def user_data_of(request: Request, wanted: LaunchConfig, user: str) -> bytes:
    """Return the user-data, compressed where only that fits; the same request gives the same bytes.

    Raises ``UsageFault`` where it cannot be merged, or is too large.
    """
    composed = _composed(request, wanted, user)
    plain = composed.text.encode("ascii")
    if len(plain) <= LIMIT:
        return plain
    packed = gzip.compress(plain, mtime=0)
    if len(packed) > LIMIT:
        raise _too_large(composed, len(plain), len(packed))
    return packed


def _composed(request: Request, wanted: LaunchConfig, user: str) -> Composition:
    assert request.login is not None
    login = replace(request.login, host_public="", host_private=b"")
    theirs = NOTHING if wanted.user_data is None else read_theirs(wanted.user_data, _FILE)
    keys = second_keys(wanted.access.key_path)
    if keys:
        theirs = Theirs((("--aws-ssh-key", {"ssh_authorized_keys": keys}), *theirs.configs), theirs.parts)
    return Composition(UserData(request.name, user, login, default_account=True), theirs)


def second_keys(path: str | None) -> list[str]:
    """Return the public line of the user's own key in a list, empty for none. Raises ``UsageFault``."""
    if path is None:
        return []
    key = read_key_file(path)
    check_by_ssh(key)
    if key.public is None:
        raise UsageFault(
            f"{path} is encrypted in a way that hides its public key",
            hint=f"write it to a file beside it: `ssh-keygen -y -f {path} >{path}.pub`",
        )
    return [key.public.line]


def _too_large(composed: Composition, plain: int, packed: int) -> UsageFault:
    ours = len(replace(composed, theirs=NOTHING).text)
    return UsageFault(
        f"the user-data is {plain} bytes, {packed} compressed, but EC2 allows {LIMIT}: "
        f"{ours} of them are pymachine's, {plain - ours} come from {_FILE}",
        hint="let the host download large files, e.g. from S3",
    )
