"""The texts that are made of inventories: schema, starters, exports, as committed in tests/golden/inventory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pymachine.fleet.inventory import Surroundings, YamlFile, export, load, starter
from pymachine.fleet.inventory.driver_keys import Drivers
from pymachine.fleet.inventory.json_schema import schema_of
from pymachine.model import SshAddress
from pymachine.testing.fake_driver import FakeOptions
from pymachine_ssh import SshOptions
from unit.inventories import Files

Compare = Callable[[str, str], None]

KINDS: Mapping[str, type] = {"fake": FakeOptions, "ssh": SshOptions}
AROUND = Surroundings({}, tuple(KINDS), KINDS.__getitem__, Files())
FLEET = """\
fleet: shop
defaults: {driver: ssh, engine: {env: {PROXY_TOKEN: {from_command: [pass, token]}}}}
machines:
  - name: mgr-{1..3}
    swarm: manager
    ssh: {host: "10.0.0.1{1..3}", user: ops}
  - {name: db, groups: [data], labels: {rack: 7}, ssh: {host: db.example.org, port: 2222, key: /keys/db, jump: b}}
  - {name: made, driver: fake, swarm: worker}
  - {name: later, driver: fake}
swarm: {autolock: true}
"""
RECORDED = {"made": SshAddress("2001:db8::7", user="pymachine", key_path="/store/certs/made/key")}
OLD: dict[str, Any] = {
    "box": {
        "DriverName": "generic",
        "Driver": {"IPAddress": "10.0.0.5", "SSHUser": "ann", "SSHPort": 2200, "SSHKey": "/home/ann/.ssh/id"},
        "HostOptions": {"EngineOptions": {"Labels": ["env=prod"], "ArbitraryFlags": ["log-driver=local"]}},
    },
    "vbox_1": {"DriverName": "virtualbox", "Driver": {"IPAddress": "192.168.99.100", "SSHUser": "docker"}},
    "gone": {"DriverName": "generic", "Driver": {}},
}


def test_the_schema(golden: Compare) -> None:
    golden("inventory/schema.json", json.dumps(schema_of(Drivers(AROUND)), indent=2, ensure_ascii=False) + "\n")


def test_the_starters(golden: Compare) -> None:
    golden("inventory/starter.yaml", starter.starter("shop"))
    golden("inventory/starter-hosts.yaml", starter.from_hosts("shop", ["ops@10.0.0.1:2222", "web.example.org"]))
    golden("inventory/starter-docker-machine.yaml", starter.from_docker_machine("old", OLD))


def test_the_exports(golden: Compare) -> None:
    fleet = load([YamlFile("shop.yaml", FLEET)], AROUND).fleet
    stated = {machine.name: export.declared(machine) for machine in fleet.machines}
    addresses = {**{name: address for name, address in stated.items() if address}, **RECORDED}
    golden("inventory/ansible.yaml", export.ansible(fleet, addresses))
    golden("inventory/ssh-config", export.ssh_config(fleet, addresses))
    golden("inventory/fleet.json", json.dumps(export.document(fleet), indent=2, ensure_ascii=False) + "\n")
