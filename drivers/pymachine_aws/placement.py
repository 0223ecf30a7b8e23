"""Determines where the options can be fulfilled, with few calls and before anything is made."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pymachine.driver import Request
from pymachine.errors import CheckFailed
from pymachine_aws import images
from pymachine_aws.api import ApiError, AwsAccount
from pymachine_aws.config import LaunchConfig
from pymachine_aws.instance_types import InstanceType, kinds_of
from pymachine_aws.site import AmiChoice, Attempt, Site, VpcSubnet
from pymachine_aws.subnets import subnets_for


def survey(request: Request, wanted: LaunchConfig, *, account: AwsAccount | None = None) -> Site:
    """Return what to try: markets, within them types, within them subnets, each in the user's order.

    Costs five calls, six or seven with groups and key pairs of the user's. Raises ``UsageFault`` or ``CheckFailed``
    for what cannot work, ``Unreachable`` where AWS does not answer.
    """
    account = account or account_of(wanted)
    with before_anything():
        subnets = subnets_for(account, wanted)
        kinds = kinds_of(account, wanted.types, [subnet.zone for subnet in subnets])
        attempts = _attempts(account, wanted, kinds, subnets)
        groups = _groups(account, wanted, subnets[0].vpc)
        _check_key_pair(account, wanted)
    return Site(subnets[0].vpc, attempts, groups)


def account_of(wanted: LaunchConfig) -> AwsAccount:
    """Return the account and region of the options."""
    return AwsAccount(
        wanted.region,
        profile=wanted.profile,
        endpoint_url=wanted.endpoint_url,
        credentials=wanted.credentials,
        retries=wanted.retries,
    )


@contextmanager
def before_anything() -> Iterator[None]:
    """Convert refusals of AWS to refusals by a check, because nothing was made yet."""
    try:
        yield
    except ApiError as error:
        raise CheckFailed(error.message, hint=error.hint) from error


def _attempts(
    account: AwsAccount, wanted: LaunchConfig, kinds: Sequence[InstanceType], subnets: Sequence[VpcSubnet]
) -> tuple[Attempt, ...]:
    places = [(kind, subnet) for kind in kinds for subnet in subnets if kind.offered_in(subnet.zone)]
    if not places:
        raise _offered_nowhere(kinds, subnets)
    usable = [(kind, subnet) for kind, subnet in places if kind.ipv6 or not wanted.way.ipv6]
    if not usable:
        raise CheckFailed(f"{_names(kinds)} cannot have IPv6 addresses", hint="give a newer --aws-instance-type")
    markets = [(market, kind) for market in wanted.markets for kind in kinds if kind.spot or market != "spot"]
    if not markets:
        raise CheckFailed(f"{_names(kinds)} cannot be launched as spot instances", hint="omit --aws-spot")
    fitting = _fitting_images(account, wanted, kinds)
    return tuple(
        Attempt(kind.name, fitting[kind.name], subnet, market)
        for market, kind in markets
        for other, subnet in usable
        if other is kind
    )


def _fitting_images(account: AwsAccount, wanted: LaunchConfig, kinds: Sequence[InstanceType]) -> dict[str, AmiChoice]:
    """Return the image for each type. Raises ``CheckFailed`` for a type that it does not fit."""
    found = images.find(account, wanted.image, list(dict.fromkeys(kind.arches[0] for kind in kinds)))
    _check_device(found, wanted)
    return {kind.name: _fitting(kind, found, wanted.image) for kind in kinds}


def _fitting(kind: InstanceType, found: Mapping[str, AmiChoice], name: str) -> AmiChoice:
    for arch in kind.arches:
        if arch in found:
            return found[arch]
    raise CheckFailed(
        f"image {name} is for {' or '.join(found)}, instance type {kind.name} for {' or '.join(kind.arches)}",
        hint="give an image and instance types of one architecture, or an alias such as ubuntu-24.04",
    )


def _check_device(found: Mapping[str, AmiChoice], wanted: LaunchConfig) -> None:
    """Refuse another device than the image's root: it would be a second volume, empty and paid for."""
    for image in found.values():
        if wanted.volume.device not in (None, image.device):
            raise CheckFailed(
                f"--aws-device-name: the root of {image.id} is {image.device}, not {wanted.volume.device}",
                hint="omit it: the image defines it",
            )


def _offered_nowhere(kinds: Sequence[InstanceType], subnets: Sequence[VpcSubnet]) -> CheckFailed:
    zones = ", ".join(dict.fromkeys(subnet.zone for subnet in subnets))
    return CheckFailed(
        f"{_names(kinds)} is not offered in {zones}",
        hint="give another --aws-zone or --aws-instance-type; `aws ec2 describe-instance-type-offerings "
        "--location-type availability-zone` shows where",
    )


def _names(kinds: Sequence[InstanceType]) -> str:
    return " and ".join(kind.name for kind in kinds)


def _groups(account: AwsAccount, wanted: LaunchConfig, vpc: str) -> tuple[str, ...]:
    """Return the ids of the groups that the user gave by id or name, in the same order."""
    given = wanted.access.groups
    if not given:
        return ()
    found = _described_groups(account, vpc, _narrowed(given))
    missing = [name for name in given if name not in found]
    if missing:
        raise _no_group(account, vpc, missing[0])
    return tuple(dict.fromkeys(found[name] for name in given))


def _narrowed(given: Sequence[str]) -> list[dict[str, Any]]:
    """Return a filter for groups; filters all have to fit, so ids and names together cannot be asked for."""
    ids = [name for name in given if name.startswith("sg-")]
    if ids and len(ids) < len(given):
        return []
    return [{"Name": "group-id" if ids else "group-name", "Values": list(given)}]


def _described_groups(account: AwsAccount, vpc: str, narrowed: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return ids of groups of the VPC by id and by name."""
    filters = [{"Name": "vpc-id", "Values": [vpc]}, *narrowed]
    found = account.pages("describe_security_groups", "SecurityGroups", "look for security groups", Filters=filters)
    return {str(each[key]): str(each["GroupId"]) for each in found for key in ("GroupName", "GroupId")}


def _no_group(account: AwsAccount, vpc: str, name: str) -> CheckFailed:
    there = [each for each in _described_groups(account, vpc, ()) if each.startswith("sg-") == name.startswith("sg-")]
    near = difflib.get_close_matches(name, there, n=1)
    return CheckFailed(
        f"there is no security group {name} in {vpc}",
        hint=f"did you mean {near[0]}?"
        if near
        else "`aws ec2 describe-security-groups` lists them; omit it to use one made by pymachine",
    )


def _check_key_pair(account: AwsAccount, wanted: LaunchConfig) -> None:
    name = wanted.access.key_pair
    if name is None:
        return
    filters = [{"Name": "key-name", "Values": [name]}]
    if not account.read("describe_key_pairs", f"look for key pair {name}", Filters=filters).get("KeyPairs"):
        raise CheckFailed(
            f"there is no key pair {name} in {account.region}",
            hint="`aws ec2 describe-key-pairs` lists them; or omit it: cloud-init installs pymachine's key",
        )
