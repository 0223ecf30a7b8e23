"""What is sent to EC2 byte for byte, as botocore writes it: form fields, sorted, one a line, in tests/golden/aws."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from typing_extensions import override

from pymachine.swarm.node_ports import openings
from pymachine_aws import security_group
from pymachine_aws.config import LaunchConfig, PortRange, Volume
from pymachine_aws.handle import Ec2
from pymachine_aws.launch import Launch, Means
from pymachine_aws.remove import remove
from pymachine_aws.site import Site
from unit.aws_cloud import Cloud
from unit.aws_wishes import FIRST, PLAIN, SITE, access, request, way

OWNERS = "#cloud-config\npackages: [jq]\nruncmd:\n  - docker compose up -d\n"
SPOT = replace(SITE, attempts=(replace(FIRST, market="spot"),))
ALL = replace(
    access(
        allow=("192.0.2.0/24", "2001:db8::/32"),
        ports=(PortRange(8000, 8100), PortRange(53, 53, "udp")),
        import_key=True,
    ),
    volume=Volume(64, "gp3", iops=6000, throughput=500, kms_key="alias/disks", device="/dev/xvda"),
    way=replace(PLAIN.way, user="admin", public=True, ipv6=True),
    instance_profile="arn:aws:iam::123456789012:instance-profile/docker",
    tags={"team": "red", "cost centre": "4711"},
    user_data=OWNERS,
    metadata_hops=1,
    monitoring=True,
    ebs_optimized=True,
)
CASES: dict[str, tuple[LaunchConfig, Site]] = {
    "plain": (PLAIN, SITE),
    "spot": (replace(PLAIN, markets=("spot",), spot_price="0.05"), SPOT),
    "all-options": (ALL, SITE),
    "private-only": (way(address="private", public=False), SITE),
    "ipv6": (way(address="ipv6", ipv6=True), SITE),
    "not-encrypted": (replace(PLAIN, volume=Volume(8, "gp3", encrypted=False), instance_profile="docker"), SITE),
}


class Sending(Cloud):
    """A cloud whose changes pass through botocore on their way; ``sent`` is what it would have put on the wire."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, str]] = []
        self._boto = boto3.client(
            "ec2", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x"
        )  # fmt: skip
        self._boto.meta.events.register("before-send.ec2", self._catch)

    @override
    def change(self, operation: str, what: str, *, service: str = "ec2", **params: Any) -> dict[str, Any]:
        getattr(self._boto, operation)(**params)
        return super().change(operation, what, service=service, **params)

    def _catch(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        self.sent.append(dict(parse_qsl(str(request.body), keep_blank_values=True)))
        return AWSResponse(request.url, 200, {}, _Empty())

    def texts(self, action: str) -> str:
        """The requests of one kind; ids and tokens that differ from run to run are named instead."""
        text = "\n".join(_written(form) for form in self.sent if form["Action"] == action)
        for group in self.groups:
            text = text.replace(group, "<group>")
        return text


class _Empty:
    def stream(self, **_: Any) -> list[bytes]:
        return [b"<Response/>"]


def _written(form: dict[str, str]) -> str:
    shown = {**form, **({"ClientToken": "<token>"} if "ClientToken" in form else {})}
    if "UserData" in shown:
        shown["UserData"] = f"<{len(base64.b64decode(form['UserData']))} bytes>"
    return "".join(f"{name}={value}\n" for name, value in sorted(shown.items()))


def created(cloud: Cloud, case: str) -> Ec2:
    wanted, site = CASES[case]
    handles: list[Any] = []
    means = Means(cloud, cloud.time.clock, lambda wanted, site: wanted.access.allow or ("203.0.113.9/32",))
    if wanted.way.address == "ipv6":
        cloud.ipv6 = "2001:db8::5"
    Launch(request(), wanted, site, handles.append, means).instance()
    return Ec2.of(handles[-1])


@pytest.fixture
def cloud() -> Sending:
    return Sending()


@pytest.mark.parametrize("case", CASES)
def test_launches_are_as_committed(case: str, cloud: Sending, golden: Callable[[str, str], None]) -> None:
    created(cloud, case)
    golden(f"aws/run-instances.{case}", cloud.texts("RunInstances"))


@pytest.mark.parametrize("case", ["plain", "all-options"])
def test_user_data_is_as_committed(case: str, cloud: Sending, golden: Callable[[str, str], None]) -> None:
    created(cloud, case)
    (launch,) = [form for form in cloud.sent if form["Action"] == "RunInstances"]
    golden(f"aws/{case}.user-data", base64.b64decode(launch["UserData"]).decode())


@pytest.mark.parametrize("action", ["CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "ImportKeyPair"])
def test_what_comes_before_a_launch_is_as_committed(
    action: str, cloud: Sending, golden: Callable[[str, str], None]
) -> None:
    created(cloud, "all-options")
    golden(f"aws/{action}", cloud.texts(action))


def test_ways_between_nodes_are_as_committed(cloud: Sending, golden: Callable[[str, str], None]) -> None:
    ec2 = created(cloud, "plain")
    cloud.sent.clear()
    security_group.interconnect(cloud, ec2.vpc, openings(4789), cloud.time.clock)
    golden("aws/AuthorizeSecurityGroupIngress.within", cloud.texts("AuthorizeSecurityGroupIngress"))


def test_a_removal_is_as_committed(cloud: Sending, golden: Callable[[str, str], None]) -> None:
    ec2 = created(cloud, "all-options")
    cloud.sent.clear()
    remove(ec2, cloud, cloud.time.clock)
    golden("aws/removal", "\n".join(_written(form) for form in cloud.sent).replace(ec2.group, "<group>"))


def test_no_request_holds_a_private_key_or_a_host_key(cloud: Sending) -> None:
    created(cloud, "all-options")
    for form in cloud.sent:
        for value in (*form.values(), base64.b64decode(form.get("UserData", "")).decode()):
            assert "PRIVATE KEY" not in value
            assert "ssh_keys" not in value
