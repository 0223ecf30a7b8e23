"""IPv4 arithmetic of a libvirt network: its XML, and free addresses and subnets. Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import chain

# libvirt's usual one and those after it: routers at home like the low ones, and a laptop meets many of them.
_LIKED = tuple(IPv4Network(f"192.168.{number}.0/24") for number in range(122, 255))
_PRIVATE = (IPv4Network("192.168.0.0/16"), IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"))


@dataclass(frozen=True, slots=True)
class HostEntry:
    """A DHCP reservation of a network; a field that it does not have is empty. ``mac`` is in lower case."""

    mac: str
    name: str
    ip: str

    @property
    def xml(self) -> str:
        """The element that ``virNetworkUpdate`` takes. Its values are checked ones: none needs escaping."""
        named = f" name='{self.name}'" if self.name else ""
        return f"<host mac='{self.mac}'{named} ip='{self.ip}'/>"


@dataclass(frozen=True, slots=True)
class Subnet:
    """The IPv4 side of a network as libvirt's DHCP server serves it; ``ranges`` are first and last addresses."""

    gateway: IPv4Address
    network: IPv4Network
    ranges: tuple[tuple[IPv4Address, IPv4Address], ...]
    hosts: tuple[HostEntry, ...] = ()


def read_subnet(xml: str) -> Subnet | None:
    """Return the subnet that libvirt's own DHCP serves by a network's XML; None where it serves none."""
    for ip in ET.fromstring(xml).findall("ip"):
        ranges = ip.findall("dhcp/range")
        if ip.get("family", "ipv4") == "ipv4" and ranges:
            return Subnet(
                IPv4Address(ip.attrib["address"]),
                _network_of(ip),
                tuple((IPv4Address(r.attrib["start"]), IPv4Address(r.attrib["end"])) for r in ranges),
                tuple(_host_entry(host) for host in ip.findall("dhcp/host")),
            )
    return None


def bridge_of(xml: str) -> str:
    """Return the name of a network's bridge device, empty where its XML names none."""
    bridge = ET.fromstring(xml).find("bridge")
    return "" if bridge is None else bridge.get("name", "")


def free_address(subnet: Subnet, taken: Collection[str], seed: int) -> str | None:
    """Return an address of the DHCP ranges that is not taken, None when all are.

    The search begins at a place that ``seed`` decides, so that hosts that do not see each other's locks seldom
    choose the same.
    """
    pool = list(chain.from_iterable(_all_between(*ends) for ends in subnet.ranges))
    start = seed % len(pool)
    order = chain(pool[start:], pool[:start])
    return next((str(a) for a in order if str(a) not in taken and a != subnet.gateway), None)


def clash(subnet: IPv4Network, routes: Collection[IPv4Network]) -> IPv4Network | None:
    """Return a route with which a subnet would conflict."""
    return next((route for route in routes if route.overlaps(subnet)), None)


def free_subnet(routes: Collection[IPv4Network], prefix: int = 24) -> IPv4Network | None:
    """Return a private subnet of that size that no route touches, libvirt's usual one first; None for none at all."""
    gaps = (gap for block in _PRIVATE for gap in _gaps(block, routes) if gap.prefixlen <= prefix)
    liked = (subnet for subnet in _LIKED if subnet.prefixlen == prefix and not clash(subnet, routes))
    return next(chain(liked, (IPv4Network((gap.broadcast_address, prefix), strict=False) for gap in gaps)), None)


def moved(xml: str, target: IPv4Network) -> str:
    """Return a network's XML with its IPv4 subnet put elsewhere, and its bridge's name left to libvirt."""
    root = ET.fromstring(xml)
    for ip in root.findall("ip"):
        if ip.get("family", "ipv4") == "ipv4":
            _move(ip, _network_of(ip), target)
    bridge = root.find("bridge")
    if bridge is not None:
        bridge.attrib.pop("name", None)
    return ET.tostring(root, encoding="unicode")


def claimed_subnets(xml: str) -> list[IPv4Network]:
    """Return every IPv4 subnet that a network's XML takes, with DHCP or without, and those that it routes to."""
    root = ET.fromstring(xml)
    found = [element for element in (*root.findall("ip"), *root.findall("route")) if element.get("address")]
    return [_network_of(element) for element in found if element.get("family", "ipv4") == "ipv4"]


def _gaps(block: IPv4Network, routes: Collection[IPv4Network]) -> list[IPv4Network]:
    """Return what is left of a block when the routes are cut out of it."""
    left = [block]
    for route in routes:
        left = [piece for before in left for piece in _without(before, route)]
    return sorted(left)


def _without(piece: IPv4Network, route: IPv4Network) -> list[IPv4Network]:
    if not piece.overlaps(route):
        return [piece]
    return [] if piece.subnet_of(route) else list(piece.address_exclude(route))


def _network_of(ip: ET.Element) -> IPv4Network:
    mask = ip.get("netmask") or ip.get("prefix") or "24"
    return IPv4Network(f"{ip.attrib['address']}/{mask}", strict=False)


def _host_entry(host: ET.Element) -> HostEntry:
    return HostEntry(host.get("mac", "").lower(), host.get("name", ""), host.get("ip", ""))


def _all_between(first: IPv4Address, last: IPv4Address) -> Iterator[IPv4Address]:
    return (IPv4Address(number) for number in range(int(first), int(last) + 1))


def _move(ip: ET.Element, source: IPv4Network, target: IPv4Network) -> None:
    """Give every address of the element its old place in the new subnet."""
    for element, key in ((ip, "address"), *((r, k) for r in ip.findall("dhcp/range") for k in ("start", "end"))):
        place = int(IPv4Address(element.attrib[key])) - int(source.network_address)
        element.set(key, str(target.network_address + place))
