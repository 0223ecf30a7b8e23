"""Instances that docker-machine launched, followed by their id: against an EC2 that is as strict as AWS."""

from __future__ import annotations

from typing import Any

import pytest

from contract.test_aws_life import launched
from lab.ec2.server import Ec2Server
from patience import LIMIT
from pymachine.driver import RecordedInstance
from pymachine.errors import CheckFailed, UsageFault
from pymachine.model import State
from pymachine_aws import AwsDriver
from pymachine_aws.handle import Ec2


@pytest.fixture
def driver(ec2: Ec2Server, monkeypatch: pytest.MonkeyPatch) -> AwsDriver:
    """The driver, with credentials, and no way to AWS itself."""
    for name, value in ec2.environ().items():
        monkeypatch.setenv(name, value)
    return AwsDriver()


def recorded(ec2: Ec2Server, **more: Any) -> RecordedInstance:
    """What docker-machine keeps of an instance, with a key pair of its own and the group that its machines share."""
    values = {
        "Region": "us-east-1", "IPAddress": "203.0.113.7", "PrivateIPAddress": "10.0.0.7", "SSHUser": "ubuntu",
        "SSHPort": 22, "KeyName": "web", "ExistingKey": False, "InstanceType": "t3.small", "Zone": "a",
        "SecurityGroupNames": ["docker-machine"], "SecurityGroupIds": ["sg-1"], "Endpoint": ec2.url, **more,
    }  # fmt: skip
    return RecordedInstance("amazonec2", values, machine_id="0123")


def names_of_keys(ec2: Ec2Server) -> set[str]:
    return {pair["KeyName"] for pair in ec2.client().describe_key_pairs()["KeyPairs"]}


def test_it_is_switched_and_removed_with_its_key_pair_and_nothing_of_others(
    ec2: Ec2Server, driver: AwsDriver
) -> None:
    client = ec2.client()
    group = client.create_security_group(GroupName="docker-machine", Description="Docker Machine")["GroupId"]
    for name in ("web", "other"):
        client.create_key_pair(KeyName=name)
    theirs, neighbour = (
        launched(ec2, name, store="none of ours", SecurityGroupIds=[group])[0] for name in ("theirs", "neighbour")
    )
    _, instance = driver.recorded(recorded(ec2, InstanceId=theirs.instance))
    assert driver.inspect(instance.handle, deadline=LIMIT).state is State.RUNNING
    driver.stop(instance.handle)
    assert driver.inspect(instance.handle, deadline=LIMIT).state is State.STOPPED
    driver.start(instance.handle)
    driver.destroy(instance.handle)
    ec2.settle(theirs.instance, "terminated")
    assert driver.inspect(instance.handle, deadline=LIMIT).state is State.MISSING
    assert driver.inspect(neighbour.handle(), deadline=LIMIT).state is State.RUNNING
    assert names_of_keys(ec2) == {"other"}
    assert client.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    driver.destroy(instance.handle)  # what is gone is no error


def test_a_key_pair_that_was_there_before_stays(ec2: Ec2Server, driver: AwsDriver) -> None:
    ec2.client().create_key_pair(KeyName="web")
    (theirs,) = launched(ec2, "theirs", store="none of ours")
    _, instance = driver.recorded(recorded(ec2, InstanceId=theirs.instance, ExistingKey=True))
    driver.destroy(instance.handle)
    assert names_of_keys(ec2) == {"web"}


def test_private_addresses_are_used_where_docker_machine_did(ec2: Ec2Server) -> None:
    given = recorded(ec2, InstanceId="i-0123456789abcdef0", UsePrivateIP=True, RequestSpotInstance=True)
    options, instance = AwsDriver().recorded(given)
    ec2_handle = Ec2.of(instance.handle)
    assert (ec2_handle.address, ec2_handle.market, ec2_handle.id) == ("private", "spot", "0123")
    assert instance.endpoint is not None
    assert instance.endpoint.host == "10.0.0.7"
    assert (options.aws_use_private_address, options.aws_spot, options.aws_zone) == (True, True, ("a",))


@pytest.mark.parametrize("id_", ["", "i-", "vm-7", 7, None])
def test_without_an_id_nothing_can_be_followed(ec2: Ec2Server, id_: Any) -> None:
    with pytest.raises(CheckFailed):
        AwsDriver().recorded(recorded(ec2, InstanceId=id_))


@pytest.mark.parametrize(
    "wrong", [{"SSHUser": "a b"}, {"IPAddress": "a b"}, {"PrivateIPOnly": True, "PrivateIPAddress": ""}]
)
def test_what_is_wrong_on_record_is_said(ec2: Ec2Server, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageFault):
        AwsDriver().recorded(recorded(ec2, InstanceId="i-0123456789abcdef0", **wrong))
