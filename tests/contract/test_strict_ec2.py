"""The test EC2 is as strict as AWS where it launches: every refusal here is one that moto alone does not make."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.ec2.server import Ec2Server

UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{}/hvm/ebs-gp3/ami-id"


def image(ec2: Ec2Server, architecture: str = "amd64", region: str = "us-east-1") -> str:
    found = ec2.client("ssm", region).get_parameter(Name=UBUNTU.format(architecture))
    return str(found["Parameter"]["Value"])


def launch(ec2: Ec2Server, **request: Any) -> dict[str, Any]:
    """Launch one instance and return it as the reply shows it."""
    given = {"MinCount": 1, "MaxCount": 1, "InstanceType": "t3.small", **request}
    given.setdefault("ImageId", image(ec2))
    found: dict[str, Any] = ec2.client().run_instances(**given)["Instances"][0]
    return found


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_token_stands_for_one_launch(ec2: Ec2Server) -> None:
    first, again = launch(ec2, ClientToken="one"), launch(ec2, ClientToken="one")
    assert first["InstanceId"] == again["InstanceId"]
    assert len(ec2.instances()) == 1
    assert launch(ec2, ClientToken="two")["InstanceId"] != first["InstanceId"]


def test_a_token_with_other_parameters_is_refused(ec2: Ec2Server) -> None:
    launch(ec2, ClientToken="one")
    with pytest.raises(ClientError) as error:
        launch(ec2, ClientToken="one", InstanceType="t3.large")
    assert code(error) == "IdempotentParameterMismatch"


def test_a_token_of_a_terminated_instance_is_refused(ec2: Ec2Server) -> None:
    made = launch(ec2, ClientToken="one")
    ec2.client().terminate_instances(InstanceIds=[made["InstanceId"]])
    with pytest.raises(ClientError) as error:
        launch(ec2, ClientToken="one")
    assert code(error) == "IdempotentInstanceTerminated"


def test_a_token_is_a_filter(ec2: Ec2Server) -> None:
    ec2.reset(instance_unseen=0)
    made = launch(ec2, ClientToken="one")
    launch(ec2, ClientToken="two")
    found = ec2.client().describe_instances(Filters=[{"Name": "client-token", "Values": ["one"]}])
    assert [item["Instances"][0]["InstanceId"] for item in found["Reservations"]] == [made["InstanceId"]]


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "user data too long": ({"UserData": "x" * 16385}, "InvalidParameterValue", "limited to 16384 bytes"),
    "group id": ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound", "does not exist"),
    "malformed group": ({"SecurityGroupIds": ["web"]}, "InvalidGroupId.Malformed", "Invalid id"),
    "group name": ({"SecurityGroups": ["nobody"]}, "InvalidGroup.NotFound", "'nobody' does not exist in VPC"),
    "interface's group": (
        {"NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-0123456789abcdef0"]}]},
        "InvalidGroup.NotFound",
        "does not exist",
    ),
    "key": ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound", "'nobody' does not exist"),
    "subnet": ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound", "does not exist"),
    "image": ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound", "does not exist"),
    "malformed image": ({"ImageId": "ubuntu"}, "InvalidAMIID.Malformed", "Invalid id"),
    "type": ({"InstanceType": "t9.huge"}, "InvalidParameterValue", "Invalid value 't9.huge' for InstanceType"),
    "architecture": ({"InstanceType": "t4g.small"}, "InvalidParameterValue", "The architecture 'arm64' of the"),
    "profile": ({"IamInstanceProfile": {"Name": "no"}}, "InvalidParameterValue", "Invalid IAM Instance Profile name"),
    "small root": (
        {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 1}}]},
        "InvalidBlockDeviceMapping",
        "expect size >= 8GB",
    ),
    "zone": ({"Placement": {"AvailabilityZone": "us-east-1z"}}, "InvalidParameterValue", "Invalid availability zone"),
    "interface and group": (
        {"NetworkInterfaces": [{"DeviceIndex": 0}], "SecurityGroupIds": ["sg-0123456789abcdef0"]},
        "InvalidParameterCombination",
        "security groups",
    ),
    "interface and subnet": (
        {"NetworkInterfaces": [{"DeviceIndex": 0}], "SubnetId": "subnet-0123456789abcdef0"},
        "InvalidParameterCombination",
        "subnet ID",
    ),
    "no IPv6 block": ({"Ipv6AddressCount": 1}, "InvalidParameterValue", "IPv6 CIDR block"),
    "long token": ({"ClientToken": "x" * 65}, "InvalidParameterValue", "clientToken"),
    "not offered": ({"Placement": {"AvailabilityZone": "us-east-1e"}}, "Unsupported", "is not supported in your"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_launch_is_refused(ec2: Ec2Server, case: str) -> None:
    request, expected, message = REFUSED[case]
    with pytest.raises(ClientError, match=message) as error:
        launch(ec2, **request)
    assert code(error) == expected
    assert ec2.instances() == []


def test_user_data_of_the_full_length_is_taken(ec2: Ec2Server) -> None:
    launch(ec2, UserData="x" * 16384)


def test_user_data_that_is_not_base64_is_refused(ec2: Ec2Server) -> None:
    client = ec2.client()
    client.meta.events.register_last("before-call.ec2.RunInstances", spoil)
    try:
        with pytest.raises(ClientError, match="Invalid BASE64 encoding"):
            launch(ec2, UserData="x")
    finally:
        client.meta.events.unregister("before-call.ec2.RunInstances", spoil)


def spoil(params: dict[str, Any], **_: Any) -> None:
    params["body"]["UserData"] = "%%%"


def test_an_arm_type_takes_an_arm_image(ec2: Ec2Server) -> None:
    made = launch(ec2, InstanceType="t4g.small", ImageId=image(ec2, "arm64"))
    assert made["Architecture"] == "arm64"


def test_a_zone_other_than_the_subnets_is_refused(ec2: Ec2Server) -> None:
    subnets = ec2.client().describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1a"]}])
    subnet = subnets["Subnets"][0]["SubnetId"]
    with pytest.raises(ClientError, match="does not match") as error:
        launch(ec2, SubnetId=subnet, Placement={"AvailabilityZone": "us-east-1b"})
    assert code(error) == "InvalidParameterValue"


def test_a_group_of_another_vpc_is_refused(ec2: Ec2Server) -> None:
    client = ec2.client()
    vpc = client.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = client.create_security_group(GroupName="other", Description="x", VpcId=vpc)["GroupId"]
    with pytest.raises(ClientError, match="belong to different networks") as error:
        launch(ec2, SecurityGroupIds=[group])
    assert code(error) == "InvalidParameter"


def test_a_dry_run_makes_nothing_and_takes_no_token(ec2: Ec2Server) -> None:
    with pytest.raises(ClientError) as error:
        launch(ec2, DryRun=True, ClientToken="one")
    assert code(error) == "DryRunOperation"
    assert ec2.instances() == []
    launch(ec2, ClientToken="one", InstanceType="t3.large")


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "Duplicate tag key 'a'"),
        ([{"Key": "", "Value": "1"}], "null or empty"),
        ([{"Key": "aws:mine", "Value": "1"}], "reserved"),
        ([{"Key": "k" * 129, "Value": "1"}], "maximum length"),
    ],
)
def test_tags_are_checked_at_launch_and_later(ec2: Ec2Server, tags: list[dict[str, str]], message: str) -> None:
    with pytest.raises(ClientError, match=message) as error:
        launch(ec2, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}])
    assert code(error) == "InvalidParameterValue"
    made = launch(ec2)
    with pytest.raises(ClientError, match=message):
        ec2.client().create_tags(Resources=[made["InstanceId"]], Tags=tags)


def test_tags_of_what_does_not_exist_are_refused(ec2: Ec2Server) -> None:
    with pytest.raises(ClientError) as error:
        ec2.client().create_tags(Resources=["i-0123456789abcdef0"], Tags=[{"Key": "a", "Value": "b"}])
    assert code(error) == "InvalidInstanceID.NotFound"


def test_a_launch_tags_instance_volume_and_interface(ec2: Ec2Server) -> None:
    kinds = ("instance", "volume", "network-interface")
    tags = [{"ResourceType": kind, "Tags": [{"Key": "for", "Value": kind}]} for kind in kinds]
    launch(ec2, TagSpecifications=tags)
    client = ec2.client()
    found = client.describe_tags()["Tags"]
    assert {(tag["ResourceType"], tag["Value"]) for tag in found} == {(kind, kind) for kind in kinds}
    nic = client.describe_network_interfaces(Filters=[{"Name": "tag:for", "Values": ["network-interface"]}])
    assert nic["NetworkInterfaces"][0]["TagSet"] == [{"Key": "for", "Value": "network-interface"}]


def test_a_root_volume_is_as_asked_and_goes_with_the_instance(ec2: Ec2Server) -> None:
    disk = {"VolumeSize": 30, "VolumeType": "gp3", "Iops": 4000, "Throughput": 250, "Encrypted": True}
    made = launch(ec2, BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": disk}])
    client = ec2.client()
    volume = client.describe_volumes()["Volumes"][0]
    assert {key: volume[key] for key in ("Size", "VolumeType", "Iops", "Throughput", "Encrypted")} == {
        "Size": 30, "VolumeType": "gp3", "Iops": 4000, "Throughput": 250, "Encrypted": True,
    }  # fmt: skip
    client.terminate_instances(InstanceIds=[made["InstanceId"]])
    assert client.describe_volumes()["Volumes"] == []


def test_another_device_is_a_second_volume(ec2: Ec2Server) -> None:
    launch(ec2, BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 30}}])
    assert sorted(volume["Size"] for volume in ec2.client().describe_volumes()["Volumes"]) == [8, 30]


def test_a_subnet_with_ipv6_gives_an_address(ec2: Ec2Server) -> None:
    network = ec2.network("10.99.0.0/24", cidr6="fd12:3456:789a::/64")
    made = launch(ec2, SubnetId=network["subnet"], Ipv6AddressCount=1)
    address = made["NetworkInterfaces"][0]["Ipv6Addresses"][0]["Ipv6Address"]
    assert address.startswith("fd12:3456:789a:")
    ec2.set(instance_unseen=0)
    ec2.client().describe_instances()
    shown = ec2.client().describe_instances()["Reservations"][0]["Instances"][0]
    assert shown["Ipv6Address"] == address


def test_images_are_found_by_owner_and_name(ec2: Ec2Server) -> None:
    name = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"
    found = ec2.client().describe_images(Owners=["099720109477"], Filters=[{"Name": "name", "Values": [name]}])
    newest = max(found["Images"], key=lambda item: str(item["CreationDate"]))
    assert (len(found["Images"]), newest["ImageId"], newest["RootDeviceName"]) == (2, image(ec2), "/dev/sda1")
    assert newest["CreationDate"] == "2025-06-10T00:00:00.000Z"


def test_parameters_that_do_not_exist_are_listed(ec2: Ec2Server) -> None:
    name = "/aws/service/debian/release/13/latest/arm64"
    answer = ec2.client("ssm").get_parameters(Names=[name, "/aws/service/debian/release/99/latest/arm64"])
    assert [item["Name"] for item in answer["Parameters"]] == [name]
    assert answer["InvalidParameters"] == ["/aws/service/debian/release/99/latest/arm64"]
    with pytest.raises(ClientError) as error:
        ec2.client("ssm").get_parameter(Name="/aws/service/nothing")
    assert code(error) == "ParameterNotFound"


def test_regions_have_images_of_their_own(ec2: Ec2Server) -> None:
    assert image(ec2) != image(ec2, region="eu-central-1")
    with pytest.raises(ClientError) as error:
        launch(ec2, ImageId=image(ec2, region="eu-central-1"))
    assert code(error) == "InvalidAMIID.NotFound"


def test_twenty_launches_at_once_make_twenty_instances(ec2: Ec2Server) -> None:
    wanted = image(ec2)
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda number: launch(ec2, ImageId=wanted, ClientToken=f"t{number}"), range(20)))
    assert len({item["InstanceId"] for item in made}) == len({item["PrivateIpAddress"] for item in made}) == 20
