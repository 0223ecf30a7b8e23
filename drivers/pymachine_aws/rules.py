"""Rules of a security group, and which of them are missing. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymachine_aws.wanted import PortRange

ANY = "-1"
DESCRIPTION = "pymachine"


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """One way in: ports of a protocol (``tcp``, ``udp``; ``-1`` is all of both) from a range of addresses."""

    protocol: str
    first: int
    last: int
    cidr: str

    def covers(self, other: Rule) -> bool:
        """Whether whatever ``other`` lets in gets in by this one."""
        if not _holds(self.cidr, other.cidr):
            return False
        if self.protocol == ANY:
            return True
        return self.protocol == other.protocol and self.first <= other.first and other.last <= self.last

    def permission(self) -> dict[str, Any]:
        """Return it as the API takes it."""
        return _permission((self.protocol, self.first, self.last), [self.cidr])


def wanted_rules(ports: Iterable[PortRange], cidrs: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules that open each port to each range of addresses, sorted, each once."""
    sources = [str(ipaddress.ip_network(cidr, strict=False)) for cidr in cidrs]
    return tuple(sorted({Rule(p.protocol, p.first, p.last, cidr) for p in ports for cidr in sources}))


def missing(rules: Iterable[Rule], group: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Return those that no rule of a described group covers, alone."""
    there = read_rules(group)
    return tuple(rule for rule in rules if not any(other.covers(rule) for other in there))


def read_rules(group: Mapping[str, Any]) -> list[Rule]:
    """Return the ways in by address that a described group has."""
    return [
        Rule(permission["IpProtocol"], permission.get("FromPort", 0), permission.get("ToPort", 65_535), cidr)
        for permission in group.get("IpPermissions", ())
        for cidr in _sources(permission)
    ]


def permissions(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Return rules as the API takes them: one entry for each range of ports."""
    ports = dict.fromkeys((rule.protocol, rule.first, rule.last) for rule in rules)
    return [
        _permission(key, [rule.cidr for rule in rules if (rule.protocol, rule.first, rule.last) == key])
        for key in ports
    ]


def _permission(key: tuple[str, int, int], cidrs: Sequence[str]) -> dict[str, Any]:
    protocol, first, last = key
    entry: dict[str, Any] = {"IpProtocol": protocol, "FromPort": first, "ToPort": last}
    v4 = [{"CidrIp": cidr, "Description": DESCRIPTION} for cidr in cidrs if ":" not in cidr]
    v6 = [{"CidrIpv6": cidr, "Description": DESCRIPTION} for cidr in cidrs if ":" in cidr]
    return {**entry, **({"IpRanges": v4} if v4 else {}), **({"Ipv6Ranges": v6} if v6 else {})}


def _sources(permission: Mapping[str, Any]) -> list[str]:
    v4 = [entry["CidrIp"] for entry in permission.get("IpRanges", ())]
    return v4 + [entry["CidrIpv6"] for entry in permission.get("Ipv6Ranges", ())]


def _holds(outer: str, inner: str) -> bool:
    a, b = ipaddress.ip_network(outer, strict=False), ipaddress.ip_network(inner, strict=False)
    return a.version == b.version and b.subnet_of(a)  # type: ignore[arg-type]  # versions are the same
