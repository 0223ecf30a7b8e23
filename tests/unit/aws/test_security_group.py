"""Our own security group: one of it, only what is missing opened, and nobody else's touched."""

from __future__ import annotations

from typing import Any

import pytest

from pymachine.driver import NodePort
from pymachine.errors import CheckFailed, DriverError
from pymachine_aws import security_group, tags
from pymachine_aws.api import ApiError
from pymachine_aws.config import PortRange
from pymachine_aws.security_group_rules import Rule, missing, permissions, rules_within, wanted_rules
from unit.aws_cloud import Cloud, lost, refusal

SSH = Rule("tcp", 22, 22, "192.0.2.1/32")
ENGINE = Rule("tcp", 2376, 2376, "192.0.2.1/32")


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def ensure(cloud: Cloud, *rules: Rule) -> str:
    return security_group.ensure(cloud, "vpc-1", rules or (SSH, ENGINE), cloud.time.clock)


def group_with(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"IpPermissions": list(entries)}


def entry(protocol: str, first: int, last: int, *cidrs: str) -> dict[str, Any]:
    return permissions([Rule(protocol, first, last, cidr) for cidr in cidrs])[0]


# Which rules are missing.


@pytest.mark.parametrize(
    "there",
    [
        entry("tcp", 22, 22, "192.0.2.1/32"),
        entry("tcp", 20, 25, "192.0.2.1/32"),
        entry("tcp", 22, 22, "198.51.100.0/24", "192.0.2.0/24"),
        entry("tcp", 0, 65535, "0.0.0.0/0"),
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "192.0.2.1/32"}]},
    ],
)
def test_a_rule_that_covers_port_and_source_counts(there: dict[str, Any]) -> None:
    assert missing([SSH], group_with(there)) == ()


@pytest.mark.parametrize(
    "there",
    [
        entry("udp", 22, 22, "192.0.2.1/32"),
        entry("tcp", 23, 30, "192.0.2.1/32"),
        entry("tcp", 22, 22, "192.0.2.0/31", "192.0.2.2/32"),
        entry("tcp", 22, 22, "::/0"),
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": "sg-1"}]},
    ],
)
def test_a_rule_that_is_narrower_or_elsewhere_does_not(there: dict[str, Any]) -> None:
    narrower = Rule("tcp", 22, 22, "192.0.2.0/24")
    assert missing([narrower], group_with(there)) == (narrower,)


def test_each_port_is_opened_to_each_source_once() -> None:
    ports = [PortRange(22, 22), PortRange(53, 53, "udp"), PortRange(22, 22)]
    assert wanted_rules(ports, ["192.0.2.7/24", "2001:db8::/32"]) == (
        Rule("tcp", 22, 22, "192.0.2.0/24"),
        Rule("tcp", 22, 22, "2001:db8::/32"),
        Rule("udp", 53, 53, "192.0.2.0/24"),
        Rule("udp", 53, 53, "2001:db8::/32"),
    )


# The group itself.


def test_the_first_makes_the_group_with_its_tag_and_the_next_finds_it(cloud: Cloud) -> None:
    first, second = ensure(cloud), ensure(cloud)
    assert first == second
    assert cloud.count("create_security_group") == 1
    assert tags.read(cloud.groups[first])[tags.GROUP] == tags.MACHINES


def test_what_is_open_already_costs_one_look(cloud: Cloud) -> None:
    ensure(cloud)
    cloud.calls.clear()
    ensure(cloud)
    assert [name for name, _ in cloud.calls] == ["describe_security_groups"]


def test_only_what_is_missing_is_opened(cloud: Cloud) -> None:
    ensure(cloud, SSH)
    ensure(cloud, SSH, ENGINE)
    assert [p["FromPort"] for p in cloud.last("authorize_security_group_ingress")["IpPermissions"]] == [2376]


def test_who_loses_the_race_for_the_group_takes_the_winners(cloud: Cloud) -> None:
    winner = cloud.add_group("pymachine", tags.listed(tags.of_group()))
    cloud.before["describe_security_groups"] = [None]
    hidden = cloud.groups.pop(winner)
    cloud.time.later(2.0, lambda: cloud.groups.update({winner: hidden}))
    cloud.before["create_security_group"] = [refusal("InvalidGroup.Duplicate")]
    assert ensure(cloud) == winner


