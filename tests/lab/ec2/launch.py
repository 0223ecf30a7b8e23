"""What EC2 checks before it launches: moto takes nearly everything, these refuse as AWS does."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from moto.ec2.models.amis import Ami
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES
from moto.ec2.models.security_groups import SecurityGroup
from moto.ec2.models.subnets import Subnet
from moto.iam.models import iam_backends

from lab.ec2.tags import check_tags
from lab.ec2.wire import Refusal
from lab.ec2.world import ACCOUNT, Exchange

USER_DATA_LIMIT = 16384
DEFAULT_TYPE = "m1.small"
NIC = "NetworkInterface.1."


def check_launch(exchange: Exchange) -> None:
    """Refuse a RunInstances that AWS would refuse, and complete the request with AWS's defaults."""
    form = exchange.form
    _check_user_data(form.get("UserData", ""))
    image = find_image(exchange, form.get("ImageId", ""))
    _check_type(form.get("InstanceType", DEFAULT_TYPE), image)
    _check_key(exchange, form.get("KeyName"))
    _check_profile(exchange)
    _check_combination(exchange)
    subnet = _choose_subnet(exchange)
    _check_offered(exchange, form.get("InstanceType", DEFAULT_TYPE), subnet)
    _check_groups(exchange, subnet)
    _check_ipv6(form, subnet)
    _complete_mappings(exchange, image)
    for specification in exchange.call.nested().get("TagSpecification", []):
        check_tags(specification.get("Tag", []))
    _choose_private_address(exchange)


def _check_user_data(text: str) -> None:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Refusal("InvalidParameterValue", "Invalid BASE64 encoding of user data.") from None
    if len(raw) > USER_DATA_LIMIT:
        raise Refusal("InvalidParameterValue", "User data is limited to 16384 bytes")


