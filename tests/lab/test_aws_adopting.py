"""Instances of others, adopted through the real command: used, rebooted, moved, and given back as they were."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.client import docker_cli
from lab.ec2.booting import BootingEc2
from lab.sh import LabError
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
NAME = "adopted"


@pytest.fixture
def ec2(booting_ec2: BootingEc2) -> BootingEc2:
    booting_ec2.options = {"engine": True}
    return booting_ec2


@pytest.fixture
def user(ec2: BootingEc2, tmp_path: Path) -> Iterator[Workstation]:
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=20)
    (tmp_path / "user").mkdir()
    yield Workstation(tmp_path / "user", docker_cli(), key, ec2.server.environ("us-east-1"))
    assert not ec2.failures


def launched(ec2: BootingEc2, key: Path) -> str:
    """An instance that somebody launched without us, up and running."""
    client = ec2.server.client("ec2")
    client.import_key_pair(KeyName="theirs", PublicKeyMaterial=key.with_suffix(".pub").read_bytes())
    image = ec2.server.client("ssm").get_parameter(Name=UBUNTU)["Parameter"]["Value"]
    made = client.run_instances(
        ImageId=image,
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        KeyName="theirs",
        UserData="#cloud-config\n{}\n",
    )
    instance = str(made["Instances"][0]["InstanceId"])
    end = time.monotonic() + 120
    while not (_state(ec2, instance) == "running" and _is_up(ec2, instance)):
        assert time.monotonic() < end, ec2.failures
        time.sleep(0.3)
    return instance


def _is_up(ec2: BootingEc2, instance: str) -> bool:
    """Whether its cloud-init and its engine are done starting."""
    looks = "cloud-init status --wait >/dev/null 2>&1; systemctl is-active docker ssh"
    try:
        return ec2.hosts[instance].exec(looks, check=False).stdout.split() == ["active", "active"]
    except (KeyError, LabError):
        return False


def _state(ec2: BootingEc2, instance: str) -> str:
    asked = [{"Name": "instance-id", "Values": [instance]}]
    found = ec2.server.client("ec2").describe_instances(Filters=asked)["Reservations"]
    return str(found[0]["Instances"][0]["State"]["Name"]) if found else "unseen"


@pytest.mark.soak(85)
def test_an_instance_is_adopted_rebooted_moved_and_given_back(ec2: BootingEc2, user: Workstation) -> None:
    instance = launched(ec2, user.key)
    host = ec2.host(instance)
    before = host.exec("find /etc/docker /etc/systemd/system -type f | sort").stdout
    user.pymachine("adopt", "-d", "aws", "--aws-ssh-key", str(user.key), "--aws-host-key", "console", instance, NAME)
    first = user.inspect(NAME)
    assert first["handle"]["adopted"]
    assert user.docker(NAME, "info", "--format", "{{.Name}}").returncode == 0
    assert user.states() == {NAME: "Running"}

    boot = host.boot_id()
    user.pymachine("restart", NAME)
    assert ec2.host(instance).boot_id() != boot, "the engine that answered is that of the new boot"
    assert user.inspect(NAME)["endpoint"] == first["endpoint"]

    user.pymachine("stop", NAME)
    assert user.states() == {NAME: "Stopped"}
    user.pymachine("start", NAME)
    assert user.inspect(NAME)["endpoint"]["host"] != first["endpoint"]["host"]
    user.docker(NAME, "version")

    found = json.loads(user.pymachine("gc", "-d", "aws", "--json").stdout)
    assert instance not in json.dumps(found)
    user.pymachine("rm", "-y", NAME)
    assert ec2.server.billed() == [instance], "it is not ours to terminate"
    assert ec2.host(instance).exec("find /etc/docker /etc/systemd/system -type f | sort").stdout == before


@pytest.mark.soak(45)
def test_an_instance_whose_key_nobody_has_is_adopted_by_instance_connect(ec2: BootingEc2, user: Workstation) -> None:
    instance = launched(ec2, user.key)
    user.key.unlink()
    user.pymachine("adopt", "-d", "aws", "--aws-ssh-via", "instance-connect", instance, NAME)
    assert user.pymachine("ssh", NAME, "id", "-un").stdout == "ubuntu\n"
    user.docker(NAME, "version")
    sent = ec2.server.sent_keys()
    assert len(sent) >= 2
    assert {(each["instance"], each["user"]) for each in sent} == {(instance, "ubuntu")}
    user.pymachine("rm", "-y", NAME)
    assert ec2.server.billed() == [instance]
