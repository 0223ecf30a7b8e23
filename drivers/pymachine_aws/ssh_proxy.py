"""``pymachine-aws-connect``: an SSH connection on standard input and output, by one of AWS's own ways to an instance.

Our own transport starts it as ``SshAddress.proxy``, OpenSSH as a ProxyCommand. It writes one line to standard error
where it fails, and ends with the exit codes of pymachine: 2 and 3 say that another try would fail as well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pymachine.errors import CheckFailed, PymachineError, UsageFault
from pymachine.printable import printable
from pymachine.transport.dial import dial
from pymachine_aws.api import AwsAccount
from pymachine_aws.handle import Ec2

PROGRAM = "pymachine-aws-connect"
PLUGIN = "session-manager-plugin"
DIAL_DEADLINE = 20.0
VERSION_DEADLINE = 10.0
CHUNK = 65_536

# From the version after this one on, the plugin takes the session's token out of a variable (aws-cli,
# customizations/sessionmanager.py). Before, it had to be on the command line, where everybody can read it.
_LAST_WITHOUT_VARIABLE = (1, 2, 497, 0)
_VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
_INSTALL = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"
)

Execute = Callable[[str, list[str], Mapping[str, str]], Any]


def proxy_words(ec2: Ec2) -> tuple[str, ...]:
    """Return ``SshAddress.proxy`` for an instance; none where it is dialled directly."""
    if ec2.via == "direct":
        return ()
    settings = {
        "--region": ec2.region,
        "--profile": ec2.profile,
        "--endpoint-url": ec2.endpoint_url,
        "--instance": ec2.instance,
        "--user": ec2.user,
        "--public-key": ec2.public_key if ec2.via == "instance-connect" else None,
    }
    words = (word for flag, value in settings.items() if value for word in (flag, value))
    return (PROGRAM, ec2.via, *words, "%h", "%p")


def main() -> None:
    """Connect, as the program that is installed with the driver."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Connect and return the exit code; through Session Manager this process becomes its plugin."""
    asked = _parser().parse_args(words)
    account = AwsAccount(asked.region, profile=asked.profile, endpoint_url=asked.endpoint_url, retries=3)
    try:
        {"instance-connect": instance_connect, "ssm": session_manager}[asked.way](account, _wanted(asked))
    except PymachineError as error:
        sys.stderr.write(f"error: {_one_line(error)}\n")
        return error.exit_code
    return 0


@dataclass(frozen=True, slots=True)
class ProxyTarget:
    """What to connect to. ``place`` is host and port; ``profile`` is None where boto3 decides."""

    instance: str
    user: str
    public_key: str
    place: tuple[str, int]
    profile: str | None = None


def instance_connect(account: AwsAccount, wanted: ProxyTarget) -> None:
    """Have EC2 put our key on the host, where it counts for a minute, and carry bytes until the host hangs up.

    Raises ``UsageFault``, ``ApiError``, ``Unreachable``.
    """
    if not wanted.public_key:
        raise UsageFault("EC2 Instance Connect needs a key to send", hint="give --public-key")
    # Repeating it only restarts the key's minute, so it may be retried like a call that reads.
    account.read(
        "send_ssh_public_key",
        f"send a key to {wanted.instance}",
        service="ec2-instance-connect",
        InstanceId=wanted.instance,
        InstanceOSUser=wanted.user,
        SSHPublicKey=wanted.public_key,
    )
    with dial(*wanted.place, deadline=DIAL_DEADLINE) as host:
        carry(host, sys.stdin.fileno(), sys.stdout.fileno())


def carry(host: socket.socket, source: int, goal: int) -> None:
    """Carry bytes from descriptor ``source`` to the host and from there to ``goal``, until the host hangs up."""
    threading.Thread(target=_send, args=(source, host), daemon=True).start()
    with suppress(OSError):  # either side may close the connection at any time
        while data := host.recv(CHUNK):
            _write(goal, data)


def session_manager(account: AwsAccount, wanted: ProxyTarget, execute: Execute = os.execve) -> None:
    """Open a session through Session Manager and become its plugin, which carries the bytes.

    Raises ``CheckFailed`` where the plugin is missing or too old, ``ApiError`` where the instance cannot be reached.
    """
    plugin = _plugin()
    asked = {
        "Target": wanted.instance,
        "DocumentName": "AWS-StartSSHSession",
        "Parameters": {"portNumber": [str(wanted.place[1])]},
    }
    session = account.change("start_session", f"open a session to {wanted.instance}", service="ssm", **asked)
    told = json.dumps({key: session[key] for key in ("SessionId", "TokenValue", "StreamUrl")})
    words = [_VARIABLE, account.region, "StartSession", wanted.profile or "", json.dumps(asked), account.url("ssm")]
    execute(plugin, [plugin, *words], {**os.environ, _VARIABLE: told})


def _plugin() -> str:
    found = shutil.which(PLUGIN)
    if found is None:
        raise CheckFailed(f"{PLUGIN} is not installed, and SSH through Session Manager needs it", hint=_INSTALL)
    try:
        done = subprocess.run(
            [found, "--version"], capture_output=True, text=True, timeout=VERSION_DEADLINE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CheckFailed(f"{found} cannot be run: {error}", hint=f"install it again: {_INSTALL}") from error
    version = done.stdout.strip()
    if not re.fullmatch(r"\d+(\.\d+){1,3}", version) or _numbers(version) <= _LAST_WITHOUT_VARIABLE:
        raise CheckFailed(
            f"{found} is of version {version or 'unknown'}, which takes its secret on the command line",
            hint=f"install a newer one: {_INSTALL}",
        )
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _send(source: int, host: socket.socket) -> None:
    with suppress(OSError):
        while data := os.read(source, CHUNK):
            host.sendall(data)
        host.shutdown(socket.SHUT_WR)


def _write(goal: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(goal, left) :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Carry an SSH connection to an EC2 instance.")
    parser.add_argument("way", choices=("instance-connect", "ssm"))
    parser.add_argument("--region", required=True)
    parser.add_argument("--profile")
    parser.add_argument("--endpoint-url")
    parser.add_argument("--instance", required=True, metavar="ID")
    parser.add_argument("--user", default="root", help="account to log in to")
    parser.add_argument("--public-key", default="", help="key to send, as an OpenSSH line", metavar="LINE")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    return parser


def _wanted(asked: argparse.Namespace) -> ProxyTarget:
    return ProxyTarget(asked.instance, asked.user, asked.public_key, (asked.host, asked.port), asked.profile)


def _one_line(error: PymachineError) -> str:
    return printable(" ".join(f"{error.message}{f' ({error.hint})' if error.hint else ''}".split()))