def find_image(exchange: Exchange, image_id: str) -> Ami:
    """The image with this id; Refusal when there is none."""
    if not image_id:
        raise Refusal("MissingParameter", "The request must contain the parameter ImageId")
    if not re.fullmatch(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", image_id):
        raise Refusal("InvalidAMIID.Malformed", f'Invalid id: "{image_id}"')
    if image_id not in exchange.backend.amis:
        raise Refusal("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    return exchange.backend.amis[image_id]


def _check_type(name: str, image: Ami) -> None:
    if name not in INSTANCE_TYPES:
        raise Refusal("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
    able = INSTANCE_TYPES[name]["ProcessorInfo"]["SupportedArchitectures"]
    if image.architecture not in able:
        told = (
            f"The architecture '{able[-1]}' of the specified instance type does not match the architecture "
            f"'{image.architecture}' of the specified AMI. Specify an instance type and an AMI that have matching "
            "architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover "
            "the architecture of the instance type or AMI."
        )
        raise Refusal("InvalidParameterValue", told)


def _check_key(exchange: Exchange, name: str | None) -> None:
    if name is not None and name not in exchange.backend.key_pairs:
        raise Refusal("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")


def _check_profile(exchange: Exchange) -> None:
    known = list(iam_backends[ACCOUNT]["aws"].instance_profiles.values())
    read: dict[str, Callable[[Any], str]] = {"Name": lambda item: item.name, "Arn": lambda item: item.arn}
    for word, part in read.items():
        given = exchange.form.get(f"IamInstanceProfile.{word}")
        if given is not None and given not in [part(profile) for profile in known]:
            kind = "name" if word == "Name" else "ARN"
            told = f"Value ({given}) for parameter iamInstanceProfile.{word.lower()} is invalid. "
            raise Refusal("InvalidParameterValue", f"{told}Invalid IAM Instance Profile {kind}")


def _check_combination(exchange: Exchange) -> None:
    form = exchange.form
    if f"{NIC}DeviceIndex" not in form:
        return
    if any(key.startswith(("SecurityGroupId.", "SecurityGroup.")) for key in form):
        told = "Network interfaces and an instance-level security groups may not be specified on the same request"
        raise Refusal("InvalidParameterCombination", told)
    if "SubnetId" in form:
        told = "Network interfaces and an instance-level subnet ID may not be specified on the same request"
        raise Refusal("InvalidParameterCombination", told)
    if "Ipv6AddressCount" in form or "PrivateIpAddress" in form:
        told = "Network interfaces and instance-level addresses may not be specified on the same request"
        raise Refusal("InvalidParameterCombination", told)


def _choose_subnet(exchange: Exchange) -> Subnet:
    """The subnet that is asked for, else the default one of the zone; written into the request."""
    form = exchange.form
    key = f"{NIC}SubnetId" if f"{NIC}DeviceIndex" in form else "SubnetId"
    zone = form.get("Placement.AvailabilityZone")
    if zone and zone not in [known.name for known in exchange.backend.describe_availability_zones()]:
        raise Refusal("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
    subnet = find_subnet(exchange, form[key]) if key in form else _default_subnet(exchange, zone)
    if zone and zone != subnet.availability_zone:
        told = f"The availability zone '{zone}' does not match that of the subnet: '{subnet.availability_zone}'"
        raise Refusal("InvalidParameterValue", told)
    form[key] = subnet.id
    return subnet


def find_subnet(exchange: Exchange, subnet_id: str) -> Subnet:
    """The subnet with this id; Refusal when there is none."""
    found = [item for item in exchange.backend.describe_subnets() if item.id == subnet_id]
    if not found:
        raise Refusal("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
    return found[0]


def _default_subnet(exchange: Exchange, zone: str | None) -> Subnet:
    offered = exchange.backend.get_default_subnets()
    if exchange.backend.get_default_vpc() is None:
        raise Refusal("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for it.")
    if not offered or (zone and zone not in offered):
        raise Refusal("InvalidInput", f"No default subnet for availability zone: '{zone or 'any'}'.")
    return offered[zone or min(offered)]


def _check_offered(exchange: Exchange, name: str, subnet: Subnet) -> None:
    offered = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(exchange.call.region, [])
    zones = sorted({item["Location"] for item in offered if item["InstanceType"] == name})
    if offered and subnet.availability_zone not in zones:
        told = (
            f"Your requested instance type ({name}) is not supported in your requested Availability Zone "
            f"({subnet.availability_zone}). Please retry your request by not specifying an Availability Zone or "
            f"choosing {', '.join(zones)}."
        )
        raise Refusal("Unsupported", told)


def _check_groups(exchange: Exchange, subnet: Subnet) -> None:
    tree = exchange.call.nested()
    nics = tree.get("NetworkInterface", [])
    ids = [*tree.get("SecurityGroupId", []), *(name for nic in nics for name in nic.get("SecurityGroupId", []))]
    for group_id in ids:
        group = find_group(exchange, group_id)
        if group.vpc_id != subnet.vpc_id:
            told = f"Security group {group_id} and subnet {subnet.id} belong to different networks."
            raise Refusal("InvalidParameter", told)
    for name in tree.get("SecurityGroup", []):
        if exchange.backend.get_security_group_from_name(name, subnet.vpc_id) is None:
            told = f"The security group '{name}' does not exist in VPC '{subnet.vpc_id}'"
            raise Refusal("InvalidGroup.NotFound", told)


def find_group(exchange: Exchange, group_id: str) -> SecurityGroup:
    """The security group with this id; Refusal when there is none."""
    if not re.fullmatch(r"sg-[0-9a-f]{8,17}", group_id):
        raise Refusal("InvalidGroupId.Malformed", f'Invalid id: "{group_id}" (expecting "sg-...")')
    group = exchange.backend.get_security_group_from_id(group_id)
    if group is None:
        raise Refusal("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
    return group


def _check_ipv6(form: dict[str, str], subnet: Subnet) -> None:
    wanted = form.get(f"{NIC}Ipv6AddressCount", form.get("Ipv6AddressCount", "0"))
    if int(wanted) and not subnet.ipv6_cidr_block_associations:
        told = f"The subnet '{subnet.id}' does not have an associated IPv6 CIDR block"
        raise Refusal("InvalidParameterValue", told)
    form["Ipv6AddressCount"] = wanted


def _complete_mappings(exchange: Exchange, image: Ami) -> None:
    """Give the request the image's root where it has none, and the snapshot's size where it says none."""
    form = exchange.form
    asked = exchange.call.nested().get("BlockDeviceMapping", [])
    names = [item.get("DeviceName") for item in asked]
    if image.root_device_name not in names:
        names.append(image.root_device_name)
        form[f"BlockDeviceMapping.{len(names)}.DeviceName"] = image.root_device_name
    stem = f"BlockDeviceMapping.{names.index(image.root_device_name) + 1}.Ebs."
    least = image.ebs_snapshot.volume.size
    size = int(form.setdefault(f"{stem}VolumeSize", str(least)))
    if size < least:
        snapshot = image.ebs_snapshot.id
        told = f"Volume of size {size}GB is smaller than snapshot '{snapshot}', expect size >= {least}GB"
        raise Refusal("InvalidBlockDeviceMapping", told)
    form.setdefault(f"{stem}DeleteOnTermination", "true")
    form.setdefault(f"{stem}VolumeType", "gp3")


def _choose_private_address(exchange: Exchange) -> None:
    form = exchange.form
    key = f"{NIC}PrivateIpAddress" if f"{NIC}DeviceIndex" in form else "PrivateIpAddress"
    if key in form:
        return
    if address := exchange.world.next_private():
        form[key] = address
    elif exchange.world.settings.private_pool:
        told = "There are not enough free addresses in the subnet to satisfy the requested number of instances."
        raise Refusal("InsufficientFreeAddressesInSubnet", told)
