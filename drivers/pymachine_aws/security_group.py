"""Our own security group: one a VPC, marked by a tag, shared by all machines there and deleted with the last one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pymachine.clock import Clock
from pymachine.driver import NodePort
from pymachine.errors import CheckFailed, DriverError, PymachineError
from pymachine_aws import tags
from pymachine_aws.api import ApiError, AwsAccount, Unsure
from pymachine_aws.describe import KEPT, Described, describe_instances, until_seen
from pymachine_aws.error_codes import GROUP_GONE, IN_USE, is_throttled
from pymachine_aws.security_group_rules import Rule, missing, permissions, rules_within

T = TypeVar("T")
NAME = "pymachine"
TRIES = 6
RELEASE = 120.0  # seconds that EC2 may hold a group after its last instance has ended


def find(account: AwsAccount, vpc: str) -> Described | None:
    """Return our group of a VPC as EC2 describes it, None where there is none."""
    found = _described(account, vpc, f"tag:{tags.GROUP}", tags.MACHINES)
    return found[0] if found else None


def ensure(account: AwsAccount, vpc: str, rules: Sequence[Rule], clock: Clock) -> str:
    """Return the id of our group of a VPC, made and opened as far as it is not yet.

    Others may do the same, or delete it with their last machine, at the same time. Raises ``CheckFailed`` where a
    group that is not ours has its name, ``DriverError`` otherwise.
    """

    def attempt() -> str:
        group = find(account, vpc) or _created(account, vpc, clock)
        _open(account, vpc, group, rules)
        return str(group["GroupId"])

    return _insisted(attempt, clock)


def interconnect(account: AwsAccount, vpc: str, openings: Sequence[NodePort], clock: Clock) -> None:
    """Let those who have our group of a VPC reach each other in these ways; nothing where there is no group."""

    def attempt() -> None:
        if group := find(account, vpc):
            _open(account, vpc, group, rules_within(str(group["GroupId"]), openings))

    _insisted(attempt, clock)


def _insisted(change: Callable[[], T], clock: Clock) -> T:
    failure: PymachineError | None = None
    for attempt in range(TRIES):
        try:
            return change()
        except (ApiError, Unsure) as error:
            if not _worth_another(error):
                raise
            failure = error
            clock.sleep(1.0 + attempt)
    assert failure is not None
    raise failure


def delete_unused(account: AwsAccount, vpc: str, clock: Clock) -> None:
    """Delete our group of a VPC unless another machine has it; what EC2 does not let go in time stays."""
    for _ in clock.ticks(RELEASE, 3.0):
        group = find(account, vpc)
        if not group or users(account, str(group["GroupId"])):
            return
        try:
            account.change("delete_security_group", "delete the security group", GroupId=group["GroupId"])
        except (ApiError, Unsure) as error:
            if isinstance(error, ApiError) and error.code not in IN_USE | GROUP_GONE and not is_throttled(error):
                raise
        else:
            return


def users(account: AwsAccount, group: str) -> list[Described]:
    """Return the instances that have the group and are not about to vanish."""
    return describe_instances(account, {"instance.group-id": (group,), "instance-state-name": KEPT})


def _worth_another(error: ApiError | Unsure) -> bool:
    return isinstance(error, Unsure) or error.code in GROUP_GONE or is_throttled(error)


def _described(account: AwsAccount, vpc: str, name: str, value: str) -> list[Described]:
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": name, "Values": [value]}]
    what = "look for the security group"
    return list(account.pages("describe_security_groups", "SecurityGroups", what, Filters=filters))


def _created(account: AwsAccount, vpc: str, clock: Clock) -> Described:
    try:
        return account.change(
            "create_security_group",
            "create the security group",
            GroupName=NAME,
            Description="pymachine: SSH and Docker of its machines",
            VpcId=vpc,
            TagSpecifications=[tags.specification("security-group", tags.of_group())],
        )
    except ApiError as error:
        if error.code != "InvalidGroup.Duplicate":
            raise
    return _of_others(account, vpc, clock)


def _of_others(account: AwsAccount, vpc: str, clock: Clock) -> Described:
    """Return the group that somebody else made in between. Raises ``CheckFailed`` where that is not ours."""
    found = until_seen(lambda: find(account, vpc), clock)
    if found:
        return found
    alien = _described(account, vpc, "group-name", NAME)
    if alien:
        raise CheckFailed(
            f"the security group {alien[0]['GroupId']} of {vpc} is named {NAME}, but was not made by pymachine",
            hint=f"give it to use it as it is: --aws-security-group {alien[0]['GroupId']}",
        )
    raise DriverError(
        f"{vpc} has a security group like {NAME}, and EC2 does not show it", hint="give --aws-security-group"
    )


def _open(account: AwsAccount, vpc: str, group: Described, rules: Sequence[Rule]) -> None:
    """Add the rules that are missing, in one call unless somebody else adds some of them as well."""
    closed = missing(rules, group)
    if not closed:
        return
    try:
        _authorise(account, group, closed)
    except ApiError as error:
        if error.code != "InvalidPermission.Duplicate":
            raise
        _open_one_by_one(account, group, missing(closed, find(account, vpc) or group))


def _open_one_by_one(account: AwsAccount, group: Described, rules: Sequence[Rule]) -> None:
    for rule in rules:
        try:
            _authorise(account, group, [rule])
        except ApiError as error:
            if error.code != "InvalidPermission.Duplicate":
                raise


def _authorise(account: AwsAccount, group: Described, rules: Sequence[Rule]) -> None:
    account.change(
        "authorize_security_group_ingress",
        "open ports in the security group",
        GroupId=group["GroupId"],
        IpPermissions=permissions(rules),
    )
