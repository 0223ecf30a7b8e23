"""Subnets in which an instance may be launched, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pymachine.errors import CheckFailed, UsageFault
from pymachine_aws.api import AwsAccount
from pymachine_aws.config import LaunchConfig
from pymachine_aws.site import VpcSubnet

Described = Mapping[str, Any]

_WHAT = "look for subnets"
_NO_BLOCK = ("disassociating", "disassociated", "failing", "failed")


def subnets_for(account: AwsAccount, wanted: LaunchConfig) -> tuple[VpcSubnet, ...]:
    """Return the subnets that suit the options, all of one VPC: given ones in their order, else by zone.

    Costs one call; two where the default VPC has lost its default subnets. Raises ``CheckFailed`` where none suits,
    and as ``AwsAccount.read``.
    """
    if wanted.subnets:
        found = _given(account, wanted.subnets)
        _check_vpc(found, wanted)
        return tuple(map(_subnet, _suitable(found, wanted, account.region)))
    found = _of_vpc(account, wanted.vpc) if wanted.vpc else _of_default_vpc(account, wanted)
    suitable = _suitable(_usual(found, wanted, account.region), wanted, account.region)
    return tuple(map(_subnet, _ordered(_reachable(suitable, wanted), _zones(wanted, account.region))))


def subnet_of(account: AwsAccount, name: str) -> VpcSubnet:
    """Return a subnet by its id. Raises ``CheckFailed`` where there is none."""
    return _subnet(_given(account, [name])[0])


def _given(account: AwsAccount, names: Sequence[str]) -> list[Described]:
    found = {each["SubnetId"]: each for each in _described(account, "subnet-id", names)}
    gone = [name for name in names if name not in found]
    if gone:
        raise CheckFailed(
            f"there is no subnet {gone[0]} in {account.region}",
            hint="`aws ec2 describe-subnets` lists the subnets of the region",
        )
    return [found[name] for name in names]


def _check_vpc(found: Sequence[Described], wanted: LaunchConfig) -> None:
    vpcs = {str(each["VpcId"]): str(each["SubnetId"]) for each in reversed(found)}
    if wanted.vpc and set(vpcs) != {wanted.vpc}:
        other, name = next((vpc, name) for vpc, name in vpcs.items() if vpc != wanted.vpc)
        raise CheckFailed(f"subnet {name} is of {other}, not of {wanted.vpc}", hint="omit --aws-vpc")
    if len(vpcs) > 1:
        raise UsageFault(
            f"--aws-subnet: the subnets are of several VPCs: {', '.join(sorted(vpcs))}",
            hint="give subnets of one VPC",
        )


def _of_default_vpc(account: AwsAccount, wanted: LaunchConfig) -> list[Described]:
    """Return its default subnets, which one call finds; all of its subnets where those do not serve."""
    found = _described(account, "default-for-az", ["true"])
    zones = _zones(wanted, account.region)
    if any(not zones or each["AvailabilityZone"] in zones for each in found):
        return found
    filters = [{"Name": "is-default", "Values": ["true"]}]
    vpcs = account.read("describe_vpcs", "look for the default VPC", Filters=filters).get("Vpcs", ())
    if not vpcs:
        raise CheckFailed(
            f"there is no default VPC in {account.region}",
            hint="give --aws-vpc or --aws-subnet, or make one: `aws ec2 create-default-vpc`",
        )
    return _of_vpc(account, str(vpcs[0]["VpcId"]))


def _of_vpc(account: AwsAccount, vpc: str) -> list[Described]:
    found = _described(account, "vpc-id", [vpc])
    if not found:
        account.read("describe_vpcs", f"look at {vpc}", VpcIds=[vpc])  # says so itself where there is none
        raise CheckFailed(f"{vpc} has no subnets", hint="make one, or give another --aws-vpc")
    return found


def _described(account: AwsAccount, name: str, values: Sequence[str]) -> list[Described]:
    filters = [{"Name": name, "Values": list(values)}]
    return list(account.pages("describe_subnets", "Subnets", _WHAT, Filters=filters))


def _zones(wanted: LaunchConfig, region: str) -> tuple[str, ...]:
    """Return whole names of zones; a letter is one of the region's."""
    return tuple(f"{region}{zone}" if len(zone) == 1 else zone for zone in wanted.zones)


