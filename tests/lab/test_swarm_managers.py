"""Three managers on real hosts: locks after a restart, a leader that dies, and a majority that is lost for good."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from lab import Host
from lab.client import docker_cli
from lab.core import Lab
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]
NAMES = ("m1", "m2", "m3")


@pytest.fixture(scope="module")
def user(lab_session: Lab, tmp_path_factory: pytest.TempPathFactory) -> Workstation:
    return Workstation(tmp_path_factory.mktemp("managers"), docker_cli(), lab_session.key)


@pytest.fixture(scope="module")
def hosts(module_engine_host: FreshHost, user: Workstation) -> dict[str, Host]:
    """Three managers of a Swarm that locks itself."""
    booted = {name: module_engine_host(name=name, wait=False) for name in NAMES}
    for name, host in booted.items():
        host.wait_ssh()
        user.create(name, host.address)
    user.pymachine("swarm", "create", "--autolock", *NAMES)
    return booted


def _status(user: Workstation, name: str) -> Any:
    return json.loads(user.pymachine("swarm", "status", "--json", name).stdout)


def _until(true: Callable[[], bool], patience: float = 60) -> None:
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end
        time.sleep(0.5)


def _boot(user: Workstation, host: Host, name: str) -> None:
    host.start()
    host.wait_ssh()
    user.pymachine("start", name)


@pytest.mark.soak(130)
def test_a_manager_that_restarts_is_locked_until_swarm_unlock(user: Workstation, hosts: dict[str, Host]) -> None:
    hosts["m3"].stop()
    _boot(user, hosts["m3"], "m3")
    assert _status(user, "m1")["locked"] == ["m3"]
    assert user.pymachine("swarm", "unlock").stdout == "m3 is unlocked\n"
    _until(lambda: _status(user, "m1")["healthy"])
    key = user.docker("m1", "swarm", "unlock-key", "-q").stdout.strip()
    assert key.startswith("SWMKEY")
    user.pymachine("swarm", "rotate", "--unlock-key", "m1")
    assert user.docker("m1", "swarm", "unlock-key", "-q").stdout.strip() != key


@pytest.mark.soak(180)
def test_the_swarm_goes_on_without_its_leader_and_takes_it_back(user: Workstation, hosts: dict[str, Host]) -> None:
    leader = _status(user, "m1")["leader"]
    other = next(name for name in NAMES if name != leader)
    hosts[leader].kill()
    _until(lambda: _status(user, other)["leader"] not in (leader, None))
    told = _status(user, other)
    assert (told["quorum"]["reachable"], told["quorum"]["may_fail"], told["silent"]) == (2, 0, [leader])
    user.pymachine("swarm", "label", other, "seen=yes")
    refused = user.pymachine("swarm", "demote", other, check=3)
    assert "quorum" in refused.stderr
    _boot(user, hosts[leader], leader)
    user.pymachine("swarm", "unlock", leader)
    _until(lambda: _status(user, other)["healthy"])


@pytest.mark.soak(60)
@pytest.mark.timeout(600)
def test_managers_are_switched_off_as_far_as_the_quorum_bears(user: Workstation, hosts: dict[str, Host]) -> None:
    assert "quorum" in user.pymachine("stop", *NAMES, check=3).stderr
    began = time.monotonic()
    user.pymachine("stop", "m3")
    reachable = _status(user, "m1")["quorum"]["reachable"]
    print(f"switched off, and known to be, in {time.monotonic() - began:.1f} s")
    assert reachable == 2, "the next one is counted right"
    for verb in ("stop", "kill", "restart"):
        assert "quorum" in user.pymachine(verb, "m2", check=3).stderr
    assert "quorum" in user.pymachine("provision", "--dry-run", "--engine-env", "X=1", "m2", check=3).stderr
    hosts["m3"].wait_down(120)
    _boot(user, hosts["m3"], "m3")
    user.pymachine("swarm", "unlock", "m3")
    _until(lambda: _status(user, "m1")["healthy"])


@pytest.mark.soak(130)
def test_a_lost_majority_is_recognised_and_recovered(user: Workstation, hosts: dict[str, Host]) -> None:
    user.pymachine("swarm", "leave", "-y", "--dissolve", *NAMES)
    user.pymachine("swarm", "create", *NAMES)
    assert "nothing to recover" in user.pymachine("swarm", "recover", check=3).stderr
    node = _node(user, "m1")
    for name in ("m2", "m3"):
        hosts[name].kill()
    # A leader that lost the others notices after some seconds.
    _until(lambda: user.pymachine("swarm", "status", check=None).returncode == 1)
    began = time.monotonic()
    told = user.pymachine("swarm", "status", check=1).stderr
    print(f"told in {time.monotonic() - began:.1f} s:\n{told}")
    assert "swarm recover" in told
    assert "m2 does not answer" in told
    shown = user.pymachine("swarm", "recover", "-y")
    print(shown.stdout, shown.stderr)
    assert [(n["machine"], n["leader"]) for n in _status(user, "m1")["nodes"]] == [("m1", True)]
    assert _node(user, "m1") == node, "it is the same Swarm"
    for name in ("m2", "m3"):
        _boot(user, hosts[name], name)  # together these two would be a majority of the Swarm of before
    for name in ("m2", "m3"):
        user.pymachine("swarm", "join", "--manager", "--to", "m1", name)
    told = _status(user, "m1")
    assert told["healthy"], told
    assert told["quorum"]["managers"] == 3


def _node(user: Workstation, name: str) -> tuple[str, str]:
    place = user.inspect(name)["swarm"]
    return place["cluster"], place["node"]
