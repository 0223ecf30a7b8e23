"""Instances that docker-machine launched: they become instances of ours, by the id on record."""

from __future__ import annotations

import re

from pymachine.addresses import check_host, check_user
from pymachine.driver import Instance, RecordedInstance
from pymachine.errors import CheckFailed
from pymachine.model import Endpoint, SshAddress
from pymachine_aws.handle import Ec2
from pymachine_aws.options import AwsOptions

_ID = re.compile(r"i-[0-9a-f]{8,17}", re.ASCII)
# docker-machine's own defaults, which it does not always write down.
_REGION, _USER, _PORT = "us-east-1", "ubuntu", 22


def instance_of(recorded: RecordedInstance) -> tuple[AwsOptions, Instance]:
    """Return the options of an instance, and the instance with all that ``rm`` has to remove: asks nobody.

    Its key pair goes with it where docker-machine made one; its security group stays, which other machines of
    docker-machine share. Raises ``CheckFailed`` and ``UsageFault`` for what is not on record, or wrong.
    """
    instance = recorded.text("InstanceId")
    if not _ID.fullmatch(instance):
        raise CheckFailed("the id of its instance is not on record")
    private = recorded.flag("UsePrivateIP") or recorded.flag("PrivateIPOnly")
    host = check_host(recorded.text("PrivateIPAddress")) if private else recorded.address()
    options = _options(recorded)
    ec2 = Ec2(
        region=options.aws_region or _REGION,
        id=recorded.machine_id,
        endpoint_url=options.aws_endpoint_url,
        instance=instance,
        key_pair="" if recorded.flag("ExistingKey") else recorded.text("KeyName"),
        market="spot" if recorded.flag("RequestSpotInstance") else "",
        user=check_user(recorded.text("SSHUser") or _USER),
        ssh_port=recorded.number("SSHPort") or _PORT,
        address="private" if private else "public",
    )
    ssh = SshAddress(host, ec2.ssh_port, ec2.user)
    return options, Instance(ec2.handle(), ssh=ssh, endpoint=Endpoint(host), addresses=(host,))


def _options(recorded: RecordedInstance) -> AwsOptions:
    text, usual = recorded.text, AwsOptions()
    return AwsOptions(
        aws_region=text("Region") or _REGION,
        aws_zone=_one(text("Zone")),
        aws_vpc=text("VpcId") or None,
        aws_subnet=_one(text("SubnetId")),
        aws_image=text("AMI") or usual.aws_image,
        aws_instance_type=_one(text("InstanceType")) or usual.aws_instance_type,
        aws_volume_type=text("VolumeType") or usual.aws_volume_type,
        aws_instance_profile=text("IamInstanceProfile") or None,
        aws_endpoint_url=text("Endpoint") or None,
        aws_ssh_user=text("SSHUser") or None,
        aws_use_private_address=recorded.flag("UsePrivateIP"),
        aws_private_address_only=recorded.flag("PrivateIPOnly"),
        aws_spot=recorded.flag("RequestSpotInstance"),
    )


def _one(text: str) -> tuple[str, ...]:
    return (text,) if text else ()
