"""Settings that would hide what an engine has are refused, and stay if the set-up goes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pymachine.engine.facts import HostFacts
from pymachine.engine.host_facts import Asked, EngineFacts
from pymachine.engine.removal import plan_removal
from pymachine.engine.setup import SetupPlan, plan_setup
from pymachine.errors import CheckFailed
from pymachine.model import EngineSpec, Machine

TRIXIE = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
USED = {"Driver": "overlay2", "Images": 3, "Containers": 1, "DockerRootDir": "/var/lib/docker"}
SNAPSHOTTER = [["driver-type", "io.containerd.snapshotter.v1"]]


def host(theirs: dict[str, Any] | None = None, *, flags: str = "", **changes: Any) -> HostFacts:
    engine = EngineFacts(
        dockerd="/usr/sbin/dockerd", unit="docker.service", version="29.0.1", active=True,
        unit_text=f"# /lib/docker.service\nExecStart=/usr/sbin/dockerd -H fd:// {flags}\n", info=USED,
    )  # fmt: skip
    facts = HostFacts.assumed(TRIXIE, hostname="host", engine=replace(engine, **changes))
    return replace(facts, daemon_json=None if theirs is None else json.dumps(theirs).encode())


def planned(facts: HostFacts, **config: Any) -> SetupPlan:
    return plan_setup(Machine("node1", "id-1", "ssh", engine=EngineSpec(config=config)), facts)


def set_up(facts: HostFacts, **config: Any) -> HostFacts:
    """The facts after a set-up with these settings, while the engine had nothing yet."""
    assert facts.engine is not None
    plan = planned(replace(facts, engine=replace(facts.engine, info={"Driver": "overlay2"})), **config)
    return replace(facts, daemon_json=plan.config.final, manifest=json.loads(plan.manifest.text()))


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("data-root", {"data-root": "/mnt/docker"}),
    ("data-root", {"graph": "/mnt/docker"}),
    ("userns-remap", {"userns-remap": "default"}),
    ("exec-root", {"exec-root": "/run/other"}),
    ("containerd", {"containerd": "/run/other.sock"}),
    ("containerd-namespace", {"containerd-namespace": "other"}),
    ("containerd-snapshotter", {"features": {"containerd-snapshotter": True}}),
]


@pytest.mark.parametrize(("key", "config"), CHANGES)
def test_what_would_hide_data_is_refused_by_name(key: str, config: dict[str, Any]) -> None:
    with pytest.raises(CheckFailed, match=key):
        planned(host(), **config)


@pytest.mark.parametrize(("key", "config"), CHANGES)
def test_an_engine_without_data_may_have_it(key: str, config: dict[str, Any]) -> None:
    changed = planned(host(info={"Driver": "overlay2"}), **config).config.changed
    assert key in changed or config.keys() <= changed.keys()


@pytest.mark.parametrize(("key", "config"), [*CHANGES, ("storage-driver", {"storage-driver": "vfs"})])
def test_what_an_engine_has_that_does_not_run_is_not_known(key: str, config: dict[str, Any]) -> None:
    down = host(active=False, info={}, asked=Asked.ABSENT)
    with pytest.raises(CheckFailed, match=f"{key}.* not known"):
        planned(down, **config)
    ours = set_up(host(), **config)
    assert ours.engine is not None
    again = replace(ours, engine=replace(ours.engine, active=False, info={}, asked=Asked.ABSENT))
    planned(again, **config)


@pytest.mark.parametrize(
    ("theirs", "flags", "config"),
    [
        (None, "", {"data-root": "/var/lib/docker/"}),
        ({"graph": "/mnt/docker"}, "", {"graph": "/mnt/docker"}),
        ({"userns-remap": "dockremap"}, "", {"userns-remap": "dockremap"}),
        (None, "", {"exec-root": "/run/docker"}),
        ({"features": {"containerd-snapshotter": False}}, "", {"features": {"containerd-snapshotter": False}}),
        ({"data-root": "/mnt/docker"}, "", {"mtu": 1400}),
        (None, "--data-root /mnt/docker", {"mtu": 1400}),
    ],
)  # fmt: skip
def test_what_changes_no_place_is_fine(theirs: dict[str, Any] | None, flags: str, config: dict[str, Any]) -> None:
    planned(host(theirs, flags=flags), **config)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_running_engine_says_whose_images_it_uses(wanted: bool) -> None:
    facts = host(info={**USED, "Driver": "overlayfs", "DriverStatus": SNAPSHOTTER})
    if wanted:
        planned(facts, features={"containerd-snapshotter": True})
    else:
        with pytest.raises(CheckFailed, match="containerd-snapshotter"):
            planned(facts, features={"containerd-snapshotter": False})


def test_a_setting_that_goes_from_the_options_would_hide_as_much() -> None:
    ours = set_up(host(), **{"data-root": "/mnt/docker"})
    with pytest.raises(CheckFailed, match="data-root '/var/lib/docker'"):
        planned(ours)


@pytest.mark.parametrize(("key", "config"), CHANGES)
def test_a_removal_leaves_the_engine_with_its_data(key: str, config: dict[str, Any]) -> None:
    ours = set_up(host(), mtu=1400, **config)
    plan = plan_removal(ours)
    assert json.loads(plan.final or b"") == config
    assert any(next(iter(config)) in text or key in text for text in plan.announcements)


def test_a_removal_takes_the_setting_of_an_engine_without_data() -> None:
    ours = set_up(host(), **{"data-root": "/mnt/docker"})
    assert ours.engine is not None
    assert plan_removal(replace(ours, engine=replace(ours.engine, info={"Driver": "overlay2"}))).final is None
