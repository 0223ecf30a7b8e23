"""Where an instance can be launched: subnets, types and images that go together, and as few calls as can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pymachine.driver import Request
from pymachine.errors import CheckFailed, Unreachable, UsageFault
from pymachine_aws.options import AwsOptions
from pymachine_aws.parse_options import read_options
from pymachine_aws.placement import survey
from pymachine_aws.site import Site
from unit.aws.test_images import an_image
from unit.aws_account import Answer, TableAccount, refusal

REGION = "eu-central-1"


def subnet_id(letter: str) -> str:
    return f"subnet-0000000{letter}"


def a_subnet(letter: str, **changes: Any) -> dict[str, Any]:
    return {
        "SubnetId": subnet_id(letter),
        "AvailabilityZone": f"{REGION}{letter}",
        "VpcId": "vpc-00000001",
        "State": "available",
        "AvailableIpAddressCount": 4091,
        "MapPublicIpOnLaunch": True,
        "Ipv6CidrBlockAssociationSet": [],
        **changes,
    }


def a_type(name: str, *arches: str, **changes: Any) -> dict[str, Any]:
    return {
        "InstanceType": name,
        "ProcessorInfo": {"SupportedArchitectures": list(arches or ("x86_64",))},
        "SupportedUsageClasses": ["on-demand", "spot"],
        "NetworkInfo": {"Ipv6Supported": True},
        **changes,
    }


def offered(**zones: str) -> dict[str, Any]:
    return {
        "InstanceTypeOfferings": [
            {"InstanceType": name.replace("_", "."), "Location": f"{REGION}{letter}"}
            for name, letters in zones.items()
            for letter in letters
        ]
    }


IPV6 = {"Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlockState": {"State": "associated"}}]}
GROUPS = {
    "SecurityGroups": [
        {"GroupId": "sg-00000001", "GroupName": "web"},
        {"GroupId": "sg-00000002", "GroupName": "docker-machine"},
    ]
}
PLAIN: Mapping[str, Answer] = {
    "describe_subnets": {"Subnets": [a_subnet("b"), a_subnet("a"), a_subnet("c")]},
    "describe_instance_types": {"InstanceTypes": [a_type("t3.small")]},
    "describe_instance_type_offerings": offered(t3_small="abc"),
    "get_parameters": {"Parameters": [{"Value": "ami-00000001"}]},
    "describe_images": {"Images": [an_image()]},
}
ONE_SUBNET = {"describe_subnets": {"Subnets": [a_subnet("a")]}}


class Survey:
    """One survey of an account that answers as ``PLAIN`` does, but for ``answers``."""

    def __init__(self, answers: Mapping[str, Answer] | None = None, **options: Any) -> None:
        self.account = TableAccount({**PLAIN, **(answers or {})}, REGION)
        self._options = AwsOptions(**options)

    def site(self) -> Site:
        request = Request("node1", "id", self._options, 2376)
        return survey(request, read_options(self._options), account=self.account)

    def refusal(self) -> CheckFailed:
        with pytest.raises(CheckFailed) as refused:
            self.site()
        assert refused.value.hint
        return refused.value

    def zones(self) -> list[str]:
        return [attempt.subnet.zone.removeprefix(REGION) for attempt in self.site().attempts]


def test_without_options_the_default_subnets_are_tried_in_turn_at_five_calls() -> None:
    plain = Survey()

    site = plain.site()

    assert [(each.type, each.subnet.id, each.market) for each in site.attempts] == [
        ("t3.small", subnet_id(letter), "") for letter in "abc"
    ]
    assert (site.vpc, site.groups) == ("vpc-00000001", ())
    assert sorted(plain.account.operations) == sorted(PLAIN)


def test_one_zone_and_one_type_need_no_offerings() -> None:
    one = Survey(aws_zone=("b",))

    assert one.zones() == ["b"]
    assert "describe_instance_type_offerings" not in one.account.operations


def test_zones_are_tried_in_the_order_in_which_they_are_given() -> None:
    assert Survey(aws_zone=("c", f"{REGION}a")).zones() == ["c", "a"]


def test_a_zone_without_subnet_is_refused_with_those_that_have_one() -> None:
    vpc = {"describe_vpcs": {"Vpcs": [{"VpcId": "vpc-00000001"}]}}

    refused = Survey(vpc, aws_zone=("f",)).refusal()

    assert "zone eu-central-1f" in refused.message
    assert "eu-central-1a, eu-central-1b, eu-central-1c" in str(refused.hint)


def test_markets_come_before_types_and_types_before_subnets() -> None:
    answers = {
        "describe_subnets": {"Subnets": [a_subnet("a"), a_subnet("b")]},
        "describe_instance_types": {"InstanceTypes": [a_type("t4g.small", "arm64"), a_type("t3.small")]},
        "describe_instance_type_offerings": offered(t3_small="ab", t4g_small="ab"),
        "get_parameters": {"Parameters": [{"Value": "ami-00000001"}, {"Value": "ami-00000002"}]},
        "describe_images": {"Images": [an_image(1), an_image(2, Architecture="arm64")]},
    }
    two = Survey(answers, aws_instance_type=("t3.small", "t4g.small"), aws_spot=True, aws_spot_fallback=True)

    tried = [(each.market, each.type, each.subnet.zone[-1], each.image.arch) for each in two.site().attempts]

    assert tried == [
        ("spot", "t3.small", "a", "x86_64"), ("spot", "t3.small", "b", "x86_64"),
        ("spot", "t4g.small", "a", "arm64"), ("spot", "t4g.small", "b", "arm64"),
        ("", "t3.small", "a", "x86_64"), ("", "t3.small", "b", "x86_64"),
        ("", "t4g.small", "a", "arm64"), ("", "t4g.small", "b", "arm64"),
    ]  # fmt: skip


# Subnets.


def test_given_subnets_are_tried_in_their_order() -> None:
    assert Survey(aws_subnet=(subnet_id("c"), subnet_id("a"))).zones() == ["c", "a"]


def test_a_subnet_that_is_not_there_is_named() -> None:
    assert subnet_id("d") in Survey(aws_subnet=(subnet_id("a"), subnet_id("d"))).refusal().message


def test_subnets_of_several_vpcs_cannot_share_a_security_group() -> None:
    apart = {"describe_subnets": {"Subnets": [a_subnet("a"), a_subnet("b", VpcId="vpc-00000002")]}}

    with pytest.raises(UsageFault, match="several VPCs"):
        Survey(apart, aws_subnet=(subnet_id("a"), subnet_id("b"))).site()


def test_a_subnet_of_another_vpc_than_the_given_one_is_refused() -> None:
    refused = Survey(aws_subnet=(subnet_id("a"),), aws_vpc="vpc-00000002").refusal()

    assert f"subnet {subnet_id('a')} is of vpc-00000001, not of vpc-00000002" in refused.message


def test_full_subnets_are_left_out() -> None:
    answers = {"describe_subnets": {"Subnets": [a_subnet("a", AvailableIpAddressCount=0), a_subnet("b")]}}

    assert Survey(answers).zones() == ["b"]


def test_where_all_subnets_are_full_it_is_said() -> None:
    answers = {"describe_subnets": {"Subnets": [a_subnet("a", AvailableIpAddressCount=0)]}}

    assert "vpc-00000001 " in Survey(answers).refusal().message


def test_of_two_subnets_of_a_zone_the_emptier_is_tried_first() -> None:
    crowded = a_subnet("a", SubnetId="subnet-00000000", AvailableIpAddressCount=3)
    answers = {"describe_subnets": {"Subnets": [crowded, a_subnet("a")]}}

    assert [each.subnet.id for each in Survey(answers).site().attempts] == [subnet_id("a"), "subnet-00000000"]


def test_private_subnets_beside_public_ones_are_left_out_for_a_public_address() -> None:
    answers = {"describe_subnets": {"Subnets": [a_subnet("a", MapPublicIpOnLaunch=False), a_subnet("b")]}}

    assert Survey(answers, aws_vpc="vpc-00000001").zones() == ["b"]
    assert Survey(answers, aws_vpc="vpc-00000001", aws_address="private").zones() == ["a", "b"]


def test_private_subnets_alone_are_taken() -> None:
    answers = {"describe_subnets": {"Subnets": [a_subnet("a", MapPublicIpOnLaunch=False)]}}

    assert Survey(answers).zones() == ["a"]


def test_local_zones_are_used_only_by_name() -> None:
    local = a_subnet("a", SubnetId="subnet-00000009", AvailabilityZone=f"{REGION}-ham-1a")
    answers = {"describe_subnets": {"Subnets": [local, a_subnet("a")]}}

    assert Survey(answers).zones() == ["a"]
    assert Survey(answers, aws_zone=(f"{REGION}-ham-1a",)).zones() == ["-ham-1a"]


def test_ipv6_takes_subnets_with_a_block() -> None:
    answers = {"describe_subnets": {"Subnets": [a_subnet("a"), a_subnet("b", **IPV6)]}}

    assert Survey(answers, aws_ipv6=True).zones() == ["b"]


def test_a_block_that_is_being_taken_away_does_not_count() -> None:
    leaving = {"Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlockState": {"State": "disassociating"}}]}

    refused = Survey({"describe_subnets": {"Subnets": [a_subnet("a", **leaving)]}}, aws_ipv6=True).refusal()

    assert "IPv6 block" in refused.message


def test_ipv6_without_any_block_is_refused() -> None:
    assert "IPv6 block" in Survey(aws_address="ipv6").refusal().message


def test_no_default_vpc_is_said_with_the_ways_out() -> None:
    refused = Survey({"describe_subnets": {"Subnets": []}, "describe_vpcs": {"Vpcs": []}}).refusal()

    assert "VPC in eu-central-1" in refused.message
    assert "create-default-vpc" in str(refused.hint)


def test_a_default_vpc_without_default_subnets_is_searched() -> None:
    answers: dict[str, Answer] = {
        "describe_subnets": [{"Subnets": []}, {"Subnets": [a_subnet("a")]}],
        "describe_vpcs": {"Vpcs": [{"VpcId": "vpc-00000001"}]},
    }

    assert Survey(answers).zones() == ["a"]


def test_a_vpc_that_is_not_there_is_told_from_one_without_subnets() -> None:
    empty: dict[str, Answer] = {"describe_subnets": {"Subnets": []}, "describe_vpcs": {"Vpcs": [{}]}}
    gone: dict[str, Answer] = {**empty, "describe_vpcs": refusal("InvalidVpcID.NotFound")}

    assert "vpc-00000001 " in Survey(empty, aws_vpc="vpc-00000001").refusal().message
    with pytest.raises(CheckFailed, match=r"InvalidVpcID\.NotFound"):
        Survey(gone, aws_vpc="vpc-00000001").site()


# Types.


def test_zones_that_do_not_offer_the_type_are_left_out() -> None:
    assert Survey({"describe_instance_type_offerings": offered(t3_small="ac")}).zones() == ["a", "c"]


def test_a_type_that_none_of_the_zones_offers_is_refused_with_the_zones() -> None:
    refused = Survey({"describe_instance_type_offerings": offered()}, aws_zone=("a", "b")).refusal()

    assert " in eu-central-1a, eu-central-1b" in refused.message


def test_a_type_that_does_not_exist_is_answered_with_those_like_it() -> None:
    refused = Survey(
        {"describe_instance_types": refusal("InvalidInstanceType")}, aws_instance_type=("t3.smal",)
    ).refusal()

    assert " t3.smal in eu-central-1" in refused.message
    assert "t3.small" in str(refused.hint)


def test_a_type_that_exists_elsewhere_only_is_not_called_a_slip() -> None:
    gone = Survey({"describe_instance_types": refusal("InvalidInstanceType")}, aws_instance_type=("m1.small",))

    assert "mean" not in str(gone.refusal().hint)


def test_a_type_for_mac_is_refused() -> None:
    answers = {"describe_instance_types": {"InstanceTypes": [a_type("t3.small", "x86_64_mac")]}}

    assert "x86_64_mac only" in Survey(answers).refusal().message


def test_an_ami_of_the_wrong_architecture_is_refused_with_both() -> None:
    answers = {"describe_images": {"Images": [an_image(Architecture="arm64")]}}

    message = Survey(answers, aws_image="ami-00000001").refusal().message

    assert "ami-00000001 is for arm64, instance type t3.small for x86_64" in message


def test_a_type_without_spot_is_left_out_of_spot_only() -> None:
    dear = a_type("u.large", SupportedUsageClasses=["on-demand"])
    answers = {
        **ONE_SUBNET,
        "describe_instance_types": {"InstanceTypes": [a_type("t3.small"), dear]},
        "describe_instance_type_offerings": offered(t3_small="a", u_large="a"),
    }
    both = Survey(answers, aws_instance_type=("u.large", "t3.small"), aws_spot=True, aws_spot_fallback=True)

    tried = [(each.market, each.type) for each in both.site().attempts]

    assert tried == [("spot", "t3.small"), ("", "u.large"), ("", "t3.small")]


def test_types_without_spot_are_refused_for_spot_alone() -> None:
    answers = {
        "describe_instance_types": {"InstanceTypes": [a_type("t3.small", SupportedUsageClasses=["on-demand"])]}
    }

    assert " spot" in Survey(answers, aws_spot=True).refusal().message


def test_types_without_ipv6_are_refused_for_it() -> None:
    answers = {
        "describe_subnets": {"Subnets": [a_subnet("a", **IPV6)]},
        "describe_instance_types": {"InstanceTypes": [a_type("t3.small", NetworkInfo={"Ipv6Supported": False})]},
    }

    assert " IPv6" in Survey(answers, aws_ipv6=True).refusal().message


def test_another_device_than_the_root_would_be_a_second_volume() -> None:
    assert "/dev/sda1, not /dev/xvda" in Survey(aws_device_name="/dev/xvda").refusal().message

    assert Survey(aws_device_name="/dev/sda1").site().attempts


# Groups and keys of the user's.


def test_groups_are_found_by_id_and_by_name_in_one_call() -> None:
    mixed = Survey({"describe_security_groups": GROUPS}, aws_security_group=("docker-machine", "sg-00000001"))

    assert mixed.site().groups == ("sg-00000002", "sg-00000001")
    assert mixed.account.operations.count("describe_security_groups") == 1
    assert mixed.account.calls[-1][1]["Filters"] == [{"Name": "vpc-id", "Values": ["vpc-00000001"]}]


def test_names_alone_are_asked_for_by_name() -> None:
    named = Survey({"describe_security_groups": GROUPS}, aws_security_group=("web",))

    assert named.site().groups == ("sg-00000001",)
    assert named.account.calls[-1][1]["Filters"][1] == {"Name": "group-name", "Values": ["web"]}


def test_a_group_that_is_not_in_the_vpc_is_answered_with_one_like_it() -> None:
    answers: dict[str, Answer] = {"describe_security_groups": [{"SecurityGroups": []}, GROUPS]}

    refused = Survey(answers, aws_security_group=("wep",)).refusal()

    assert " wep in vpc-00000001" in refused.message
    assert " web?" in str(refused.hint)


def test_a_key_pair_that_is_not_there_is_refused() -> None:
    there: dict[str, Answer] = {"describe_key_pairs": {"KeyPairs": [{"KeyName": "k"}]}}

    assert Survey(there, aws_key_pair="k").site().attempts
    assert "key pair k" in Survey({"describe_key_pairs": {"KeyPairs": []}}, aws_key_pair="k").refusal().message


# What AWS says.


@pytest.mark.parametrize("operation", sorted(set(PLAIN) - {"get_parameters"}))
def test_a_refusal_by_aws_is_one_before_anything_was_made(operation: str) -> None:
    denied = refusal("UnauthorizedOperation", "not allowed")

    refused = Survey({operation: denied})
    with pytest.raises(CheckFailed, match="not allowed") as failed:
        refused.site()
    assert failed.value.exit_code == 3


def test_an_aws_that_does_not_answer_is_not_a_refusal() -> None:
    with pytest.raises(Unreachable):
        Survey({"describe_subnets": Unreachable("no answer")}).site()
