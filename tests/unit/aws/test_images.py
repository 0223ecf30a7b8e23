"""From aliases and ids to AMIs, by parameters of Systems Manager or by owner and name."""

from __future__ import annotations

from typing import Any

import pytest

from pymachine.errors import CheckFailed, Unreachable
from pymachine_aws import images
from unit.aws_account import Answer, TableAccount, refusal

NOBLE = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20250610"


def an_image(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "ImageId": f"ami-0000000{number}",
        "Name": NOBLE,
        "OwnerId": "099720109477",
        "Architecture": "x86_64",
        "State": "available",
        "RootDeviceType": "ebs",
        "RootDeviceName": "/dev/sda1",
        "CreationDate": f"2026-0{number}-01T00:00:00.000Z",
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}},
        ],
        **changes,
    }


def parameters(*ids: str) -> dict[str, Any]:
    return {"Parameters": [{"Name": "p", "Value": each} for each in ids]}


def account(described: Answer, ssm: Answer | None = None) -> TableAccount:
    return TableAccount({"describe_images": described, "get_parameters": ssm if ssm is not None else parameters()})


def test_an_alias_is_what_its_makers_parameter_names() -> None:
    here = account({"Images": [an_image()]}, parameters("ami-00000001"))

    found = images.find(here, "ubuntu-24.04", ["x86_64"])

    assert found["x86_64"].id == "ami-00000001"
    assert (found["x86_64"].device, found["x86_64"].size, found["x86_64"].user) == ("/dev/sda1", 8, "ubuntu")
    assert here.calls == [
        (
            "get_parameters",
            {"Names": ["/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"]},
        ),
        ("describe_images", {"ImageIds": ["ami-00000001"]}),
    ]


def test_two_architectures_cost_no_more_calls_than_one() -> None:
    both = [an_image(1), an_image(2, Architecture="arm64")]
    here = account({"Images": both}, parameters("ami-00000001", "ami-00000002"))

    found = images.find(here, "ubuntu-24.04", ["x86_64", "arm64"])

    assert {arch: image.id for arch, image in found.items()} == {"x86_64": "ami-00000001", "arm64": "ami-00000002"}
    assert here.operations == ["get_parameters", "describe_images"]


@pytest.mark.parametrize("fault", [refusal("AccessDeniedException"), Unreachable("cannot reach SSM"), parameters()])
def test_without_parameters_it_is_the_newest_by_owner_and_name(fault: Answer) -> None:
    here = account({"Images": [an_image(2), an_image(3), an_image(1)]}, fault)

    found = images.find(here, "ubuntu-24.04", ["x86_64"])

    assert found["x86_64"].id == "ami-00000003"
    asked = here.calls[-1][1]
    assert asked["Owners"][0] == "099720109477"
    assert asked["Filters"][0]["Values"] == ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"]
    assert here.operations == ["get_parameters", "describe_images"]


def test_an_architecture_that_the_parameters_lack_is_looked_for_by_name() -> None:
    here = account(
        [{"Images": [an_image(1)]}, {"Images": [an_image(2, Architecture="arm64")]}], parameters("ami-00000001")
    )

    assert set(images.find(here, "debian-13", ["x86_64", "arm64"])) == {"x86_64", "arm64"}
    assert here.calls[-1][1]["Filters"][0]["Values"] == ["debian-13-arm64-*"]


def test_a_parameter_that_names_an_image_of_the_past_does_not_stop_the_search() -> None:
    here = account([refusal("InvalidAMIID.NotFound"), {"Images": [an_image(2)]}], parameters("ami-00000009"))

    assert images.find(here, "ubuntu-24.04", ["x86_64"])["x86_64"].id == "ami-00000002"


def test_an_alias_without_any_image_is_refused() -> None:
    with pytest.raises(CheckFailed, match="no image debian-13 for arm64 in eu-central-1") as failed:
        images.find(account({"Images": []}), "debian-13", ["arm64"])
    assert failed.value.hint


def test_an_ami_is_looked_at_and_systems_manager_is_not_asked() -> None:
    here = account({"Images": [an_image(1, Name="mine", OwnerId="1", Architecture="arm64")]})

    found = images.find(here, "ami-00000001", ["x86_64"])

    assert set(found) == {"arm64"}
    assert found["arm64"].user == "ec2-user"
    assert here.operations == ["describe_images"]


@pytest.mark.parametrize(
    "answer", [{"Images": []}, refusal("InvalidAMIID.NotFound"), refusal("InvalidAMIID.Unavailable")]
)
def test_an_ami_of_another_region_is_refused(answer: Answer) -> None:
    with pytest.raises(CheckFailed, match="no image ami-00000001 in eu-central-1") as failed:
        images.find(account(answer), "ami-00000001", ["x86_64"])
    assert "region" in str(failed.value.hint)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"State": "pending"}, "is pending"),
        ({"Platform": "windows"}, "is Windows"),
        ({"RootDeviceType": "instance-store"}, "EBS volume"),
        ({"Architecture": "x86_64_mac"}, "is for x86_64_mac"),
        ({"Architecture": "i386"}, "is for i386"),
    ],
)
def test_an_image_that_cannot_be_a_docker_host_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckFailed, match=said) as failed:
        images.find(account({"Images": [an_image(**changes)]}), "ami-00000001", ["x86_64"])
    assert failed.value.hint


@pytest.mark.parametrize(
    ("name", "owner", "user"),
    [
        ("my-golden-image", "099720109477", "ubuntu"),
        ("my-golden-image", "136693071363", "admin"),
        ("debian-12-amd64-20250814", "1", "admin"),
        ("al2023-ami-2023.8-kernel-6.1-x86_64", "137112412989", "ec2-user"),
        ("RHEL-9.4.0_HVM", "309956199498", "ec2-user"),
        ("Rocky-9-EC2-Base", "792107900819", "rocky"),
        ("Fedora-Cloud-Base-AmazonEC2", "125523088429", "fedora"),
        ("my-golden-image", "1", ""),
    ],
)
def test_the_account_of_an_image_is_known_by_owner_or_name_or_not_at_all(name: str, owner: str, user: str) -> None:
    here = account({"Images": [an_image(Name=name, OwnerId=owner)]})

    assert images.user_of(here, "ami-00000001") == user


def test_an_image_that_is_gone_has_no_account() -> None:
    assert images.user_of(account(refusal("InvalidAMIID.NotFound")), "ami-00000001") == ""


def test_no_right_to_look_at_images_is_not_taken_for_an_image_that_is_gone() -> None:
    with pytest.raises(Exception, match="UnauthorizedOperation"):
        images.user_of(account(refusal("UnauthorizedOperation")), "ami-00000001")
