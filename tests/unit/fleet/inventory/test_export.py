"""Exports: what Ansible and ssh read of a fleet."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from patience import LIMIT
from pymachine.fleet.inventory import Fleet, export
from pymachine.model import SshAddress
from unit.inventories import fleet

TEXT = """
    fleet: shop
    machines:
      - {name: m1, driver: fake, swarm: manager}
      - name: "w{1..2}"
        driver: ssh
        ssh: {host: "10.0.0.{1..2}", user: ops, port: 2222, jump: "me@bastion,inner:2200", key: /k/id one}
        swarm: worker
        groups: [front-end]
        labels: {rack: "7"}
      - {name: later, driver: fake}
"""


def shop() -> tuple[Fleet, dict[str, SshAddress]]:
    """The fleet, with the addresses of the inventory and one of a record."""
    found = fleet(TEXT)
    stated = {machine.name: export.declared(machine) for machine in found.machines}
    known = {name: address for name, address in stated.items() if address}
    return found, {**known, "m1": SshAddress("2001:db8::5", user="root", proxy=("ssm", "connect", "a b", "%h"))}


def test_ansible_gets_hosts_with_their_variables() -> None:
    document = yaml.safe_load(export.ansible(*shop()))
    assert document["all"]["hosts"]["w1"] == {
        "ansible_host": "10.0.0.1",
        "ansible_port": 2222,
        "ansible_user": "ops",
        "ansible_ssh_private_key_file": "/k/id one",
        "ansible_ssh_common_args": "-o ProxyJump=me@bastion,inner:2200",
        "pymachine_driver": "ssh",
        "pymachine_labels": {"rack": "7"},
    }
    assert document["all"]["hosts"]["m1"]["ansible_host"] == "2001:db8::5"
    assert "ProxyCommand=ssm connect" in document["all"]["hosts"]["m1"]["ansible_ssh_common_args"]


def test_ansible_gets_groups_by_role_and_by_name() -> None:
    children = yaml.safe_load(export.ansible(*shop()))["all"]["children"]
    members = {group: list(inner["hosts"]) for group, inner in children.items()}
    assert members == {"managers": ["m1"], "workers": ["w1", "w2"], "front_end": ["w1", "w2"]}


def test_a_machine_without_an_address_is_named_in_a_comment() -> None:
    for text in (export.ansible(*shop()), export.ssh_config(*shop())):
        assert "left out: later\n" in text
        assert "later" not in text.split("left out: later\n")[1]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs the ssh client")
def test_ssh_reads_its_export(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(export.ssh_config(*shop()))
    seen = subprocess.run(
        ["ssh", "-G", "-F", str(config), "w2"], capture_output=True, text=True, check=True, timeout=LIMIT
    ).stdout.splitlines()
    for line in ("hostname 10.0.0.2", "port 2222", "user ops", "identityfile /k/id one", "identitiesonly yes",
                 "proxyjump me@bastion,inner:2200"):  # fmt: skip
        assert line in seen
    proxied = subprocess.run(
        ["ssh", "-G", "-F", str(config), "m1"], capture_output=True, text=True, check=True, timeout=LIMIT
    ).stdout
    assert "hostname 2001:db8::5" in proxied
    assert "proxycommand ssm connect 'a b' %h" in proxied


def test_json_has_every_machine_by_itself() -> None:
    document = export.document(shop()[0])
    assert [machine["name"] for machine in document["machines"]] == ["m1", "w1", "w2", "later"]
    assert document["machines"][1]["options"]["ssh_host"] == "10.0.0.1"
