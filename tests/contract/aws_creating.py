"""Creates and removals of the aws driver against the test EC2, with pauses of a tenth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lab.ec2.catalogue import IMAGES
from lab.ec2.server import Ec2Server
from pymachine.clock import Clock
from pymachine.driver import Instance
from pymachine_aws import tags
from pymachine_aws.api import AwsAccount
from pymachine_aws.config import LaunchConfig
from pymachine_aws.handle import Ec2
from pymachine_aws.launch import Launch, Means
from pymachine_aws.remove import remove
from pymachine_aws.site import AmiChoice, Attempt, Site, VpcSubnet
from unit.aws_wishes import MACHINE, PLAIN, request

REGION = "us-east-1"
HERE = replace(PLAIN, region=REGION)
# Pauses are a tenth, but patience is a quarter: a busy computer answers no faster.
QUICK = Clock(lambda: 4 * time.monotonic(), lambda seconds: time.sleep(seconds / 10))

# An EC2 in which everything is so as soon as it was requested.
AT_ONCE = {"instance_unseen": 0, "pending_looks": 0, "pending_ms": 0, "stopping_ms": 0, "shutting_down_ms": 0}


@dataclass
class Creating:
    """One machine in the test EC2. ``handle`` is what is remembered of it, ``told`` what was worth a notice."""

    ec2: Ec2Server
    machine: str = MACHINE
    handle: Mapping[str, Any] | None = None
    told: list[str] = field(default_factory=list)
    account: AwsAccount = field(default_factory=lambda: AwsAccount(REGION, retries=3, timeout=20.0))

    def create(self, wanted: LaunchConfig = HERE, site: Site | None = None) -> Instance:
        asked = request(machine_id=self.machine, resume=self.handle, notice=self.told.append)
        means = Means(self.account, QUICK, lambda wanted, site: wanted.access.allow or ("203.0.113.9/32",))
        return Launch(asked, wanted, site or site_of(self.ec2), self.remember, means).instance()

    def remove(self) -> None:
        assert self.handle is not None
        remove(Ec2.of(self.handle), self.account, QUICK)

    def remember(self, handle: Mapping[str, Any]) -> None:
        self.handle = dict(handle)


def site_of(ec2: Ec2Server, *, market: str = "") -> Site:
    """The default VPC's subnets of two zones, with a current Ubuntu."""
    described = ec2.client("ec2", REGION).describe_subnets()["Subnets"]
    found = sorted(described, key=lambda each: str(each["AvailabilityZone"]))[:2]
    listed = next(image for image in IMAGES if "noble" in image.name and image.architecture == "x86_64")
    image = AmiChoice(listed.id(REGION), listed.name, "x86_64", listed.device, listed.size, "ubuntu")
    subnets = [
        VpcSubnet(each["SubnetId"], each["AvailabilityZone"], each["VpcId"], public=True, ipv6=False)
        for each in found
    ]
    return Site(subnets[0].vpc, tuple(Attempt("t3.small", image, subnet, market) for subnet in subnets))


def left_of(ec2: Ec2Server) -> list[str]:
    """Everything in the test EC2 that carries our tags and would stay: ids of instances, volumes, groups, keys."""
    client = ec2.client("ec2", REGION)
    ours = [{"Name": "tag-key", "Values": [tags.ID, tags.GROUP]}]
    return [
        *ec2.billed(),
        *(each["GroupId"] for each in client.describe_security_groups(Filters=ours)["SecurityGroups"]),
        *(each["KeyPairId"] for each in client.describe_key_pairs()["KeyPairs"]),
        *(each["VolumeId"] for each in client.describe_volumes()["Volumes"]),
    ]


@pytest.fixture
def creating(ec2: Ec2Server, monkeypatch: pytest.MonkeyPatch) -> Creating:
    """A machine to create; whatever makes an ``AwsAccount`` finds the test EC2."""
    for name, value in ec2.environ(REGION).items():
        monkeypatch.setenv(name, value)
    return Creating(ec2)
