"""Instance types: their capabilities, and the zones that offer them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymachine.errors import CheckFailed
from pymachine_aws.api import ApiError, AwsAccount
from pymachine_aws.images import ARCHES


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An instance type; ``arches`` are those of ours that it runs, best first, ``zones`` where it is offered.

    ``zones`` is None where nobody asked.
    """

    name: str
    arches: tuple[str, ...]
    spot: bool
    ipv6: bool
    zones: frozenset[str] | None = None

    def offered_in(self, zone: str) -> bool:
        """Whether it may be tried in this zone."""
        return self.zones is None or zone in self.zones


def kinds_of(account: AwsAccount, names: Sequence[str], zones: Sequence[str]) -> tuple[InstanceType, ...]:
    """Return the types in their order. Costs one call, two where there is more than one thing to try.

    Raises ``CheckFailed`` for types that the region does not have or that run nothing of ours, and as
    ``AwsAccount.read``.
    """
    offered = _offered(account, names, zones) if len(names) * len(set(zones)) > 1 else None
    return tuple(_kind(each, offered) for each in _described(account, names))


def _described(account: AwsAccount, names: Sequence[str]) -> list[Mapping[str, Any]]:
    what = f"look up instance type {' and '.join(names)}"
    try:
        pages = account.pages("describe_instance_types", "InstanceTypes", what, InstanceTypes=list(names))
        found = {str(each["InstanceType"]): each for each in pages}
    except ApiError as error:
        if error.code != "InvalidInstanceType":
            raise
        found = {}
    gone = [name for name in names if name not in found]
    if gone:
        raise _unknown(account, gone)
    return [found[name] for name in names]


def _unknown(account: AwsAccount, names: Sequence[str]) -> CheckFailed:
    known = account.words("InstanceType")
    strange = [name for name in names if name not in known] or list(names)
    near = difflib.get_close_matches(strange[0], known, n=3, cutoff=0.7)
    near = [] if strange[0] in known else near
    listing = "`aws ec2 describe-instance-type-offerings` lists the types of the region"
    return CheckFailed(
        f"there is no instance type {' or '.join(strange)} in {account.region}",
        hint=f"did you mean {' or '.join(near)}?" if near else listing,
    )


def _offered(account: AwsAccount, names: Sequence[str], zones: Sequence[str]) -> dict[str, set[str]]:
    """Return the zones of each type; empty for one that no zone has."""
    filters = [
        {"Name": "instance-type", "Values": list(names)},
        {"Name": "location", "Values": sorted(set(zones))},
    ]
    found: dict[str, set[str]] = {name: set() for name in names}
    pages = account.pages(
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        "look up where the instance types are offered",
        LocationType="availability-zone",
        Filters=filters,
    )
    for each in pages:
        found.setdefault(str(each["InstanceType"]), set()).add(str(each["Location"]))
    return found


def _kind(each: Mapping[str, Any], offered: Mapping[str, set[str]] | None) -> InstanceType:
    name = str(each["InstanceType"])
    supported = each.get("ProcessorInfo", {}).get("SupportedArchitectures", ())
    arches = tuple(arch for arch in ARCHES if arch in supported)
    if not arches:
        raise CheckFailed(
            f"instance type {name} runs {', '.join(supported)} only",
            hint="give one for x86_64 or arm64: t3.small, t4g.small",
        )
    return InstanceType(
        name=name,
        arches=arches,
        spot="spot" in each.get("SupportedUsageClasses", ("spot",)),
        ipv6=bool(each.get("NetworkInfo", {}).get("Ipv6Supported", True)),
        zones=None if offered is None else frozenset(offered[name]),
    )
