"""An instance's SSH host key from its console output, where cloud-init prints it: known before the first contact."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pymachine.clock import Clock
from pymachine.errors import DriverError, UsageFault
from pymachine.transport.host_keys import parse_pin
from pymachine_aws.api import ApiError, AwsAccount
from pymachine_aws.error_codes import is_lagging
from pymachine_aws.handle import Ec2

PATIENCE = 600.0  # seconds; the older output, which all types have, is posted some minutes after the boot
PAUSE = 5.0

# cloud-init's helper write-ssh-key-fingerprints writes these lines; syslog may put time and process before each.
_BLOCK = re.compile(r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL)
_KEY = re.compile(r"(ssh-ed25519|ecdsa-sha2-nistp\d+|ssh-rsa) [A-Za-z0-9+/]+=*")
_PREFERRED = ("ssh-ed25519", "ecdsa-", "ssh-rsa")


def host_key_if_wanted(account: AwsAccount, ec2: Ec2, **how: Any) -> str | None:
    """Return what ``host_key`` does for an instance whose key is to come from its console, None for any other."""
    return host_key(account, ec2, **how) if ec2.host_key == "console" else None


def host_key(
    account: AwsAccount,
    ec2: Ec2,
    *,
    progress: Callable[[str], None],
    deadline: float = PATIENCE,
    clock: Clock | None = None,
) -> str:
    """Wait until the console shows the host's keys, and return the best of them as an OpenSSH line.

    Raises ``DriverError`` where it does not within ``deadline`` seconds.
    """
    clock = clock or Clock()
    console = _Console(account, ec2.instance)
    progress(f"waiting for the host key on the console of {ec2.instance}")
    for _ in clock.ticks(deadline, PAUSE):
        key = find_key(console.text())
        if key is not None:
            return key
    raise DriverError(
        f"the console of {ec2.instance} shows no SSH host key after {deadline:.0f} s",
        hint="an image without cloud-init never shows it: --aws-host-key first-contact does not need it",
    )


def find_key(text: str) -> str | None:
    """Return the best host key of the last complete list of them in a console's output."""
    blocks = _BLOCK.findall(text)
    if not blocks:
        return None
    keys = [match.group() for match in _KEY.finditer(blocks[-1]) if _is_key(match.group())]
    return next((key for kind in _PREFERRED for key in keys if key.startswith(kind)), None)


def _is_key(line: str) -> bool:
    """Whether the line is whole: what else writes to the console may have broken it."""
    try:
        parse_pin(line)
    except UsageFault:
        return False
    return True


class _Console:
    """What an instance has written: of now where its type can show that, else as it was posted after the boot."""

    def __init__(self, account: AwsAccount, instance: str) -> None:
        self._account = account
        self._instance = instance
        self._latest = True

    def text(self) -> str:
        latest: dict[str, Any] = {"Latest": True} if self._latest else {}
        what = f"read the console of {self._instance}"
        try:
            answer = self._account.read("get_console_output", what, InstanceId=self._instance, **latest)
        except ApiError as error:
            if is_lagging(error):
                return ""
            if not self._latest or error.code not in ("UnsupportedOperation", "InvalidParameterCombination"):
                raise
            self._latest = False
            return self.text()
        return str(answer.get("Output", ""))
