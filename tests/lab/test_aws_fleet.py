"""A fleet in the cloud: instances find each other as nodes of one Swarm, and change without being made anew."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.ec2.booting import BootingEc2
from lab.fleets import awaited
from lab.test_aws import NOTHING, ec2, tagged, user
from lab.workstation import Workstation

__all__ = ["ec2", "user"]

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

INVENTORY = """\
fleet: cloud
defaults: {{driver: aws, aws: {{region: us-east-1, vpc: {vpc}, allow: [203.0.113.0/24]}}}}
machines:
  - {{name: mgr, swarm: manager}}
  - {{name: web, swarm: worker, aws: {{instance_type: [{type}], tag: ["team={team}"]}}}}
"""


def write(ec2: BootingEc2, user: Workstation, *, type: str = "t3.small", team: str = "red") -> str:
    file = user.folder / "cloud.yaml"
    file.write_text(INVENTORY.format(vpc=ec2.network["vpc"], type=type, team=team))
    return str(file)


def planned(user: Workstation, file: str) -> list[tuple[str, str]]:
    changes = json.loads(user.pymachine("plan", "--json", "-f", file, check=6).stdout)["changes"]
    return [(change["subject"], change["action"]) for change in changes]


def instance(ec2: BootingEc2, user: Workstation, name: str) -> dict[str, Any]:
    ids = [user.inspect(name)["handle"]["instance"]]
    found = ec2.server.client("ec2").describe_instances(InstanceIds=ids)
    return dict(found["Reservations"][0]["Instances"][0])


def ready(user: Workstation) -> bool:
    nodes = json.loads(user.pymachine("swarm", "status", "--json", "mgr").stdout)["nodes"]
    return [(node["state"], node["availability"]) for node in nodes] == [("ready", "active")] * 2


@pytest.mark.soak(120)
def test_nodes_in_the_cloud_reach_each_other_and_change_in_place(ec2: BootingEc2, user: Workstation) -> None:
    file = write(ec2, user)
    user.pymachine("apply", "-y", "-f", file, timeout=600)
    assert ready(user)
    (group,) = ec2.server.client("ec2").describe_security_groups(GroupNames=["pymachine"])["SecurityGroups"]
    within = {
        (rule["IpProtocol"], rule["FromPort"])
        for rule in group["IpPermissions"]
        for pair in rule["UserIdGroupPairs"]
        if pair["GroupId"] == group["GroupId"]
    }
    assert within == {("tcp", 2377), ("tcp", 7946), ("udp", 7946), ("udp", 4789), ("50", 0)}
    user.pymachine("plan", "-f", file)

    before, addresses = instance(ec2, user, "web"), user.inspect("web")["endpoint"]["host"]
    file = write(ec2, user, type="t3.large", team="blue")
    assert planned(user, file) == [("web", "refit")]
    applied = user.pymachine("apply", "-y", "-f", file, timeout=600)
    after = instance(ec2, user, "web")
    assert after["InstanceId"] == before["InstanceId"], applied.stderr
    assert (before["InstanceType"], after["InstanceType"]) == ("t3.small", "t3.large")
    assert {"Key": "team", "Value": "blue"} in after["Tags"]
    assert user.inspect("web")["endpoint"]["host"] != addresses, "it was off meanwhile"
    assert user.docker("web", "info", "--format", "{{.Swarm.LocalNodeState}}").stdout == "active\n"
    awaited(lambda: ready(user), "the changed node to be active again")
    user.pymachine("plan", "-f", file)

    user.pymachine("destroy", "-y", "-f", file, timeout=600)
    assert tagged(ec2) == NOTHING
