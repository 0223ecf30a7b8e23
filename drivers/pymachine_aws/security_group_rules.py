"""Rules of a security group, and which of them are missing. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymachine.driver import NodePort
from pymachine_aws.config import PortRange

ANY = "-1"
DESCRIPTION = "pymachine"
ALL_PORTS = (0, 65_535)
_LISTS = {"IpRanges": "CidrIp", "Ipv6Ranges": "CidrIpv6", "UserIdGroupPairs": "GroupId"}
_WITH_PORTS = ("tcp", "udp")
_NUMBERS = {"esp": "50"}  # IANA's protocol numbers, as EC2 wants to have all others


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """One way in: ports of a protocol (``tcp``, ``udp``; a number for others, ``-1`` for all) from somewhere.

    ``source`` is a range of addresses, or the id of a group whose members may come in.
    """

    protocol: str
    first: int
    last: int
    source: str

    def covers(self, other: Rule) -> bool:
        """Whether whatever ``other`` lets in gets in by this one."""
        if not _holds(self.source, other.source):
            return False
        if self.protocol == ANY:
            return True
        return self.protocol == other.protocol and self.first <= other.first and other.last <= self.last


def wanted_rules(ports: Iterable[PortRange], cidrs: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules that open each port to each range of addresses, sorted, each once."""
    sources = [str(ipaddress.ip_network(cidr, strict=False)) for cidr in cidrs]
    return tuple(sorted({Rule(p.protocol, p.first, p.last, cidr) for p in ports for cidr in sources}))


def rules_within(group: str, openings: Iterable[NodePort]) -> tuple[Rule, ...]:
    """Return the rules that open these ways to the group's own members."""
    return tuple(
        Rule(opening.protocol, opening.port, opening.port, group)
        if opening.protocol in _WITH_PORTS
        else Rule(_NUMBERS[opening.protocol], *ALL_PORTS, group)
        for opening in openings
    )


def missing(rules: Iterable[Rule], group: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Return those that no rule of a described group covers, alone."""
    there = read_rules(group)
    return tuple(rule for rule in rules if not any(other.covers(rule) for other in there))


def read_rules(group: Mapping[str, Any]) -> list[Rule]:
    """Return the ways in that a described group has, from addresses and from groups."""
    first, last = ALL_PORTS
    return [
        Rule(permission["IpProtocol"], permission.get("FromPort", first), permission.get("ToPort", last), source)
        for permission in group.get("IpPermissions", ())
        for source in _sources(permission)
    ]


def permissions(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Return rules as the API takes them: one entry for each range of ports."""
    ports = dict.fromkeys((rule.protocol, rule.first, rule.last) for rule in rules)
    return [
        _permission(key, [rule.source for rule in rules if (rule.protocol, rule.first, rule.last) == key])
        for key in ports
    ]


def _permission(key: tuple[str, int, int], sources: Sequence[str]) -> dict[str, Any]:
    protocol, first, last = key
    entry: dict[str, Any] = {"IpProtocol": protocol}
    if protocol in _WITH_PORTS:
        entry |= {"FromPort": first, "ToPort": last}
    for listed, name in _LISTS.items():
        if of_kind := [{name: source, "Description": DESCRIPTION} for source in sources if _kind(source) == name]:
            entry[listed] = of_kind
    return entry


def _kind(source: str) -> str:
    if source.startswith("sg-"):
        return "GroupId"
    return "CidrIpv6" if ":" in source else "CidrIp"


def _sources(permission: Mapping[str, Any]) -> list[str]:
    return [entry[name] for listed, name in _LISTS.items() for entry in permission.get(listed, ()) if name in entry]


def _holds(outer: str, inner: str) -> bool:
    if "GroupId" in (_kind(outer), _kind(inner)):
        return outer == inner
    a, b = ipaddress.ip_network(outer, strict=False), ipaddress.ip_network(inner, strict=False)
    return a.version == b.version and b.subnet_of(a)  # type: ignore[arg-type]  # versions are the same
