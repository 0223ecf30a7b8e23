"""Surveys against a strict EC2, through boto3: what is found, and at how many calls."""

from __future__ import annotations

from typing import Any

import pytest

from lab.ec2.faults import Fault
from lab.ec2.server import Ec2Server
from pymachine.driver import Request
from pymachine.errors import CheckFailed, UsageFault
from pymachine_aws import images
from pymachine_aws.api import ApiError, AwsAccount, Unsure
from pymachine_aws.options import AwsOptions
from pymachine_aws.parse_options import read_options
from pymachine_aws.placement import survey
from pymachine_aws.public_address import public_cidrs
from pymachine_aws.site import Site

REGION = "us-east-1"


@pytest.fixture(autouse=True)
def leads_here(ec2: Ec2Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ec2.environ(REGION).items():
        monkeypatch.setenv(name, value)


def surveyed(**given: Any) -> Site:
    options = AwsOptions(**given)
    return survey(Request("node1", "id", options, 2376), read_options(options))


def refusal(**given: Any) -> CheckFailed:
    with pytest.raises(CheckFailed) as refused:
        surveyed(**given)
    assert refused.value.hint
    return refused.value


def test_a_plain_survey_costs_five_calls(ec2: Ec2Server) -> None:
    site = surveyed()

    assert sorted(ec2.actions()) == [
        "DescribeImages", "DescribeInstanceTypeOfferings", "DescribeInstanceTypes", "DescribeSubnets", "GetParameters"
    ]  # fmt: skip
    assert len(site.attempts) > 1
    assert {each.subnet.vpc for each in site.attempts} == {site.vpc}
    assert all(each.subnet.public for each in site.attempts)


def test_with_one_zone_it_costs_four(ec2: Ec2Server) -> None:
    assert [each.subnet.zone for each in surveyed(aws_zone=("b",)).attempts] == ["us-east-1b"]
    assert len(ec2.actions()) == 4


def test_with_groups_and_a_key_pair_it_costs_one_more_each(ec2: Ec2Server) -> None:
    ec2.client().create_key_pair(KeyName="mine")
    before = len(ec2.actions())

    site = surveyed(aws_zone=("a",), aws_security_group=("default",), aws_key_pair="mine")

    assert len(ec2.actions()) - before == 6
    assert site.groups[0].startswith("sg-")


@pytest.mark.parametrize("alias", [name for name in images.ALIASES if name != "ubuntu-26.04"])
def test_every_alias_has_an_image_for_both_architectures(alias: str) -> None:
    found = images.find(AwsAccount(REGION, retries=1), alias, ["x86_64", "arm64"])

    assert set(found) == {"x86_64", "arm64"}
    assert all(image.device.startswith("/dev/") and image.size >= 2 for image in found.values())


def test_without_the_right_to_ask_systems_manager_the_same_images_are_found_by_name(ec2: Ec2Server) -> None:
    account = AwsAccount(REGION, retries=1)
    by_parameter = images.find(account, "debian-13", ["x86_64", "arm64"])
    ec2.inject(Fault("error", action="GetParameters", code="AccessDeniedException", message="no", status=400))

    assert images.find(account, "debian-13", ["x86_64", "arm64"]) == by_parameter


def test_types_of_two_architectures_each_get_their_image() -> None:
    site = surveyed(aws_zone=("a",), aws_instance_type=("t3.small", "t4g.small"))

    assert [(each.type, each.image.arch) for each in site.attempts] == [
        ("t3.small", "x86_64"),
        ("t4g.small", "arm64"),
    ]


def test_a_vpc_of_ones_own_is_searched(ec2: Ec2Server) -> None:
    client = ec2.client()
    vpc = client.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24", AvailabilityZone="us-east-1c")["Subnet"][
        "SubnetId"
    ]

    found = surveyed(aws_vpc=vpc).attempts

    assert [(each.subnet.id, each.subnet.public) for each in found] == [(subnet, False)]
    assert "is of" in refusal(aws_vpc="vpc-0123456789abcdef0", aws_subnet=(subnet,)).message


def test_an_ipv6_subnet_is_known_by_its_block(ec2: Ec2Server) -> None:
    made = ec2.network("10.8.0.0/24", REGION, "2001:db8:8::/64")

    found = surveyed(aws_subnet=(made["subnet"],), aws_address="ipv6").attempts

    assert found[0].subnet.ipv6


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"aws_zone": ("q",)}, " us-east-1q"),
        ({"aws_instance_type": ("t3.smal",)}, " t3.smal"),
        ({"aws_image": "ami-0123456789abcdef0"}, "no image ami-0123456789abcdef0"),
        ({"aws_subnet": ("subnet-0123456789abcdef0",)}, "no subnet subnet-0123456789abcdef0"),
        ({"aws_vpc": "vpc-0123456789abcdef0"}, "InvalidVpcID.NotFound"),
        ({"aws_security_group": ("nobodys",)}, "group nobodys"),
        ({"aws_key_pair": "nobodys"}, "pair nobodys"),
        ({"aws_ipv6": True}, "IPv6 block"),
        ({"aws_device_name": "/dev/xvdz"}, "not /dev/xvdz"),
    ],
)
def test_what_the_account_does_not_have_is_refused_before_anything_is_made(
    ec2: Ec2Server, given: dict[str, Any], said: str
) -> None:
    assert said in refusal(**given).message
    assert all(action.startswith(("Describe", "Get")) for action in ec2.actions())


def test_a_throttled_survey_is_repeated_by_itself(ec2: Ec2Server) -> None:
    ec2.inject(Fault("error", action="DescribeSubnets", code="RequestLimitExceeded", status=503, times=2))

    assert surveyed(aws_zone=("a",)).attempts
    assert ec2.actions().count("DescribeSubnets") == 3


def test_a_change_whose_answer_is_lost_is_unsure_and_was_carried_out(ec2: Ec2Server) -> None:
    ec2.inject(Fault("drop", "after", action="CreateSecurityGroup"))
    account = AwsAccount(REGION)
    vpc = surveyed(aws_zone=("a",)).vpc

    with pytest.raises(Unsure):
        account.change("create_security_group", "make a group", GroupName="g", Description="d", VpcId=vpc)
    with pytest.raises(ApiError) as again:
        account.change("create_security_group", "make a group", GroupName="g", Description="d", VpcId=vpc)
    assert again.value.code == "InvalidGroup.Duplicate"


def test_where_we_come_from_is_asked_of_a_page(ec2: Ec2Server) -> None:
    assert public_cidrs(ec2.checkip) == ("127.0.0.1/32",)


def test_without_a_region_the_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    with pytest.raises(UsageFault, match="AWS region"):
        surveyed()
