"""The routes of this host, in every table, as ``ip`` tells them (iproute2): what a new subnet must not overlap."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from pymachine.strict_json import parse_json

COMMAND = ("ip", "-4", "-json", "route", "show", "table", "all")
DEADLINE = 10.0
_SIZE_LIMIT = 64 << 20  # a full BGP table is some 200 MB: on a host with one nobody wants a subnet chosen
# Routes as wide as these are somebody's default route (a VPN's 0.0.0.0/1, say), not a claim on every subnet in it.
_WIDEST = 8
# Of the kinds of rtnetlink(7): what is not delivered counts as taken too, since a subnet there would be cut off.
_CLAIMS = frozenset({"unicast", "local", "blackhole", "unreachable", "prohibit", "throw"})


@dataclass(frozen=True, slots=True)
class HostRoute:
    """A subnet that this host has a route to; ``device`` is empty for one without, or with several."""

    network: IPv4Network
    device: str = ""


def host_routes(command: Sequence[str] = COMMAND) -> tuple[HostRoute, ...] | None:
    """Return the subnets that this host has routes to; None where it could not be asked (no ``ip``, say)."""
    try:
        asked = subprocess.run(command, capture_output=True, timeout=DEADLINE, check=True, env=_environ())
        if len(asked.stdout) > _SIZE_LIMIT:
            return None
        return tuple(_routes(parse_json(asked.stdout.strip() or b"[]")))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None


def networks(routes: Collection[HostRoute], *, without: str = "") -> frozenset[IPv4Network]:
    """Return where they lead; ``without`` names a device whose routes do not count: a network's own bridge."""
    return frozenset(route.network for route in routes if not without or route.device != without)


def _environ() -> dict[str, str]:
    """Return an environment in which ``ip`` is found: the search path of an ordinary user often lacks its folder."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin", "LC_ALL": "C"}


def _routes(listed: Any) -> Iterator[HostRoute]:
    if not isinstance(listed, list):
        raise TypeError("not a list of routes")
    for each in listed:
        if not isinstance(each, dict):
            raise TypeError("not a route")
        route = _route(each)
        if route is not None:
            yield route


def _route(each: dict[str, Any]) -> HostRoute | None:
    """Return a route that claims a subnet. ``type`` is left out where it is a plain one."""
    target, device = each.get("dst"), each.get("dev", "")
    if not isinstance(target, str) or not isinstance(device, str):
        raise TypeError("a route without a destination")
    if target == "default" or each.get("type", "unicast") not in _CLAIMS:
        return None
    network = IPv4Network(target, strict=False)
    return None if network.prefixlen < _WIDEST or network.is_loopback else HostRoute(network, device)
