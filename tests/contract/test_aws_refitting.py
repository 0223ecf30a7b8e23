"""Other options for instances that exist, through boto3 and HTTP, against an EC2 that is as strict as AWS."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from contract.aws_creating import AT_ONCE, QUICK, REGION
from lab.ec2.server import Ec2Server
from pymachine.driver import InPlaceUpdate, Instance, Listener, Request, UpdatesInPlace
from pymachine.errors import CheckFailed, DriverError
from pymachine_aws import AwsDriver, AwsOptions
from pymachine_aws.handle import Ec2
from unit.aws_wishes import LOGIN

MADE = AwsOptions(aws_allow=("203.0.113.9/32",), aws_tag=("team=red", "cost=1"))


@pytest.fixture
def driver(ec2: Ec2Server, monkeypatch: pytest.MonkeyPatch) -> AwsDriver:
    for name, value in ec2.environ(REGION).items():
        monkeypatch.setenv(name, value)
    ec2.set(**AT_ONCE)
    return AwsDriver(QUICK)


def made(driver: AwsDriver, options: AwsOptions = MADE) -> Instance:
    asked = Request("node1", "1" * 32, options, 2376, owner="store", login=LOGIN)
    return driver.create(asked, lambda handle: None)


def change(before: AwsOptions = MADE, **changed: Any) -> InPlaceUpdate:
    return InPlaceUpdate(before, replace(before, **changed), tuple(changed), 2376)


def described(ec2: Ec2Server, instance: Instance) -> dict[str, Any]:
    found = ec2.client("ec2", REGION).describe_instances(InstanceIds=[Ec2.of(instance.handle).instance])
    return dict(found["Reservations"][0]["Instances"][0])


def volume(ec2: Ec2Server) -> dict[str, Any]:
    (found,) = ec2.client("ec2", REGION).describe_volumes()["Volumes"]
    return dict(found)


def tags(ec2: Ec2Server, thing: str) -> dict[str, str]:
    filters = [{"Name": "resource-id", "Values": [thing]}]
    return {each["Key"]: each["Value"] for each in ec2.client("ec2", REGION).describe_tags(Filters=filters)["Tags"]}


def test_what_can_be_changed_are_options(driver: AwsDriver) -> None:
    assert isinstance(driver, UpdatesInPlace)
    assert {name for name, kind in driver.alters.items() if kind == "refit"} <= {f.name for f in fields(AwsOptions)}


def test_another_type_needs_the_instance_off_and_is_there_afterwards(driver: AwsDriver, ec2: Ec2Server) -> None:
    instance, other = made(driver), change(aws_instance_type=("t3.large",))
    assert driver.needs_power_off(instance.handle, other)
    with pytest.raises(DriverError, match="'stopped'"):
        driver.refit(instance.handle, other)
    driver.stop(instance.handle)
    driver.refit(instance.handle, other)
    driver.start(instance.handle)
    assert described(ec2, instance)["InstanceType"] == "t3.large"
    assert not driver.needs_power_off(instance.handle, other), "it is so already"


def test_one_more_type_to_try_changes_nothing(driver: AwsDriver, ec2: Ec2Server) -> None:
    instance, other = made(driver), change(aws_instance_type=("t3.large", "t3.small"))
    assert not driver.needs_power_off(instance.handle, other)
    driver.refit(instance.handle, other)
    assert described(ec2, instance)["InstanceType"] == "t3.small"
    assert ec2.calls("ModifyInstanceAttribute") == []


def test_the_first_type_that_fits_is_taken(driver: AwsDriver, ec2: Ec2Server) -> None:
    instance, other = made(driver), change(aws_instance_type=("t4g.large", "t3.xlarge"))
    driver.stop(instance.handle)
    driver.refit(instance.handle, other)
    assert described(ec2, instance)["InstanceType"] == "t3.xlarge"


def test_a_type_of_another_architecture_is_refused_before_anything_is_stopped(driver: AwsDriver) -> None:
    instance = made(driver)
    with pytest.raises(CheckFailed, match=r" x86_64 in us-east-1a, .* t4g\.small") as caught:
        driver.needs_power_off(instance.handle, change(aws_instance_type=("t4g.small",)))
    assert "--replace" in str(caught.value.hint)


def test_a_larger_disk_grows_at_a_boot_and_once(driver: AwsDriver, ec2: Ec2Server) -> None:
    instance, other = made(driver), change(aws_root_size="40G", aws_volume_throughput=250)
    assert driver.needs_power_off(instance.handle, other)
    for _ in range(2):
        driver.refit(instance.handle, other)
    assert (volume(ec2)["Size"], volume(ec2)["Throughput"]) == (40, 250)
    assert len(ec2.calls("ModifyVolume")) == 1


def test_a_faster_disk_is_one_as_it_runs(driver: AwsDriver, ec2: Ec2Server) -> None:
    instance, other = made(driver), change(aws_volume_iops=4000)
    assert not driver.needs_power_off(instance.handle, other)
    driver.refit(instance.handle, other)
    assert volume(ec2)["Iops"] == 4000


def test_a_disk_does_not_shrink(driver: AwsDriver) -> None:
    instance = made(driver)
    with pytest.raises(CheckFailed, match=" 16 to 10 GiB"):
        driver.needs_power_off(instance.handle, change(aws_root_size="10G"))


def test_a_second_change_within_six_hours_is_explained(driver: AwsDriver) -> None:
    instance = made(driver)
    driver.refit(instance.handle, change(aws_root_size="20G"))
    with pytest.raises(DriverError, match="EBS ") as caught:
        driver.refit(instance.handle, change(aws_root_size="30G"))
    assert "six hours" in str(caught.value.hint)


def test_a_spot_instance_is_not_stopped_to_be_changed(driver: AwsDriver) -> None:
    spot = replace(MADE, aws_spot=True)
    instance = made(driver, spot)
    with pytest.raises(CheckFailed, match="spot instance"):
        driver.needs_power_off(instance.handle, change(spot, aws_root_size="20G"))
    assert not driver.needs_power_off(instance.handle, change(spot, aws_tag=()))


def test_tags_come_and_go_on_all_that_carries_them_and_ours_stay(driver: AwsDriver, ec2: Ec2Server) -> None:
    instance, other = made(driver), change(aws_tag=("team=blue", "cost centre=4711"))
    assert not driver.needs_power_off(instance.handle, other)
    before = tags(ec2, volume(ec2)["VolumeId"])
    driver.refit(instance.handle, other)
    found = described(ec2, instance)
    for thing in (found["InstanceId"], volume(ec2)["VolumeId"], found["NetworkInterfaces"][0]["NetworkInterfaceId"]):
        now = tags(ec2, thing)
        assert (now["team"], now["cost centre"], "cost" in now) == ("blue", "4711", False)
        ours = {key: value for key, value in before.items() if key.startswith("pymachine:") or key == "Name"}
        assert ours.items() <= now.items()
    assert found["MetadataOptions"]["InstanceMetadataTags"] == "disabled", "it cannot show a key with a space"


def test_a_name_of_the_users_goes_back_to_the_machines(driver: AwsDriver, ec2: Ec2Server) -> None:
    named = replace(MADE, aws_tag=("Name=the-web",))
    instance = made(driver, named)
    driver.refit(instance.handle, change(named, aws_tag=()))
    assert tags(ec2, Ec2.of(instance.handle).instance)["Name"] == "node1"


def test_metadata_is_let_through_farther(driver: AwsDriver, ec2: Ec2Server) -> None:
    instance = made(driver)
    driver.refit(instance.handle, change(aws_metadata_hops=1))
    options = described(ec2, instance)["MetadataOptions"]
    assert (options["HttpPutResponseHopLimit"], options["HttpTokens"]) == (1, "required")


def test_more_openings_are_made_in_our_group(driver: AwsDriver, ec2: Ec2Server) -> None:
    told: list[str] = []
    instance, other = made(driver), change(aws_open_port=("8080",), aws_allow=("192.0.2.0/24",))
    driver.refit(instance.handle, other, Listener(lambda line: None, told.append))
    (group,) = ec2.client("ec2", REGION).describe_security_groups(GroupNames=["pymachine"])["SecurityGroups"]
    opened = {
        (each["FromPort"], ip["CidrIp"]) for each in group["IpPermissions"] for ip in each["IpRanges"]
    }  # fmt: skip
    assert {(8080, "192.0.2.0/24"), (22, "192.0.2.0/24"), (2376, "192.0.2.0/24")} <= opened
    assert [line.startswith("its group ") for line in told] == [True]