def test_who_loses_the_race_for_a_rule_adds_the_others_one_by_one(cloud: Cloud) -> None:
    group = ensure(cloud, SSH)
    cloud.before["authorize_security_group_ingress"] = [refusal("InvalidPermission.Duplicate")]
    ensure(cloud, SSH, ENGINE)
    opened = cloud.groups[group]["IpPermissions"]
    assert sorted(each["FromPort"] for each in opened) == [22, 2376]


def test_a_group_of_our_name_without_our_tag_is_not_touched(cloud: Cloud) -> None:
    alien = cloud.add_group("pymachine", [])
    with pytest.raises(CheckFailed, match="pymachine") as caught:
        ensure(cloud)
    assert f"--aws-security-group {alien}" in str(caught.value.hint)
    assert cloud.groups[alien]["IpPermissions"] == []


def test_a_group_of_nearly_our_name_is_told(cloud: Cloud) -> None:
    cloud.add_group("PyMachine", [])
    with pytest.raises(DriverError, match="show it"):
        ensure(cloud)


@pytest.mark.parametrize("error", [refusal("InvalidGroup.NotFound"), lost(), refusal("RequestLimitExceeded")])
@pytest.mark.parametrize("operation", ["create_security_group", "authorize_security_group_ingress"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_group_that_is_shaky_is_made_sure_of(cloud: Cloud, error: DriverError, operation: str, when: str) -> None:
    getattr(cloud, when)[operation] = [error, error]
    group = ensure(cloud)
    assert list(cloud.groups) == [group]
    assert missing((SSH, ENGINE), cloud.groups[group]) == ()


def test_a_group_without_room_for_rules_stops_at_once(cloud: Cloud) -> None:
    cloud.before["authorize_security_group_ingress"] = [refusal("RulesPerSecurityGroupLimitExceeded")]
    with pytest.raises(ApiError):
        ensure(cloud)
    assert cloud.count("authorize_security_group_ingress") == 1


# Ways between the members of the group.

WAYS = (NodePort("tcp", 2377), NodePort("udp", 4789), NodePort("esp"))


def test_ways_between_members_are_open_to_members_alone(cloud: Cloud) -> None:
    group = ensure(cloud)
    cloud.calls.clear()
    for _ in range(2):
        security_group.interconnect(cloud, "vpc-1", WAYS, cloud.time.clock)
    (asked,) = [params for name, params in cloud.calls if name == "authorize_security_group_ingress"]
    pair = [{"GroupId": group, "Description": "pymachine"}]
    assert asked["IpPermissions"] == [
        {"IpProtocol": "tcp", "FromPort": 2377, "ToPort": 2377, "UserIdGroupPairs": pair},
        {"IpProtocol": "udp", "FromPort": 4789, "ToPort": 4789, "UserIdGroupPairs": pair},
        {"IpProtocol": "50", "UserIdGroupPairs": pair},
    ]


def test_without_a_group_of_ours_nothing_is_opened(cloud: Cloud) -> None:
    security_group.interconnect(cloud, "vpc-1", WAYS, cloud.time.clock)
    assert cloud.count("authorize_security_group_ingress") == cloud.count("create_security_group") == 0


def test_who_loses_the_race_for_a_way_opens_the_others(cloud: Cloud) -> None:
    group = ensure(cloud)
    cloud.before["authorize_security_group_ingress"] = [lost(), refusal("InvalidPermission.Duplicate")]
    security_group.interconnect(cloud, "vpc-1", WAYS, cloud.time.clock)
    assert missing(rules_within(group, WAYS), cloud.groups[group]) == ()


def test_a_way_for_another_group_or_for_addresses_is_none_for_ours() -> None:
    wanted = rules_within("sg-1", WAYS[:1])
    assert missing(wanted, group_with(entry("tcp", 2377, 2377, "sg-2"))) == wanted
    assert missing(wanted, group_with(entry("tcp", 2377, 2377, "0.0.0.0/0"))) == wanted
    assert missing(wanted, group_with(entry("tcp", 2300, 2400, "sg-1"))) == ()
