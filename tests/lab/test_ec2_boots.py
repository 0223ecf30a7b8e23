"""The EC2 that boots: real hosts behind instances, through boto3 alone."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lab.core import Lab
from lab.ec2.booting import BootingEc2
from lab.sh import Completed, LabError, run

# test_aws uses every part of it in every run.
pytestmark = [pytest.mark.lab, pytest.mark.soak(80)]

UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=20)
    return path


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text().strip()


def enter(key: Path, place: str, command: str, *, known: Path | None = None) -> Completed:
    checks = ("yes", known) if known else ("no", "/dev/null")
    options = [f"StrictHostKeyChecking={checks[0]}", f"UserKnownHostsFile={checks[1]}", "ConnectTimeout=3"]
    flags = [word for option in [*options, "BatchMode=yes", "IdentitiesOnly=yes"] for word in ("-o", option)]
    return run(["ssh", "-F", "/dev/null", "-q", *flags, "-i", key, place, "--", command], timeout=30)


def enter_soon(key: Path, place: str, command: str, seconds: float = 120) -> str:
    end = time.monotonic() + seconds
    while True:
        try:
            return enter(key, place, command).stdout
        except LabError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


class Account:
    """The user's side: boto3 and waiting."""

    def __init__(self, booting: BootingEc2) -> None:
        self.ec2 = booting.server.client("ec2")
        self.booting = booting

    def launch(self, **request: Any) -> str:
        image = self.booting.server.client("ssm").get_parameter(Name=UBUNTU)["Parameter"]["Value"]
        given = {"MinCount": 1, "MaxCount": 1, "ImageId": image, "InstanceType": "t3.small", **request}
        return str(self.ec2.run_instances(**given)["Instances"][0]["InstanceId"])

    def become(self, instance: str, state: str, seconds: float = 120) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            by_id = [{"Name": "instance-id", "Values": [instance]}]
            for reservation in self.ec2.describe_instances(Filters=by_id)["Reservations"]:
                found: dict[str, Any] = reservation["Instances"][0]
                if found["State"]["Name"] == state:
                    return found
            time.sleep(0.2)
        raise AssertionError(f"{instance} is not {state} after {seconds:g} s: {self.booting.failures}")


@pytest.fixture
def account(booting_ec2: BootingEc2) -> Account:
    return Account(booting_ec2)


def test_an_instance_lives_as_a_host(account: Account, lab_session: Lab, key: Path, tmp_path: Path) -> None:
    config = {"ssh_authorized_keys": [public(key)], "runcmd": [["sh", "-c", "echo once >>/root/boots"]]}
    name = account.launch(UserData="#cloud-config\n" + json.dumps(config))
    first = account.become(name, "running")
    private, address = first["PrivateIpAddress"], first["PublicIpAddress"]
    facts = enter_soon(
        key, f"ubuntu@{private}", "hostname; sudo -n id -u; cloud-init status --wait >/dev/null; id -un"
    )
    assert facts.split() == [f"ip-{private.replace('.', '-')}", "0", "ubuntu"]
    assert enter(key, f"ubuntu@{address}", "sudo cat /var/lib/cloud/data/instance-id").stdout.strip() == name

    known = tmp_path / "known"
    known.write_text(f"{address} {printed_key(account, name)}\n")
    assert enter(key, f"ubuntu@{address}", "sudo cat /root/boots", known=known).stdout == "once\n"

    account.ec2.stop_instances(InstanceIds=[name])
    stopped = account.become(name, "stopped")
    assert "PublicIpAddress" not in stopped
    assert not account.booting.host(name).running

    account.ec2.start_instances(InstanceIds=[name])
    again = account.become(name, "running")
    assert again["PrivateIpAddress"] == private
    assert again["PublicIpAddress"] != address
    known.write_text(known.read_text().replace(address, again["PublicIpAddress"]))
    enter_soon(key, f"ubuntu@{again['PublicIpAddress']}", "true")
    there = f"ubuntu@{again['PublicIpAddress']}"
    assert enter(key, there, "sudo cat /root/boots", known=known).stdout == "once\n", "the disk and the host key stay"
    with pytest.raises(LabError):
        enter(key, f"ubuntu@{address}", "true")

    account.ec2.terminate_instances(InstanceIds=[name])
    account.become(name, "terminated")
    assert name not in [host.name for host in lab_session.hosts]
    with pytest.raises(LabError):
        enter(key, there, "true")
    assert account.ec2.describe_volumes()["Volumes"] == []


def printed_key(account: Account, instance: str, seconds: float = 60) -> str:
    """The host key as cloud-init prints it on the console, for whoever wants to know it beforehand."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = account.ec2.get_console_output(InstanceId=instance, Latest=True).get("Output", "")
        _, _, block = text.partition("-----BEGIN SSH HOST KEY KEYS-----")
        block, end_mark, _ = block.partition("-----END SSH HOST KEY KEYS-----")
        lines = [line.strip() for line in block.splitlines() if "ssh-ed25519" in line]
        if lines and end_mark:
            return str(lines[0][lines[0].index("ssh-ed25519") :])
        time.sleep(0.3)
    raise AssertionError(f"no host key on the console:\n{text[-2000:]}")


def test_reboot_power_off_and_keys_for_a_minute(account: Account, key: Path, tmp_path: Path) -> None:
    account.ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=public(key).encode())
    name = account.launch(KeyName="mine", UserData="#cloud-config\n{}\n", Ipv6AddressCount=1)
    made = account.become(name, "running")
    address = made["PublicIpAddress"]
    enter_soon(key, f"ubuntu@{address}", "cloud-init status --wait >/dev/null")
    enter(key, f"ubuntu@{made['Ipv6Address']}", "true")
    host = account.booting.host(name)
    boot = host.boot_id()

    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True, timeout=20)
    with pytest.raises(LabError):
        enter(other, f"ubuntu@{address}", "true")
    connect = account.booting.server.client("ec2-instance-connect")
    connect.send_ssh_public_key(InstanceId=name, InstanceOSUser="ubuntu", SSHPublicKey=public(other))
    assert enter(other, f"ubuntu@{address}", "id -un").stdout == "ubuntu\n"
    host.exec("sed -i 's/^[0-9]*/1/' /run/instance-connect/ubuntu")
    with pytest.raises(LabError):
        enter(other, f"ubuntu@{address}", "true")

    account.ec2.reboot_instances(InstanceIds=[name])
    end = time.monotonic() + 120
    while current_boot(account, name) in ("", boot):
        assert time.monotonic() < end, "no reboot"
        time.sleep(0.2)
    enter_soon(key, f"ubuntu@{address}", "true")

    with contextlib.suppress(LabError):  # the connection may go first
        enter(key, f"ubuntu@{address}", "sudo systemctl poweroff --no-block")
    account.become(name, "stopped")


def current_boot(account: Account, name: str) -> str:
    """The host's boot; empty while it is on its way."""
    try:
        return account.booting.host(name).boot_id()
    except LabError:
        return ""
