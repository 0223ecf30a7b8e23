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
    """The hosts to pass through, in order, before the last one."""

    hops: tuple[HostConfig, ...]

    @property
    def text(self) -> str:
        """The hops as ``--ssh-jump`` takes them; empty for a direct way."""
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
    """On a jump host the user is the local one unless something names another, as with ssh."""
    return replace(hop, user=hop.user or getpass.getuser())


def _refuse_program(hop: HostConfig) -> None:
    """Jump hosts are on record by their addresses, for which the configuration of their names does not count."""
    if hop.proxy:
        raise UsageFault(
            f"the SSH configuration of jump host {hop.host} has a ProxyCommand, which is not supported there",
            hint="use ProxyJump for it, or give the host itself a ProxyCommand that covers the whole route",
        )
