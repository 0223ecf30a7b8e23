"""Checks the networks that an engine takes for its bridges against the host's addresses. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_OWN = ("bip", "bip6", "fixed-cidr", "fixed-cidr-v6")  # keys of one network
_POOLS = "default-address-pools"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network_conflicts(wanted: Mapping[str, Any], present: Mapping[str, Any], addresses: Iterable[str]) -> list[str]:
    """Return the networks of a daemon.json that contain an address of the host.

    Other hosts there would be unreachable.

    dockerd skips networks to which the host has a route, but not the networks behind it, and takes ``bip`` unchecked.
    Values that are already ``present`` on the host stay.
    """
    changed = {key: value for key, value in wanted.items() if present.get(key) != value}
    places = [*addresses]
    return [
        f"{key} {network} holds {address}, an address of the host"
        for key, network in _networks(changed)
        for address in places
        if _holds(network, address)
    ]


def _networks(config: Mapping[str, Any]) -> Iterator[tuple[str, Network]]:
    texts = [(key, config.get(key)) for key in _OWN]
    texts += [(_POOLS, pool.get("base")) for pool in config.get(_POOLS) or () if isinstance(pool, Mapping)]
    for key, text in texts:
        try:
            if text:
                yield key, ipaddress.ip_network(str(text), strict=False)
        except ValueError:  # dockerd says so when it validates the file
            continue


def _holds(network: Network, address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]) in network
    except ValueError:
        return False  # a host name
