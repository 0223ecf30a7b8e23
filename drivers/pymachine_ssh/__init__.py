"""Hosts that are there already, reached over SSH."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from pymachine.addresses import Hop, check_host, check_port, check_user, parse_jump, place
from pymachine.driver import API, Handle, Instance, RecordedInstance, Remember, Request, Status, option
from pymachine.errors import DriverError, Unreachable, UsageFault
from pymachine.model import SshAddress, State
from pymachine.transport.dial import dial
from pymachine.transport.host_keys import parse_pin
from pymachine.transport.key_files import check_by_ssh, read_key_file
from pymachine.transport.ssh_config import HostConfig, resolve
from pymachine.user_path import user_path

__all__ = ["SshDriver", "SshOptions"]


@dataclass(frozen=True, slots=True)
class SshOptions:
    """Where the host is and how to log in. What is left out comes from the user's SSH configuration."""

    ssh_host: str = field(
        default="",
        metadata=option(
            "address, name or ~/.ssh/config alias of the host",
            metavar="HOST",
            env="GENERIC_IP_ADDRESS",
            aliases=("--generic-ip-address",),
            required=True,
        ),
    )
    ssh_user: str | None = field(
        default=None,
        metadata=option(
            "account to log in to: root, or one that may use sudo [default: from ~/.ssh/config, else root]",
            metavar="USER",
            env="GENERIC_SSH_USER",
            aliases=("--generic-ssh-user",),
        ),
    )
    ssh_port: int | None = field(
        default=None,
        metadata=option(
            "port of the SSH server [default: from ~/.ssh/config, else 22]",
            metavar="PORT",
            env="GENERIC_SSH_PORT",
            aliases=("--generic-ssh-port",),
        ),
    )
    ssh_key: str | None = field(
        default=None,
        metadata=option(
            "private key file, the only one offered [default: ~/.ssh/config, the agent, ~/.ssh/id_*]",
            metavar="FILE",
            env="GENERIC_SSH_KEY",
            aliases=("--generic-ssh-key",),
        ),
    )
    ssh_jump: str | None = field(
        default=None,
        metadata=option(
            "jump hosts, separated by commas; none connects directly",
            metavar="[USER@]HOST[:PORT]",
            env="PYMACHINE_SSH_JUMP",
        ),
    )
    ssh_host_key: str | None = field(
        default=None,
        metadata=option(
            "the host's key: SHA256:… or a public key line [default: pinned at first contact]",
            metavar="KEY",
            env="PYMACHINE_SSH_HOST_KEY",
        ),
    )


class SshDriver:
    """Adopts a host that somebody else made; it stays when the machine is removed."""

    api: ClassVar[int] = API
    options: ClassVar[type] = SshOptions
    preexisting: ClassVar[bool] = True
    takes_over: ClassVar[frozenset[str]] = frozenset({"generic"})
    alters: ClassVar[Mapping[str, str]] = {
        "ssh_host": "move",
        "ssh_user": "reach",
        "ssh_port": "reach",
        "ssh_key": "reach",
        "ssh_jump": "reach",
        "ssh_host_key": "reach",
    }

    def check(self, request: Request) -> None:
        """Refuse options that cannot be right. Reads the key file and the SSH configuration, no network.

        Raises ``UsageFault``.
        """
        address = _address(request.options)
        if address.key_path is not None:
            check_by_ssh(read_key_file(address.key_path))
        _resolved(address)

    def create(self, request: Request, remember: Remember) -> Instance:
        """Take the host as it is: remember where it is, make nothing."""
        instance = self.locate(request)
        remember(instance.handle)
        return instance

    def locate(self, request: Request) -> Instance:
        """Return the host that the options name, with what the user's SSH configuration says of it."""
        return _located(request.options)

    def recorded(self, recorded: RecordedInstance) -> tuple[Any, Instance]:
        """Take any host that is on record with an address, whichever driver made it.

        An export also records ``SSHJump`` and ``SSHHostKey``, which docker-machine does not have.
        """
        options = SshOptions(
            ssh_host=recorded.address(),
            ssh_user=recorded.text("SSHUser") or "root",
            ssh_port=recorded.number("SSHPort") or 22,
            ssh_jump=recorded.text("SSHJump") or None,
            ssh_host_key=recorded.text("SSHHostKey") or None,
        )
        return options, replace(_located(options), endpoint=recorded.endpoint())

    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """Dial the SSH port. Behind a jump host only that one can be dialled; the state is then unknown at best.

        Where a program of the user's SSH configuration connects, nothing is dialled.
        """
        host, port, jump = _read(handle)
        if handle.get("program"):
            return Status(
                State.UNKNOWN, detail=f"{place(host, port)} is reached by a program of the SSH configuration"
            )
        try:
            dial(*(jump or (host, port)), deadline=deadline).close()
        except Unreachable as error:
            return Status(State.UNREACHABLE, detail=f"jump host: {error.message}" if jump else error.message)
        if jump:
            return Status(State.UNKNOWN, detail=f"{place(host, port)} is behind {place(*jump)}, which answers")
        return Status(State.RUNNING)

    def destroy(self, handle: Handle) -> None:
        """Do nothing: the host is not ours, and what was set up on it is taken off by the core."""


def _located(options: Any) -> Instance:
    address = _address(options)
    found = _resolved(address)
    if "%" in found.host:
        raise UsageFault(
            f"{found.host} is a link-local address, which docker clients cannot use",
            hint="give an address that is routed, or a host name",
        )
    hop = _first_hop(address.jump if address.jump is not None else found.jump)
    handle: dict[str, Any] = {
        "host": found.host,
        "port": found.port,
        "user": found.user or "root",
        "jump": [hop.host, hop.port] if hop else None,
    }
    if found.proxy and address.jump is None:
        handle["program"] = True
    return Instance(handle, ssh=address)


def _address(options: Any) -> SshAddress:
    """Return the options as an address, each of them checked; the key's path made absolute, since it is kept."""
    if not options.ssh_host:
        raise UsageFault("no host given", hint="give --ssh-host ADDRESS")
    if options.ssh_jump is not None:
        parse_jump(options.ssh_jump)
    if options.ssh_host_key is not None:
        parse_pin(options.ssh_host_key)
    return SshAddress(
        host=check_host(options.ssh_host),
        port=None if options.ssh_port is None else check_port(options.ssh_port, "SSH port"),
        user=None if options.ssh_user is None else check_user(options.ssh_user),
        key_path=None if options.ssh_key is None else str(user_path(options.ssh_key).absolute()),
        jump=options.ssh_jump,
        host_key=options.ssh_host_key,
    )


def _resolved(address: SshAddress) -> HostConfig:
    return resolve(address.host, port=address.port, user=address.user)


def _first_hop(jump: str | None) -> HostConfig | None:
    """The host to dial for a chain of jump hosts, as its own configuration has it."""
    hops: tuple[Hop, ...] = parse_jump(jump or "")
    return resolve(hops[0].host, port=hops[0].port, user=hops[0].user) if hops else None


def _read(handle: Mapping[str, Any]) -> tuple[str, int, tuple[str, int] | None]:
    try:
        jump = handle["jump"]
        return str(handle["host"]), int(handle["port"]), (str(jump[0]), int(jump[1])) if jump else None
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DriverError(
            f"the record of this host is damaged: {dict(handle)!r}", hint="remove the machine and create it again"
        ) from error
