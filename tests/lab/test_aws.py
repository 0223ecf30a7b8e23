"""EC2 through the real command: instances are hosts of the lab, set up by cloud-init and SSH, used over TLS."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.client import docker_cli
from lab.ec2.booting import BootingEc2
from lab.images import rootfs
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

NAME = "cloud1"


@pytest.fixture
def ec2(booting_ec2: BootingEc2) -> BootingEc2:
    booting_ec2.options = {"engine": True, "files": {"/root/busybox.tar": (rootfs().read_bytes(), 0o644)}}
    return booting_ec2


@pytest.fixture
def user(ec2: BootingEc2, tmp_path: Path) -> Iterator[Workstation]:
    environ = {
        **ec2.server.environ("us-east-1"),
        "AWS_VPC_ID": ec2.network["vpc"],
        "PYMACHINE_AWS_CHECKIP_URL": ec2.server.checkip,
    }
    folder = tmp_path / "user"
    folder.mkdir()
    yield Workstation(folder, docker_cli(), folder / "no-key", environ)
    assert not ec2.failures


def tagged(ec2: BootingEc2) -> dict[str, list[str]]:
    """What carries a tag of ours and is there, by kind."""
    client = ec2.server.client("ec2")
    ours: list[Any] = [{"Name": "tag-key", "Values": ["pymachine:id", "pymachine:group"]}]
    instances = [
        found["InstanceId"]
        for reservation in client.describe_instances(Filters=ours)["Reservations"]
        for found in reservation["Instances"]
        if found["State"]["Name"] != "terminated"
    ]
    return {
        "instances": instances,
        "volumes": [found["VolumeId"] for found in client.describe_volumes(Filters=ours)["Volumes"]],
        "groups": [found["GroupId"] for found in client.describe_security_groups(Filters=ours)["SecurityGroups"]],
        "keys": [found["KeyName"] for found in client.describe_key_pairs(Filters=ours)["KeyPairs"]],
        "interfaces": [
            found["NetworkInterfaceId"]
            for found in client.describe_network_interfaces(Filters=ours)["NetworkInterfaces"]
        ],
    }


NOTHING: dict[str, list[str]] = {"instances": [], "volumes": [], "groups": [], "keys": [], "interfaces": []}


def become(ec2: BootingEc2, instance: str, state: str, seconds: float = 60) -> None:
    """Look until EC2 shows an instance in a state."""
    client = ec2.server.client("ec2")
    wanted: list[Any] = [
        {"Name": "instance-id", "Values": [instance]},
        {"Name": "instance-state-name", "Values": [state]},
    ]
    end = time.monotonic() + seconds
    while not client.describe_instances(Filters=wanted)["Reservations"]:
        assert time.monotonic() < end, f"{instance} is not {state}: {ec2.failures}"
        time.sleep(0.2)


def run_container(user: Workstation) -> str:
    return user.docker(NAME, "run", "--rm", "busybox", "echo", "from a container").stdout


def test_a_machine_in_the_cloud_from_create_to_rm(ec2: BootingEc2, user: Workstation) -> None:
    made = user.pymachine("create", "-d", "aws", NAME)
    first = user.inspect(NAME)
    address = first["endpoint"]["host"]
    assert f"{NAME} is ready: tcp://{address}:2376" in made.stdout
    assert first["ssh"]["user"] == "ubuntu"
    assert ec2.server.billed() == [first["handle"]["instance"]]
    host = ec2.host(first["handle"]["instance"])
    seed = host.exec("cat /var/lib/cloud/instance/user-data.txt").stdout
    assert "PRIVATE KEY" not in seed, "whoever reads user-data must learn no secret"

    host.exec("docker import /root/busybox.tar busybox")
    assert run_container(user) == "from a container\n"
    assert user.pymachine("ssh", NAME, "hostname").stdout == f"{NAME}\n"
    assert user.states() == {NAME: "Running"}

    user.pymachine("stop", NAME)
    assert user.states() == {NAME: "Stopped"}
    started = user.pymachine("start", NAME)
    second = user.inspect(NAME)
    moved = second["endpoint"]["host"]
    assert moved != address, "EC2 gives another public address at a start"
    assert f"its address is now {moved} (was {address})" in started.stderr
    assert run_container(user) == "from a container\n"
    assert second["certificates"]["ca"] == first["certificates"]["ca"]
    assert second["certificates"]["client"] == first["certificates"]["client"]
    assert second["certificates"]["server"] != first["certificates"]["server"]
    assert second["ssh"]["host_key"] == first["ssh"]["host_key"]

    user.pymachine("restart", NAME)
    assert user.inspect(NAME)["endpoint"]["host"] == moved, "a reboot keeps the address"
    assert run_container(user) == "from a container\n"

    user.pymachine("rm", "-y", NAME)
    assert tagged(ec2) == NOTHING
    assert user.pymachine("ls", "-q").stdout == ""


@pytest.mark.soak(50)
def test_a_start_behind_our_back_is_seen_and_followed(ec2: BootingEc2, user: Workstation) -> None:
    user.pymachine("create", "-d", "aws", NAME)
    before = user.inspect(NAME)
    client = ec2.server.client("ec2")
    instance = before["handle"]["instance"]
    client.stop_instances(InstanceIds=[instance])
    become(ec2, instance, "stopped")
    client.start_instances(InstanceIds=[instance])
    become(ec2, instance, "running")
    rows = json.loads(user.pymachine("ls", "--json").stdout)
    assert f"`pymachine start {NAME}` updates its address" in json.dumps(rows)
    user.pymachine("start", NAME)
    after = user.inspect(NAME)
    assert after["endpoint"]["host"] != before["endpoint"]["host"]
    user.docker(NAME, "version")
    client.terminate_instances(InstanceIds=[instance])
    become(ec2, instance, "terminated")
    assert user.states() == {NAME: "Missing"}
    user.pymachine("rm", "-y", NAME)
    assert tagged(ec2) == NOTHING


def start(user: Workstation, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        user.command(*words), env=user.env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def kill_at_each_call(ec2: BootingEc2, user: Workstation, *words: str) -> int:
    """Give a command again and again, each time killed one API call later, until it gets to its end."""
    for nth in itertools.count(1):
        call = len(ec2.server.calls()) + nth
        if not ec2.server.kill_at(lambda: start(user, *words), "after", call=call):
            return nth - 1
        assert len(ec2.server.billed()) <= 1
    raise AssertionError


@pytest.mark.soak(150)
def test_create_and_rm_killed_after_every_call_bill_one_instance(ec2: BootingEc2, user: Workstation) -> None:
    killed = kill_at_each_call(ec2, user, "create", "-d", "aws", NAME)
    assert killed >= 5
    user.pymachine("create", "-d", "aws", NAME, check=3)  # exists already: the last one came to its end
    assert ec2.server.billed() == [user.inspect(NAME)["handle"]["instance"]]
    user.docker(NAME, "version")
    assert kill_at_each_call(ec2, user, "rm", "-y", NAME) >= 2
    assert user.pymachine("ls", "-q").stdout == ""
    assert tagged(ec2) == NOTHING


@pytest.mark.soak(40)
def test_a_lost_store_leaves_what_gc_finds_and_removes(ec2: BootingEc2, user: Workstation) -> None:
    user.pymachine("create", "-d", "aws", NAME)
    [instance] = ec2.server.billed()
    assert instance not in user.pymachine("gc", "-d", "aws").stdout
    shutil.rmtree(user.store)
    listed = user.pymachine("gc", "-d", "aws", "--any-store").stdout
    assert instance in listed
    told = user.pymachine("gc", "-d", "aws", "--any-store", "--remove", "-y")
    assert f"instance {instance} ({NAME}) in us-east-1 is removed" in told.stdout
    assert tagged(ec2) == NOTHING