def _usual(found: Sequence[Described], wanted: LaunchConfig, region: str) -> list[Described]:
    """Leave out local zones and outposts, which have few types and other prices, unless a zone is named."""
    if wanted.zones:
        return list(found)
    return [
        each for each in found if len(str(each["AvailabilityZone"])) == len(region) + 1 and not each.get("OutpostArn")
    ] or list(found)


def _reachable(found: list[Described], wanted: LaunchConfig) -> list[Described]:
    """Leave out private subnets beside public ones: from there a public address leads nowhere."""
    public = [each for each in found if each.get("MapPublicIpOnLaunch")]
    if wanted.way.address != "public" or not public:
        return found
    zones = (
        {each["AvailabilityZone"] for each in public}
        if wanted.zones
        else {each["AvailabilityZone"] for each in found}
    )
    return [each for each in found if each in public or each["AvailabilityZone"] not in zones]


def _suitable(found: Sequence[Described], wanted: LaunchConfig, region: str) -> list[Described]:
    """Keep what passes each test in turn. Raises ``CheckFailed`` saying at which none was left."""
    zones = _zones(wanted, region)
    left = list(found)
    for passes, lack, hint in _tests(zones, wanted):
        remaining = [each for each in left if passes(each)]
        if not remaining:
            none = f"none of {', '.join(wanted.subnets)}" if wanted.subnets else f"no subnet of {left[0]['VpcId']}"
            there = ", ".join(sorted({str(each["AvailabilityZone"]) for each in left}))
            raise CheckFailed(f"{none} {lack}", hint=hint.format(zones=there))
        left = remaining
    return left


_Test = tuple[Callable[[Described], bool], str, str]


def _tests(zones: Sequence[str], wanted: LaunchConfig) -> list[_Test]:
    tests: list[_Test] = [
        (
            lambda each: not zones or each["AvailabilityZone"] in zones,
            f"is in zone {' or '.join(zones)}",
            "there are subnets in {zones}",
        ),
        (
            lambda each: each.get("State", "available") == "available",
            "is available yet",
            "wait a moment, or give another --aws-subnet",
        ),
        (
            lambda each: int(each.get("AvailableIpAddressCount", 1)) > 0,
            "has a free address",
            "give another --aws-subnet or --aws-zone, or release addresses in {zones}",
        ),
    ]
    if wanted.way.ipv6:
        tests.append((_has_ipv6, "has an IPv6 block", "associate one, or omit IPv6"))
    return tests


def _has_ipv6(each: Described) -> bool:
    return bool(_ipv6_blocks(each))


def _ipv6_blocks(each: Described) -> list[str]:
    blocks = each.get("Ipv6CidrBlockAssociationSet", ())
    return [
        str(block.get("Ipv6CidrBlock", ""))
        for block in blocks
        if block.get("Ipv6CidrBlockState", {}).get("State") not in _NO_BLOCK
    ]


def _ordered(found: Sequence[Described], zones: Sequence[str]) -> list[Described]:
    """Sort by the user's order of zones, else by zone; within one the subnet with most free addresses is first."""
    rank = {zone: number for number, zone in enumerate(zones)}

    def key(each: Described) -> tuple[int, str, int, str]:
        zone = str(each["AvailabilityZone"])
        return rank.get(zone, 0), zone, -int(each.get("AvailableIpAddressCount", 0)), str(each["SubnetId"])

    return sorted(found, key=key)


def _subnet(each: Described) -> VpcSubnet:
    return VpcSubnet(
        id=str(each["SubnetId"]),
        zone=str(each["AvailabilityZone"]),
        vpc=str(each["VpcId"]),
        public=bool(each.get("MapPublicIpOnLaunch")),
        ipv6=_has_ipv6(each),
        cidr=str(each.get("CidrBlock", "")),
        cidr6=next(iter(_ipv6_blocks(each)), ""),
    )
