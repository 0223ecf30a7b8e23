"""What is examined of machines: each answer of record, certificates, engine and host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pymachine.doctor import Diagnosis, examine, machine_examinations
from pymachine.driver import Health
from pymachine.errors import AuthFailed, EngineError, HostKeyMismatch, SudoFailed, TlsError, Unreachable
from pymachine.model import Certificates, Fault, Phase, State
from unit.world import World


def diagnoses(world: World) -> dict[str, Diagnosis]:
    """The results of node1, by check."""
    made = machine_examinations([world.store.get("node1")], world.tools, 30.0)
    found = examine(made, 30.0, None)
    assert {one.machine for one in found} == {"node1"}
    return {one.check: one for one in found}


def healths(world: World) -> dict[str, Health]:
    return {check: one.health for check, one in diagnoses(world).items()}


def test_a_machine_in_order(world: World) -> None:
    world.made()
    found = diagnoses(world)
    assert {check: one.health for check, one in found.items() if check != "drift"} == dict.fromkeys(
        ("record", "certificates", "engine", "engine version", "ssh"), Health.FINE
    )
    assert found["engine version"].detail == "26.1.5"


def test_a_host_that_differs_is_provisioned(world: World) -> None:
    world.made()
    world.facts["daemon_json"] = '{"tlsverify": true, "debug": true}'
    world.saved(engine=replace(world.store.get("node1").engine, labels=("rack=9",)))
    found = diagnoses(world)["drift"]
    assert (found.health, found.mend) == (Health.FAULT, "pymachine provision node1")


def test_a_wrong_version_is_upgraded(world: World) -> None:
    world.made()
    world.saved(engine=replace(world.store.get("node1").engine, version="27.0"))
    found = diagnoses(world)["engine version"]
    assert (found.health, found.mend) == (Health.FAULT, "pymachine upgrade --version 27.0 node1")


@pytest.mark.parametrize(
    ("left", "health"), [(-1, Health.FAULT), (29, Health.FAULT), (31, Health.FINE)], ids=["expired", "soon", "later"]
)
def test_dates_of_certificates(world: World, left: int, health: Health) -> None:
    from datetime import UTC, datetime, timedelta

    world.made()
    end = (datetime.fromtimestamp(world.clock.now(), UTC) + timedelta(days=left)).isoformat()
    far = "2099-01-01T00:00:00+00:00"
    world.saved(certificates=Certificates("a", "b", "c", far, end, far))
    found = diagnoses(world)["certificates"]
    assert found.health is health
    assert end[:10] in found.detail
    assert found.mend == ("" if health is Health.FINE else "pymachine provision node1")


@pytest.mark.parametrize("error", [TlsError("wrong"), EngineError("wrong"), Unreachable("wrong")])
def test_an_engine_that_does_not_answer_is_a_fault(world: World, error: Exception) -> None:
    world.made()
    world.engine.errors = [error]
    assert diagnoses(world)["engine"].health is Health.FAULT


@pytest.mark.parametrize("error", [AuthFailed("no"), HostKeyMismatch("no"), SudoFailed("no"), Unreachable("no")])
def test_a_host_without_a_login_leaves_its_drift_unknown(world: World, error: Exception) -> None:
    world.made()
    world.refused = [error]
    found = healths(world)
    assert (found["ssh"], found["drift"]) == (Health.FAULT, Health.UNKNOWN)
    assert found["engine"] is Health.FINE


def test_a_machine_that_is_off_is_no_fault_and_not_fine(cloud_world: World) -> None:
    machine = cloud_world.made()
    cloud_world.cloud.set_state(machine.id, State.STOPPED)
    cloud_world.engine.errors = [Unreachable("nothing")]
    found = diagnoses(cloud_world)
    assert (found["engine"].health, found["drift"].health) == (Health.UNKNOWN, Health.UNKNOWN)
    assert found["engine"].mend == "pymachine start node1"


def test_half_made_ones_and_failed_changes_are_told(world: World) -> None:
    world.made()
    world.saved(fault=Fault("connecting", "no", "2026-01-01", "provision"))
    assert healths(world)["record"] is Health.FAULT
    world.saved(phase=Phase.ENGINE, fault=None)
    assert healths(world) == {"record": Health.FAULT}
    world.saved(phase=Phase.REMOVING)
    assert diagnoses(world)["record"].mend == "pymachine rm node1"
