"""The address that a node advertises, and the networks that a Swarm may use. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from pymachine.errors import CheckFailed, UsageFault

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ENGINES_OWN = "10.0.0.0/8"  # what an engine takes where it is told nothing
OTHERS = ("10.192.0.0/12", "10.64.0.0/12", "172.24.0.0/13", "192.168.128.0/17")
HINT = "give it: --advertise {name}=ADDRESS, or `advertise:` in the inventory"


def advertised(name: str, own: Sequence[str], reached: str, peers: Iterable[str]) -> str:
    """Return the address at which the other nodes reach a host; it cannot be changed later.

    ``own`` are the host's addresses, ``reached`` the one at which its engine is reached, ``peers`` the addresses of
    the other hosts. It is ``reached`` if the host itself has that address; else, behind address translation, the own
    address nearest to the peers', private ones preferred. Raises ``UsageFault`` if no address is known.
    """
    known = [address for address in map(_address, own) if address is not None and _usable(address)]
    told = _address(reached)
    if told is not None and _usable(told) and (told in known or not known):
        return str(told)
    if not known:
        raise UsageFault(f"no address is known that {name} can advertise", hint=HINT.format(name=name))
    others = [address for address in map(_address, peers) if address is not None]
    return str(max(known, key=lambda address: _rank(address, others)))


def check_advertised(name: str, address: str) -> str:
    """Return an address given by the user. Raises ``UsageFault`` if it is invalid or not usable by others."""
    found = _address(address)
    if found is None or not _usable(found):
        raise UsageFault(
            f"{address!r} is not an address that {name} can advertise",
            hint="give one of its IP addresses, without a port: it cannot be changed later, and names may change",
        )
    return str(found)


def check_pools(pools: Sequence[str], subnet_size: int, taken: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the pools if they contain no network or address that is ``taken``, which has places and owners.

    Raises ``UsageFault`` for an invalid network, ``CheckFailed`` for one that clashes.
    """
    networks = [_pool(pool, subnet_size) for pool in pools]
    for place, whose in taken:
        clash = next((network for network in networks if overlap(network, place)), None)
        if clash is not None:
            raise CheckFailed(
                f"the pool {clash} contains {place}, {whose}: hosts and services would have conflicting addresses",
                hint=f"give another pool: {_free(taken) or 'one without any of your hosts and networks'}",
            )
    return tuple(map(str, networks))


def free_pool(taken: Iterable[tuple[str, str]]) -> str | None:
    """Return an unused pool if the engine's default clashes; None if the default can be used."""
    places = list(taken)
    if not any(overlap(ENGINES_OWN, place) for place, _ in places):
        return None
    found = _free(places)
    if found is None:
        raise CheckFailed(
            "no private network is free for the Swarm's overlay networks: each of the usual ones contains a host",
            hint="give one that is: --pool NETWORK, or `address_pool:` in the inventory",
        )
    return found


def _free(taken: Iterable[tuple[str, str]]) -> str | None:
    places = [place for place, _ in taken]
    candidates = (pool for pool in OTHERS if not any(overlap(pool, place) for place in places))
    return next(candidates, None)


def _pool(text: str, subnet_size: int) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise UsageFault(f"{text!r} is not a valid network: {error}", hint="give one such as 10.80.0.0/16") from error
    if not network.prefixlen <= subnet_size <= 29:
        raise UsageFault(
            f"the pool {network} cannot be divided into networks of /{subnet_size}",
            hint="subnets are as large as the pool or smaller, and at least /29",
        )
    return network


def overlap(network: Network | str, place: str) -> bool:
    """Whether an address or network overlaps a network; a name never does."""
    network = ipaddress.ip_network(network)
    try:
        other = ipaddress.ip_network(place, strict=False)
    except ValueError:  # a host name
        return False
    return other.version == network.version and other.overlaps(network)


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _usable(address: Address) -> bool:
    return not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast)


def _rank(address: Address, peers: Sequence[Address]) -> tuple[int, bool, bool]:
    """Return the number of equal bits with the nearest peer; then whether it is private, then IPv4."""
    near = max((_common(address, peer) for peer in peers if peer.version == address.version), default=0)
    return near, address.is_private, address.version == 4


def _common(one: Address, other: Address) -> int:
    return one.max_prefixlen - (int(one) ^ int(other)).bit_length()
