"""Chains of jump hosts, each resolved by its own part of the SSH configuration."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import dataclass, replace

from pymachine.addresses import Hop, parse_jump
from pymachine.errors import UsageFault
from pymachine.transport.ssh_config import HostConfig

LONGEST = 8

Resolve = Callable[[Hop], HostConfig]


@dataclass(frozen=True, slots=True)
class SshRoute:
    """The jump hosts in order, before the target."""

    hops: tuple[HostConfig, ...]

    @property
    def text(self) -> str:
        """The hops as ``--ssh-jump`` takes them; empty for a direct connection."""
        return ",".join(Hop(hop.host, hop.user, hop.port).text for hop in self.hops)


def plan_route(jump: str | None, config: HostConfig, resolve: Resolve) -> SshRoute:
    """Return the route to the host of ``config``: through ``jump`` if given, else as its configuration says.

    Only the first host of a chain is looked up for jump hosts of its own, as ssh -J does: the others are reached
    from the one before. Raises ``UsageFault`` for a loop, or for a ProxyCommand of that first host.
    """
    hops = parse_jump((config.jump if jump is None else jump) or "")
    return SshRoute(tuple(_expand(hops, resolve, seen=())) if hops else ())


def _expand(hops: tuple[Hop, ...], resolve: Resolve, seen: tuple[str, ...]) -> list[HostConfig]:
    first = resolve(hops[0])
    name = f"{first.host}:{first.port}"
    if name in seen or len(seen) >= LONGEST:
        raise UsageFault(
            f"the jump hosts form a loop: {' → '.join((*seen, name))}",
            hint="give the jump host `ProxyJump none` in ~/.ssh/config",
        )
    before = parse_jump(first.jump or "")
    _refuse_program(first)
    reached = _expand(before, resolve, (*seen, name)) if before else []
    return [*reached, _with_user(first), *(_with_user(resolve(hop)) for hop in hops[1:])]


def _with_user(hop: HostConfig) -> HostConfig:
    """Return the hop with its user: as with ssh, the local user unless another one is configured."""
    return replace(hop, user=hop.user or getpass.getuser())


def _refuse_program(hop: HostConfig) -> None:
    """Refuse a proxy program: jump hosts are recorded by address, without the configuration of their names."""
    if hop.proxy:
        raise UsageFault(
            f"the SSH configuration of jump host {hop.host} has a ProxyCommand, which is not supported there",
            hint="use ProxyJump for it, or give the host itself a ProxyCommand that covers the whole route",
        )
