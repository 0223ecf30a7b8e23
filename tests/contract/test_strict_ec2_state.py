"""The test EC2 is as strict as AWS about what exists: groups in use, states on their way, things not visible yet."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contract.test_strict_ec2 import code, image, launch
from lab.ec2.server import Ec2Server
from lab.wait import open_direct
from patience import LIMIT

KEY = f"ssh-ed25519 {'A' * 68}"


def state(ec2: Ec2Server, instance: str) -> str:
    return {str(item["id"]): str(item["state"]) for item in ec2.instances()}[instance]


def become(ec2: Ec2Server, instance: str, wanted: str, seconds: float = LIMIT) -> None:
    end = time.monotonic() + seconds
    while state(ec2, instance) != wanted:
        assert time.monotonic() < end, f"{instance} is {state(ec2, instance)}, not {wanted}"
        time.sleep(0.02)


def running(ec2: Ec2Server, **request: Any) -> dict[str, Any]:
    """A running instance that everybody sees."""
    ec2.set(instance_unseen=0, pending_ms=0, pending_looks=0)
    made = launch(ec2, **request)
    become(ec2, made["InstanceId"], "running")
    return shown(ec2, made["InstanceId"])


def shown(ec2: Ec2Server, instance: str) -> dict[str, Any]:
    answer = ec2.client().describe_instances(InstanceIds=[instance])
    found: dict[str, Any] = answer["Reservations"][0]["Instances"][0]
    return found


def group(ec2: Ec2Server, name: str = "ours") -> str:
    return str(ec2.client().create_security_group(GroupName=name, Description="x")["GroupId"])


def test_a_new_instance_is_not_seen_at_first(ec2: Ec2Server) -> None:
    ec2.reset(instance_unseen=2)
    made = launch(ec2)["InstanceId"]
    with pytest.raises(ClientError) as error:
        shown(ec2, made)
    assert code(error) == "InvalidInstanceID.NotFound"
    by_filter = [{"Name": "instance-id", "Values": [made]}]
    assert ec2.client().describe_instances(Filters=by_filter)["Reservations"] == []
    assert shown(ec2, made)["InstanceId"] == made


def test_an_instance_is_pending_until_it_was_seen_and_time_has_passed(ec2: Ec2Server) -> None:
    ec2.reset(instance_unseen=0, pending_ms=100, pending_looks=2)
    made = launch(ec2)
    assert (made["State"]["Name"], made.get("PublicIpAddress")) == ("pending", None)
    time.sleep(0.2)
    seen = [shown(ec2, made["InstanceId"])["State"]["Name"] for _ in range(3)]
    assert seen == ["pending", "pending", "running"]


def test_a_launch_that_dies_says_why(ec2: Ec2Server) -> None:
    ec2.reset(instance_unseen=0, pending_ms=0, launch_dies="Client.InternalError")
    made = launch(ec2)["InstanceId"]
    shown(ec2, made)
    end = shown(ec2, made)
    assert (end["State"]["Name"], end["StateReason"]["Code"]) == ("terminated", "Client.InternalError")


def test_stopping_and_terminating_take_time(ec2: Ec2Server) -> None:
    client = ec2.client()
    made = running(ec2)["InstanceId"]
    ec2.set(stopping_ms=1000, shutting_down_ms=1000)
    client.stop_instances(InstanceIds=[made])
    assert state(ec2, made) == "stopping"
    become(ec2, made, "stopped")
    client.start_instances(InstanceIds=[made])
    become(ec2, made, "running")
    client.terminate_instances(InstanceIds=[made])
    assert state(ec2, made) == "shutting-down"
    become(ec2, made, "terminated")
    client.terminate_instances(InstanceIds=[made])
    assert state(ec2, made) == "terminated"


@pytest.mark.parametrize("action", ["start_instances", "stop_instances", "reboot_instances"])
def test_a_terminated_instance_has_no_power(ec2: Ec2Server, action: str) -> None:
    made = running(ec2)["InstanceId"]
    ec2.client().terminate_instances(InstanceIds=[made])
    with pytest.raises(ClientError) as error:
        getattr(ec2.client(), action)(InstanceIds=[made])
    assert code(error) == "IncorrectInstanceState"
    assert state(ec2, made) != "running"


def test_a_stopping_instance_does_not_start(ec2: Ec2Server) -> None:
    made = running(ec2)["InstanceId"]
    ec2.set(stopping_ms=10_000)
    ec2.client().stop_instances(InstanceIds=[made])
    with pytest.raises(ClientError) as error:
        ec2.client().start_instances(InstanceIds=[made])
    assert code(error) == "IncorrectInstanceState"


def test_a_one_time_spot_instance_does_not_stop(ec2: Ec2Server) -> None:
    made = running(ec2, InstanceMarketOptions={"MarketType": "spot"})
    assert (made["InstanceLifecycle"], made["SpotInstanceRequestId"][:4]) == ("spot", "sir-")
    with pytest.raises(ClientError, match="one-time Spot") as error:
        ec2.client().stop_instances(InstanceIds=[made["InstanceId"]])
    assert code(error) == "UnsupportedOperation"


def test_a_spot_request_ends_with_its_instance_unless_it_is_persistent(ec2: Ec2Server) -> None:
    client = ec2.client()
    market = {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "persistent"}}
    tags = [{"ResourceType": "spot-instances-request", "Tags": [{"Key": "a", "Value": "b"}]}]
    once = running(ec2, InstanceMarketOptions={"MarketType": "spot"})
    always = running(ec2, InstanceMarketOptions=market, TagSpecifications=tags)
    client.terminate_instances(InstanceIds=[once["InstanceId"], always["InstanceId"]])
    found = client.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert [(item["InstanceId"], item["State"]) for item in found] == [
        (once["InstanceId"], "closed"),
        (always["InstanceId"], "open"),
    ]
    assert ec2.billed() == [always["SpotInstanceRequestId"]]
    filters = [{"Name": "tag:a", "Values": ["b"]}, {"Name": "state", "Values": ["open", "active"]}]
    ours = client.describe_spot_instance_requests(Filters=filters)["SpotInstanceRequests"]
    ids = [item["SpotInstanceRequestId"] for item in ours]
    assert ids == [always["SpotInstanceRequestId"]]
    client.cancel_spot_instance_requests(SpotInstanceRequestIds=ids)
    assert ec2.billed() == []
    with pytest.raises(ClientError) as error:
        client.cancel_spot_instance_requests(SpotInstanceRequestIds=["sir-00000000"])
    assert code(error) == "InvalidSpotInstanceRequestID.NotFound"


def test_of_a_terminated_instance_only_the_name_is_left(ec2: Ec2Server) -> None:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]
    name, other = running(ec2, TagSpecifications=tags)["InstanceId"], running(ec2)["InstanceId"]
    ec2.client().terminate_instances(InstanceIds=[name])
    become(ec2, name, "terminated")
    left = shown(ec2, name)
    assert (left["State"]["Name"], left["Tags"]) == ("terminated", [{"Key": "a", "Value": "b"}])
    gone = {"PrivateIpAddress", "PublicIpAddress", "VpcId", "SubnetId", "SecurityGroups", "NetworkInterfaces"}
    assert {key for key in gone if left.get(key)} == set()
    assert {key for key in gone if shown(ec2, other).get(key)} == gone


def test_key_pairs_are_named_by_id_as_well(ec2: Ec2Server) -> None:
    client = ec2.client()
    made = client.import_key_pair(KeyName="mine", PublicKeyMaterial=ed25519())
    client.create_key_pair(KeyName="other")
    found = client.describe_key_pairs(KeyPairIds=[made["KeyPairId"]])["KeyPairs"]
    assert [pair["KeyName"] for pair in found] == ["mine"]
    client.delete_key_pair(KeyPairId=made["KeyPairId"])
    assert [pair["KeyName"] for pair in client.describe_key_pairs()["KeyPairs"]] == ["other"]
    with pytest.raises(ClientError) as error:
        client.import_key_pair(KeyName="bad", PublicKeyMaterial=b"not a key")
    assert code(error) == "InvalidKey.Format"


def ed25519() -> bytes:
    public = Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)


def test_malformed_ids_are_not_just_unknown(ec2: Ec2Server) -> None:
    with pytest.raises(ClientError) as error:
        ec2.client().describe_instances(InstanceIds=["node1"])
    assert code(error) == "InvalidInstanceID.Malformed"


def test_a_start_gives_another_address_of_the_pool(ec2: Ec2Server) -> None:
    ec2.reset(public_pool=["198.51.100.1", "198.51.100.2"], private_pool=["172.31.0.77"])
    made = running(ec2)
    assert (made["PublicIpAddress"], made["PrivateIpAddress"]) == ("198.51.100.1", "172.31.0.77")
    client, name = ec2.client(), made["InstanceId"]
    client.stop_instances(InstanceIds=[name])
    become(ec2, name, "stopped")
    assert "PublicIpAddress" not in shown(ec2, name)
    client.start_instances(InstanceIds=[name])
    again = shown(ec2, name)
    assert (again["PublicIpAddress"], again["PrivateIpAddress"]) == ("198.51.100.2", "172.31.0.77")


def test_no_public_address_where_none_is_wanted(ec2: Ec2Server) -> None:
    nic = {"DeviceIndex": 0, "AssociatePublicIpAddress": False}
    assert "PublicIpAddress" not in running(ec2, NetworkInterfaces=[nic])
    subnet = ec2.client().describe_subnets()["Subnets"][0]["SubnetId"]
    ec2.client().modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": False})
    assert "PublicIpAddress" not in running(ec2, SubnetId=subnet)


def test_a_group_in_use_is_not_deleted(ec2: Ec2Server) -> None:
    client, ours = ec2.client(), group(ec2)
    made = running(ec2, NetworkInterfaces=[{"DeviceIndex": 0, "Groups": [ours]}])
    assert made["SecurityGroups"] == [{"GroupId": ours, "GroupName": "ours"}]
    by_group = [{"Name": "instance.group-id", "Values": [ours]}]
    assert len(client.describe_instances(Filters=by_group)["Reservations"]) == 1
    ec2.set(shutting_down_ms=1500)
    client.terminate_instances(InstanceIds=[made["InstanceId"]])
    with pytest.raises(ClientError) as error:
        client.delete_security_group(GroupId=ours)
    assert (code(error), state(ec2, made["InstanceId"])) == ("DependencyViolation", "shutting-down")
    become(ec2, made["InstanceId"], "terminated")
    client.delete_security_group(GroupId=ours)
    with pytest.raises(ClientError) as error:
        client.delete_security_group(GroupId=ours)
    assert code(error) == "InvalidGroup.NotFound"


def test_a_group_that_another_names_is_not_deleted(ec2: Ec2Server) -> None:
    client, ours, other = ec2.client(), group(ec2), group(ec2, "other")
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": ours}]}
    client.authorize_security_group_ingress(GroupId=other, IpPermissions=[rule])
    with pytest.raises(ClientError) as error:
        client.delete_security_group(GroupId=ours)
    assert code(error) == "DependencyViolation"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("sg-mine", "InvalidParameterValue"), ("OURS", "InvalidGroup.Duplicate"), ("ünser", "InvalidParameterValue")],
)
def test_group_names_are_checked(ec2: Ec2Server, name: str, expected: str) -> None:
    group(ec2)
    with pytest.raises(ClientError) as error:
        group(ec2, name)
    assert code(error) == expected


def open_port(ec2: Ec2Server, ours: str, *ranges: str) -> None:
    ports = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    permissions = [{**ports, "IpRanges": [{"CidrIp": item}]} for item in ranges]
    ec2.client().authorize_security_group_ingress(GroupId=ours, IpPermissions=permissions)


def ranges(ec2: Ec2Server, ours: str) -> list[str]:
    found = ec2.client().describe_security_groups(GroupIds=[ours])["SecurityGroups"][0]["IpPermissions"]
    return [item["CidrIp"] for permission in found for item in permission["IpRanges"]]


def test_address_ranges_lose_their_host_bits(ec2: Ec2Server) -> None:
    ours = group(ec2)
    open_port(ec2, ours, "192.0.2.77/24")
    assert ranges(ec2, ours) == ["192.0.2.0/24"]
    with pytest.raises(ClientError) as error:
        open_port(ec2, ours, "192.0.2.1/24")
    assert code(error) == "InvalidPermission.Duplicate"
    with pytest.raises(ClientError, match="malformed"):
        open_port(ec2, ours, "300.0.2.1/24")


def test_a_batch_of_rules_goes_in_whole_or_not_at_all(ec2: Ec2Server) -> None:
    ours = group(ec2)
    open_port(ec2, ours, "192.0.2.0/24")
    with pytest.raises(ClientError):
        open_port(ec2, ours, "198.51.100.0/24", "192.0.2.0/24")
    assert ranges(ec2, ours) == ["192.0.2.0/24"]


def test_a_new_group_is_not_seen_at_first(ec2: Ec2Server) -> None:
    ec2.reset(group_unseen=2)
    ours = group(ec2)
    with pytest.raises(ClientError) as error:
        open_port(ec2, ours, "192.0.2.0/24")
    assert code(error) == "InvalidGroup.NotFound"
    named = [{"Name": "group-name", "Values": ["ours"]}]
    assert ec2.client().describe_security_groups(Filters=named)["SecurityGroups"] == []
    with pytest.raises(ClientError) as error:
        group(ec2)
    assert code(error) == "InvalidGroup.Duplicate"
    open_port(ec2, ours, "192.0.2.0/24")


def test_the_console_is_what_the_test_says(ec2: Ec2Server) -> None:
    name = running(ec2)["InstanceId"]
    assert ec2.client().get_console_output(InstanceId=name).get("Output", "") == ""
    ec2.console(name, "-----BEGIN SSH HOST KEY KEYS-----\nssh-ed25519 AAAA root@x\n-----END SSH HOST KEY KEYS-----\n")
    assert "ssh-ed25519 AAAA" in ec2.client().get_console_output(InstanceId=name, Latest=True)["Output"]
    old = running(ec2, InstanceType="t2.small")["InstanceId"]
    with pytest.raises(ClientError) as error:
        ec2.client().get_console_output(InstanceId=old, Latest=True)
    assert code(error) == "UnsupportedOperation"


def test_somebody_else_stops_and_terminates(ec2: Ec2Server) -> None:
    name = running(ec2)["InstanceId"]
    ec2.settle(name, "stopped")
    stopped = shown(ec2, name)
    assert (stopped["State"]["Name"], stopped.get("PublicIpAddress")) == ("stopped", None)
    ec2.settle(name, "terminated", was="running")
    assert shown(ec2, name)["State"]["Name"] == "stopped", "it is not in the state that was named"
    ec2.settle(name, "terminated")
    client = ec2.client()
    assert (client.describe_volumes()["Volumes"], client.describe_network_interfaces()["NetworkInterfaces"]) == (
        [],
        [],
    )
    client.terminate_instances(InstanceIds=[name])
    assert state(ec2, name) == "terminated"


def test_a_terminated_instance_is_forgotten(ec2: Ec2Server) -> None:
    name = running(ec2)["InstanceId"]
    ec2.settle(name, "terminated")
    assert (shown(ec2, name)["State"]["Name"], ec2.billed()) == ("terminated", [])
    ec2.forget(name)
    with pytest.raises(ClientError) as error:
        shown(ec2, name)
    assert code(error) == "InvalidInstanceID.NotFound"


def test_the_callers_address_is_told(ec2: Ec2Server) -> None:
    assert open_direct(ec2.checkip) == b"127.0.0.1\n"
    ec2.set(checkip="192.0.2.9")
    assert open_direct(ec2.checkip) == b"192.0.2.9\n"


def test_keys_sent_by_instance_connect_are_remembered(ec2: Ec2Server) -> None:
    client = ec2.client("ec2-instance-connect")
    name = running(ec2)["InstanceId"]
    client.send_ssh_public_key(InstanceId=name, InstanceOSUser="ubuntu", SSHPublicKey=KEY)
    sent = ec2.sent_keys()[0]
    assert (sent["instance"], sent["user"], sent["key"]) == (name, "ubuntu", KEY)
    assert abs(sent["at"] - time.time()) < 10
    with pytest.raises(ClientError) as error:
        client.send_ssh_public_key(InstanceId="i-0123456789abcdef0", InstanceOSUser="ubuntu", SSHPublicKey=KEY)
    assert code(error) == "EC2InstanceNotFoundException"


def test_a_session_starts_only_on_a_running_instance(ec2: Ec2Server) -> None:
    name = running(ec2)["InstanceId"]
    session = ec2.client("ssm").start_session(Target=name)
    assert session["StreamUrl"].startswith("wss://")
    assert session["TokenValue"]
    ec2.settle(name, "stopped")
    with pytest.raises(ClientError) as error:
        ec2.client("ssm").start_session(Target=name)
    assert code(error) == "TargetNotConnected"


def test_a_profile_that_exists_is_taken(ec2: Ec2Server) -> None:
    ec2.client("iam").create_instance_profile(InstanceProfileName="web")
    made = running(ec2, IamInstanceProfile={"Name": "web"})
    online = ec2.client("ssm").describe_instance_information()["InstanceInformationList"]
    assert [item["InstanceId"] for item in online] == [made["InstanceId"]]


def test_what_moto_cannot_do_is_said_and_not_retried(ec2: Ec2Server) -> None:
    ec2.reset(instance_unseen=0)
    launch(ec2)
    with pytest.raises(ClientError, match="Filter dicts have not been implemented") as error:
        ec2.client().describe_instances(Filters=[{"Name": "ramdisk-id", "Values": ["x"]}])
    assert (code(error), ec2.calls()[-1].status) == ("LabUnimplemented", 400)
    assert "NotImplementedError" in ec2.log


def test_a_reset_forgets_everything(ec2: Ec2Server) -> None:
    launch(ec2)
    group(ec2)
    ec2.reset()
    assert (ec2.instances(), ec2.calls()) == ([], [])
    assert len(ec2.client().describe_security_groups()["SecurityGroups"]) == 1
    assert image(ec2).startswith("ami-")
