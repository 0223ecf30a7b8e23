"""Starters: they load without a fault, and say what they were made of."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pymachine.errors import UsageFault
from pymachine.fleet.inventory import Fleet, Surroundings, YamlFile, load, starter
from pymachine_aws.options import AwsOptions
from pymachine_kvm.options import KvmOptions
from pymachine_ssh import SshOptions
from unit.inventories import Files

KINDS: dict[str, type] = {"ssh": SshOptions, "kvm": KvmOptions, "aws": AwsOptions}


def loaded(text: str, files: Files | None = None) -> Fleet:
    inventory = load([YamlFile("s.yaml", text)], Surroundings({}, tuple(KINDS), KINDS.__getitem__, files or Files()))
    assert inventory.warnings == ()
    return inventory.fleet


@pytest.mark.parametrize("fleet", ["shop", "null", "7", "on"])
def test_the_commented_starter_loads(fleet: str) -> None:
    found = loaded(starter.starter(fleet))
    assert found.name == fleet
    assert [machine.name for machine in found.machines] == ["mgr-1", "mgr-2", "mgr-3", "web-01", "web-02"]


def test_what_the_starter_has_in_comments_loads_too() -> None:
    """Sentences begin with a capital letter, examples do not."""
    head, _, body = starter.starter("shop").partition("\nfleet:")
    text = re.sub(r"(?m)^( *)# (?=[a-z -])", r"\1", f"fleet:{body}")
    names = ("/inv/shop/compose.yaml", "/inv/metrics/compose.yaml", "/inv/secrets/db", "/inv/notify.sh")
    found = loaded(text, Files(dict.fromkeys(names, ""), {"/inv/notify.sh"}))
    assert head.startswith("# A fleet")
    assert [machine.driver for machine in found.machines] == ["ssh"] * 5 + ["kvm"] * 2 + ["aws"] * 4
    assert found.machines[4].options["ssh_port"] == 2222
    assert [stack.on for stack in found.stacks] == [None, "web-01"]
    assert found.stacks[0].environment["TAG"] == "latest"
    assert found.hooks
    assert found.machines[0].engine.version == "28.0"


def test_hosts_become_ssh_machines_and_the_first_is_the_manager() -> None:
    hosts = ["ops@10.0.0.1:2222", "web.example.org", "[2001:db8::1]:22", "web.example.com", "root@build_1"]
    found = loaded(starter.from_hosts("shop", hosts))
    names = [machine.name for machine in found.machines]
    assert names == ["host-10-0-0-1", "web", "host-2001-db8-1", "web-2", "build-1"]
    assert found.machines[0].options == {"ssh_host": "10.0.0.1", "ssh_user": "ops", "ssh_port": 2222}
    assert [machine.swarm.role for machine in found.machines if machine.swarm] == ["manager", *["worker"] * 4]


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ([], "host"),
        (["a", "a"], "host 'a'"),
        (["a b"], "'a b'"),
        (["10.0.0.999"], "'10.0.0.999'"),
        (["a:99999"], "port 99999"),
        (["none"], "'none'"),
        (["a,b"], "'a,b'"),
    ],
)
def test_hosts_that_cannot_be_read_are_refused(hosts: list[str], message: str) -> None:
    with pytest.raises(UsageFault) as caught:
        starter.from_hosts("shop", hosts)
    assert message in caught.value.message


def test_a_list_of_hosts_may_have_comments_and_empty_lines() -> None:
    assert starter.hosts_of("# ours\n\na  # first\nroot@b extra words\n") == ["a", "root@b"]


def config(driver: str, raw: dict[str, Any], **engine: Any) -> dict[str, Any]:
    return {"DriverName": driver, "Driver": raw, "HostOptions": {"EngineOptions": engine}}


def test_machines_of_docker_machine_are_taken_over() -> None:
    text = starter.from_docker_machine("old", {
        "bare": config(
            "generic", {"IPAddress": "10.0.0.5", "SSHUser": "ann", "SSHPort": 22, "SSHKey": "/k/a $b"},
            Labels=["provider=generic", "env=prod"], RegistryMirror=["https://m.example.org"], Env=["TOKEN=hunter2"],
        ),
        "cloud": config(
            "amazonec2", {"Region": "eu-central-1", "Zone": "a", "InstanceType": "t3.small", "InstanceId": "i-0abc",
                          "SecretKey": "hunter2", "SSHUser": "ubuntu", "VolumeType": "gp2", "Monitoring": False},
        ),
        "virt": config("kvm2", {"Memory": 2048, "DiskSize": 20000, "CPU": 2, "Network": "default"}),
        "my_box": config("virtualbox", {"IPAddress": "192.168.99.100", "SSHUser": "docker", "SSHPort": 2200}),
        "lost": config("generic", {"IPAddress": ""}),
        "broken": {},
    })  # fmt: skip
    found = {machine.name: machine for machine in loaded(text).machines}
    assert found["bare"].options == {"ssh_host": "10.0.0.5", "ssh_user": "ann", "ssh_key": "/k/a $b"}
    assert found["bare"].engine.labels == ("env=prod",)
    assert found["bare"].engine.registry_mirrors == ("https://m.example.org",)
    assert found["cloud"].driver == "aws"
    assert found["cloud"].options == {
        "aws_region": "eu-central-1", "aws_zone": ("a",), "aws_instance_type": ("t3.small",),
        "aws_volume_type": "gp2", "aws_ssh_user": "ubuntu",
    }  # fmt: skip
    assert found["virt"].options == {
        "kvm_memory": "2048M", "kvm_disk": "20000M", "kvm_cpus": 2, "kvm_network": "default",
    }  # fmt: skip
    assert found["my-box"].options == {"ssh_host": "192.168.99.100", "ssh_user": "docker", "ssh_port": 2200}
    assert set(found) == {"bare", "cloud", "virt", "my-box"}
    assert "left out: lost: " in text
    assert "left out: broken: " in text
    assert "driver virtualbox" in text
    assert "hunter2" not in text


def test_a_store_without_a_usable_machine_is_refused() -> None:
    with pytest.raises(UsageFault) as caught:
        starter.from_docker_machine("old", {"a": {}})
    assert (caught.value.hint or "").startswith("a: ")
