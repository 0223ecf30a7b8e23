"""Networks of an engine's bridges that would hide the host's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pymachine.engine.bridge_networks import network_conflicts
from pymachine.fleet.plan import ActionKind
from pymachine.model import EngineSpec
from unit.fleets import Sim, fleet, kinds, spec

POOLS = "default-address-pools"


@pytest.mark.parametrize(
    ("wanted", "address", "clash"),
    [
        ({POOLS: [{"base": "10.0.0.0/8", "size": 24}]}, "10.1.2.3", True),
        ({POOLS: [{"base": "172.30.0.0/16", "size": 24}, {"base": "10.1.0.0/16", "size": 24}]}, "10.1.2.3", True),
        ({POOLS: [{"base": "172.30.0.0/16", "size": 24}]}, "10.1.2.3", False),
        ({"bip": "10.1.2.1/24"}, "10.1.2.3", True),
        ({"bip": "10.1.2.1/30"}, "10.1.2.3", True),
        ({"bip": "10.9.2.1/24"}, "10.1.2.3", False),
        ({"fixed-cidr-v6": "fd00::/64"}, "fd00::5", True),
        ({"fixed-cidr-v6": "fe80::/64"}, "fe80::5%eth0", True),
        ({"bip6": "fd00::1/64"}, "10.1.2.3", False),
        ({"bip": "none"}, "10.1.2.3", False),
        ({"bip": None, POOLS: None}, "10.1.2.3", False),
        ({POOLS: [{"size": 24}, {"base": 5, "size": 24}]}, "10.1.2.3", False),
        ({"bip": "10.1.2.1/24"}, "host.example", False),
    ],
)
def test_a_network_that_holds_the_hosts_address_is_a_conflict(wanted: Any, address: str, clash: bool) -> None:
    assert bool(network_conflicts(wanted, {}, [address])) is clash
    assert network_conflicts(wanted, wanted, [address]) == []  # it is there already


@pytest.mark.parametrize(
    "engine", [{"opts": ("bip=10.0.0.1/24",)}, {"config": {POOLS: [{"base": "10.0.0.0/8", "size": 24}]}}]
)
def test_plan_refuses_it_before_a_host_is_made(engine: dict[str, Any]) -> None:
    wanted = replace(spec("box", options={"ssh_host": "10.0.0.5"}), engine=EngineSpec(**engine))
    made = Sim().plan(fleet(wanted, spec("other")))
    assert [refusal.subject for refusal in made.refusals] == ["box"]
    assert kinds(made) == {"other": [ActionKind.CREATE]}
