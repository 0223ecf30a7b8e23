"""What tests of the aws driver want: options as they are once read, a request, and a site with attempts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pymachine.driver import Login, Request
from pymachine_aws.config import Access, LaunchConfig, SshAccess, Volume
from pymachine_aws.options import AwsOptions
from pymachine_aws.site import AmiChoice, Attempt, Site, VpcSubnet

MACHINE = "0c58dbd2-1111-4000-8000-000000000000"
LOGIN = Login("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9vYm9vYm9vYm9vYm9vYm9vYm9vYm9vYm9vYm9vYm9v pymachine", "", b"")

UBUNTU = AmiChoice("ami-0001", "ubuntu-24.04", "x86_64", "/dev/sda1", 8, "ubuntu")
SUBNET_A = VpcSubnet("subnet-a", "eu-central-1a", "vpc-1", public=True, ipv6=True)
SUBNET_B = VpcSubnet("subnet-b", "eu-central-1b", "vpc-1", public=True, ipv6=True)
FIRST = Attempt("t3.small", UBUNTU, SUBNET_A)
SECOND = Attempt("t3.small", UBUNTU, SUBNET_B)
SITE = Site("vpc-1", (FIRST, SECOND))

PLAIN = LaunchConfig(
    region="eu-central-1",
    profile=None,
    endpoint_url=None,
    credentials=None,
    zones=(),
    vpc=None,
    subnets=(),
    image="ubuntu-24.04",
    types=("t3.small",),
    volume=Volume(16, "gp3"),
    access=Access((), ("192.0.2.1/32",), (), "https://checkip.invalid", None, import_key=False, key_path=None),
    way=SshAccess(None, 22, "direct", "first-contact", "public", public=None, ipv6=False),
    markets=("",),
    spot_price=None,
    instance_profile=None,
    tags={},
    user_data=None,
    metadata_hops=2,
    metadata_tokens="required",
    monitoring=False,
    ebs_optimized=False,
    retries=8,
)


def access(**changes: Any) -> LaunchConfig:
    return replace(PLAIN, access=replace(PLAIN.access, **changes))


def way(**changes: Any) -> LaunchConfig:
    return replace(PLAIN, way=replace(PLAIN.way, **changes))


def request(**changes: Any) -> Request:
    told = Request("node1", MACHINE, AwsOptions(), 2376, owner="store-1", login=LOGIN)
    return replace(told, **changes)
