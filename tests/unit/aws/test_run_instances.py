"""The request for an instance: what each wish comes to. Whole requests are in tests/golden/aws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pymachine_aws import tags
from pymachine_aws.config import LaunchConfig, Volume
from pymachine_aws.run_instances import Parts, digest_of, run_body
from pymachine_aws.site import Attempt
from unit.aws_wishes import FIRST, MACHINE, PLAIN, SECOND, UBUNTU, way

TAGS = tags.of_machine("node1", MACHINE, "store-1", {})
PARTS = Parts(TAGS, b"#cloud-config\n", ("sg-1",))


def body(wanted: LaunchConfig = PLAIN, attempt: Attempt = FIRST, parts: Parts = PARTS) -> dict[str, Any]:
    return run_body(wanted, attempt, parts)


def test_the_metadata_service_wants_tokens_and_reaches_containers() -> None:
    options = body()["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 2)


@pytest.mark.parametrize(("size", "given"), [(4, 8), (8, 8), (64, 64)])
def test_the_root_volume_is_never_smaller_than_the_image(size: int, given: int) -> None:
    (disk,) = body(replace(PLAIN, volume=Volume(size, "gp3")))["BlockDeviceMappings"]
    assert disk["Ebs"]["VolumeSize"] == given
    assert disk["Ebs"]["DeleteOnTermination"] is True


def test_the_root_device_is_the_images() -> None:
    amazon = replace(FIRST, image=replace(UBUNTU, device="/dev/xvda"))
    assert body(attempt=amazon)["BlockDeviceMappings"][0]["DeviceName"] == "/dev/xvda"


@pytest.mark.parametrize("public", [True, False, None])
def test_a_public_address_is_left_to_the_subnet_unless_asked_for(public: bool | None) -> None:
    (interface,) = body(way(public=public))["NetworkInterfaces"]
    assert interface.get("AssociatePublicIpAddress") is public


def test_group_and_subnet_are_the_interfaces_alone() -> None:
    asked = body()
    assert asked["NetworkInterfaces"][0]["Groups"] == ["sg-1"]
    assert not {"SubnetId", "SecurityGroupIds", "SecurityGroups"} & asked.keys()


def test_spot_is_one_time_at_the_on_demand_price_unless_one_is_given() -> None:
    spot = replace(FIRST, market="spot")
    options = body(attempt=spot)["InstanceMarketOptions"]["SpotOptions"]
    assert options["SpotInstanceType"] == "one-time"
    assert "MaxPrice" not in options
    priced = body(replace(PLAIN, spot_price="0.05"), spot)
    assert priced["InstanceMarketOptions"]["SpotOptions"]["MaxPrice"] == "0.05"


def test_a_spot_request_is_tagged_and_says_nothing_of_shutting_down() -> None:
    # EC2 refuses InstanceInitiatedShutdownBehavior=stop for spot.
    asked = body(attempt=replace(FIRST, market="spot"))
    kinds = [each["ResourceType"] for each in asked["TagSpecifications"]]
    assert kinds == ["instance", "volume", "network-interface", "spot-instances-request"]
    assert "InstanceInitiatedShutdownBehavior" not in asked


@pytest.mark.parametrize("key", ["cost centre", "a/b", "_index", ".", ".."])
def test_tags_that_metadata_cannot_show_do_not_stop_the_launch(key: str) -> None:
    assert (
        body(parts=replace(PARTS, tags={**TAGS, key: "x"}))["MetadataOptions"]["InstanceMetadataTags"] == "disabled"
    )
    assert body()["MetadataOptions"]["InstanceMetadataTags"] == "enabled"


def test_the_users_tags_may_rename_the_instance_but_not_hide_it() -> None:
    carried = tags.of_machine("node1", MACHINE, "store-1", {"Name": "web", tags.ID: "other"})
    assert carried["Name"] == "web"
    assert carried[tags.ID] == MACHINE


def test_the_same_wishes_give_the_same_digest_and_others_another() -> None:
    assert digest_of(body()) == digest_of(body())
    others = [
        body(attempt=SECOND),
        body(replace(PLAIN, monitoring=True)),
        body(parts=replace(PARTS, user_data=b"#!/bin/sh\n")),
        body(parts=replace(PARTS, groups=("sg-2",))),
        body(parts=replace(PARTS, key_pair="mine")),
    ]
    assert len({digest_of(each) for each in (body(), *others)}) == len(others) + 1
