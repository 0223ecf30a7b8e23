"""What is left over: everything with our tags that no machine needs, and never what one may need yet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from pymachine.driver import Leftover, Search
from pymachine.errors import DriverError
from pymachine_aws import leftovers
from pymachine_aws.options import AwsOptions
from unit.aws_life import LAUNCHED, Region, described, ec2, refusal, tagged

NOW = LAUNCHED + timedelta(hours=1)


def found(region: Region, known: Mapping[str, Any] | None = None) -> list[Leftover]:
    options = AwsOptions(aws_region="eu-central-1", aws_profile="work")
    return leftovers.find(Search(options, "this-store", known or {}), lambda wanted: region, NOW)


def own_group(vpc: str = "vpc-1") -> dict[str, Any]:
    return {"GroupId": "sg-1", "VpcId": vpc, "Tags": [{"Key": "pymachine:group", "Value": "machines"}]}


def volume(state: str = "available", machine: str = "gone") -> dict[str, Any]:
    return {
        "VolumeId": "vol-1", "Size": 16, "VolumeType": "gp3", "AvailabilityZone": "eu-central-1a", "State": state,
        "CreateTime": LAUNCHED, "Tags": tagged(machine),
    }  # fmt: skip


def ids(leftover: list[Leftover]) -> list[str]:
    return [each.id for each in leftover]


def test_everything_that_is_left_is_listed_in_the_order_of_its_removal() -> None:
    member = [{"GroupId": "sg-1"}]
    region = Region(described("i-1", Tags=tagged("gone", name="old"), SecurityGroups=member))
    region.things["Volumes"].append(volume())
    region.things["KeyPairs"].append({"KeyPairId": "key-1", "KeyName": "pymachine-old", "Tags": tagged("gone")})
    region.things["SecurityGroups"].append(own_group())
    listed = found(region)
    assert [(each.kind, each.id) for each in listed] == [
        ("instance", "i-1"), ("volume", "vol-1"), ("key pair", "pymachine-old"), ("security group", "sg-1"),
    ]  # fmt: skip
    instance = listed[0]
    assert (instance.name, instance.place, instance.ours) == ("old", "eu-central-1", True)
    assert instance.detail == "t3.small in eu-central-1a, running"
    assert instance.created == "2026-11-25T10:00:00+00:00"
    assert listed[1].detail == "16 GiB, gp3 in eu-central-1a"
    assert all(operation.startswith("describe_") for operation in region.operations())


def test_what_another_store_made_is_marked_as_such_and_its_group_with_it() -> None:
    region = Region(described("i-1", Tags=tagged("x", store="other"), SecurityGroups=[{"GroupId": "sg-1"}]))
    region.things["SecurityGroups"].append(own_group())
    assert [(each.id, each.ours) for each in found(region)] == [("i-1", False), ("sg-1", False)]


def test_the_instance_of_a_known_machine_is_none_and_a_second_one_is() -> None:
    region = Region(described("i-1", Tags=tagged("m")), described("i-2", Tags=tagged("m")))
    assert ids(found(region, {"m": ec2("i-1").handle()})) == ["i-2"]


@pytest.mark.parametrize("handle", [{}, ec2("", token="begun").handle()], ids=["nothing yet", "launch begun"])
def test_a_machine_whose_create_is_under_way_keeps_all_it_may_have(handle: Mapping[str, Any]) -> None:
    region = Region(described("i-1", Tags=tagged("m")))
    region.things["Volumes"].append(volume(machine="m"))
    region.things["KeyPairs"].append({"KeyPairId": "key-1", "KeyName": "k", "Tags": tagged("m")})
    assert found(region, {"m": handle}) == []


def test_an_instance_that_was_adopted_under_another_id_is_none() -> None:
    region = Region(described("i-1", Tags=tagged("of-a-lost-store")))
    assert found(region, {"new": ec2("i-1", adopted=True).handle()}) == []


def test_what_was_launched_since_the_search_began_is_left_alone() -> None:
    later = NOW + timedelta(seconds=2)
    region = Region(described("i-1", Tags=tagged("x"), LaunchTime=later))
    region.things["KeyPairs"].append({"KeyPairId": "key-1", "KeyName": "k", "Tags": tagged("x"), "CreateTime": later})
    assert found(region) == []


@pytest.mark.parametrize("state", ["terminated", "shutting-down"])
def test_what_has_ended_costs_nothing(state: str) -> None:
    assert found(Region(described("i-1", state, Tags=tagged("x")))) == []


def test_a_volume_in_use_and_things_without_our_tags_are_none() -> None:
    region = Region(described("i-1"))
    region.things["Volumes"] += [volume("in-use"), {**volume(), "Tags": []}]
    region.things["SecurityGroups"].append({**own_group(), "Tags": []})
    assert found(region) == []


@pytest.mark.parametrize(
    "handle", [ec2(group="sg-1", vpc="vpc-1").handle(), ec2("", vpc="vpc-1", group="").handle()],
    ids=["on record", "about to be"],
)  # fmt: skip
def test_a_group_that_a_machine_has_or_is_about_to_have_stays(handle: Mapping[str, Any]) -> None:
    region = Region()
    region.things["SecurityGroups"].append(own_group())
    assert found(region, {"m": handle}) == []


def test_a_group_that_somebody_elses_instance_has_stays() -> None:
    region = Region(described("i-9", SecurityGroups=[{"GroupId": "sg-1"}]))
    region.things["SecurityGroups"].append(own_group())
    assert found(region) == []


def left(kind: str, name: str = "x-1") -> Leftover:
    place = {"region": "eu-central-1", "profile": None, "endpoint_url": None}
    return Leftover(kind, name, "node1", "eu-central-1", handle=place)


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("volume", ("delete_volume", {"VolumeId": "x-1"})),
        ("key pair", ("delete_key_pair", {"KeyName": "x-1"})),
        ("security group", ("delete_security_group", {"GroupId": "x-1"})),
    ],
)
def test_each_kind_is_removed_by_its_id(kind: str, call: tuple[str, dict[str, str]]) -> None:
    region = Region()
    leftovers.discard(left(kind), region, region.time.clock)
    assert region.calls == [call]


def test_an_instance_is_terminated() -> None:
    region = Region(described("i-1"))
    leftovers.discard(left("instance", "i-1"), region, region.time.clock)
    assert region.instances["i-1"]["State"]["Name"] == "shutting-down"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("instance", "InvalidInstanceID.NotFound"), ("volume", "InvalidVolume.NotFound"),
        ("key pair", "InvalidKeyPair.NotFound"), ("security group", "InvalidGroup.NotFound"),
    ],
)  # fmt: skip
def test_what_is_gone_already_is_no_error(kind: str, code: str) -> None:
    region = Region()
    region.before[f"{'terminate_instances' if kind == 'instance' else 'delete_' + kind.replace(' ', '_')}"] = [
        refusal(code)
    ]
    leftovers.discard(left(kind), region, region.time.clock)
    assert len(region.calls) == 1


def test_a_group_that_an_instance_on_its_way_out_still_has_is_waited_for() -> None:
    region = Region()
    region.before["delete_security_group"] += [refusal("DependencyViolation") for _ in range(5)]
    leftovers.discard(left("security group"), region, region.time.clock)
    assert region.operations() == ["delete_security_group"] * 6


def test_a_group_that_stays_in_use_is_an_error_in_the_end() -> None:
    region = Region()
    region.before["delete_security_group"] += [refusal("DependencyViolation", "has a dependent") for _ in range(500)]
    with pytest.raises(DriverError, match="has a dependent"):
        leftovers.discard(left("security group"), region, region.time.clock)
    assert 180 <= region.time.seconds < 200


def test_a_protected_instance_is_an_error_that_says_how_to_lift_it() -> None:
    region = Region(described("i-1"))
    region.before["terminate_instances"].append(refusal("OperationNotPermitted"))
    with pytest.raises(DriverError, match="i-1 is protected") as fault:
        leftovers.discard(left("instance", "i-1"), region, region.time.clock)
    assert "--no-disable-api-termination" in (fault.value.hint or "")


def test_a_volume_in_use_is_not_waited_for() -> None:
    region = Region()
    region.before["delete_volume"].append(refusal("VolumeInUse"))
    with pytest.raises(DriverError):
        leftovers.discard(left("volume"), region, region.time.clock)
    assert len(region.calls) == 1
