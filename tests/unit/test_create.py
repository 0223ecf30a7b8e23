"""What create leaves behind: a machine, a record to go on with, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pymachine.create import create, preview_create
from pymachine.documents import to_document
from pymachine.engine.effects import Aspect
from pymachine.errors import (
    CheckFailed,
    DriverError,
    DriverMissing,
    EngineError,
    LeaseHeld,
    PymachineError,
    StepFailed,
    TlsError,
    Unreachable,
    UsageFault,
)
from pymachine.fleet.plan.renewals import CALLED
from pymachine.model import Endpoint, Phase, SshAddress
from pymachine.steps.allocate import Allocate
from pymachine.steps.engine import SetUpEngine, Verify
from pymachine.steps.reach import BOOT_PATIENCE, Reach
from pymachine.testing.fake_driver import ADDRESS, FakeOptions
from pymachine.testing.fake_transport import HOST_KEY, RecordedCall, done
from pymachine.transport import Result
from unit.world import STEPS_ON_A_HOST, World, is_look, is_rollback, is_run

FILES = {"ca.pem": b"authority", "cert.pem": b"certificate", "key.pem": b"key"}
CLIENT = ["ca.pem", "cert.pem", "key.pem"]
BROKEN = done("@pymachine failed starting the engine\n@pymachine error it does not start\n", code=1)


class TestReady:
    def test_a_host_becomes_a_ready_machine(self, world: World) -> None:
        machine = create(world.order(), world.tools)

        assert machine == world.store.get("node1")
        assert (machine.phase, machine.fault, machine.engine_version) == (Phase.READY, None, "26.1.5")
        assert (machine.endpoint, machine.labels) == (Endpoint(ADDRESS, 2376), {"rack": "7"})
        assert machine.options == to_document(FakeOptions())
        assert world.reporter.steps("node1") == STEPS_ON_A_HOST

    def test_the_hosts_key_is_pinned_in_the_record(self, world: World) -> None:
        assert create(world.order(), world.tools).ssh == SshAddress(ADDRESS, host_key=HOST_KEY)
        assert world.reporter.notices("node1")[0] == f"host key pinned: {HOST_KEY}"

    def test_one_connection_serves_it_all_and_is_closed(self, world: World) -> None:
        create(world.order(), world.tools)

        assert world.host.closed
        assert (world.ran(is_look), len(world.host.uploads), world.ran(is_run), world.host.trips) == (1, 1, 1, 3)
        assert all(call.root for call in world.host.calls)

    def test_the_engine_is_asked_with_the_clients_files(self, world: World) -> None:
        create(world.order(port=2400), world.tools)

        folder = world.store.client_folder("node1")
        assert world.engine.asked == [(Endpoint(ADDRESS, 2400), folder)]
        assert sorted(path.name for path in folder.iterdir()) == CLIENT

    def test_certificates_are_stored_before_they_travel(self, world: World) -> None:
        world.answer(is_run, Unreachable("cut off"))
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)

        assert world.uploaded("server-key.pem") == world.store.secrets("node1")["server-key.pem"]
        assert b"PRIVATE" not in b"".join(call.stdin for call in world.host.calls)
        assert not any("PRIVATE" in call.command.shell() for call in world.host.calls)

    def test_an_engine_without_a_host_is_only_remembered(self, tmp_path: Path) -> None:
        world = World(tmp_path, with_host=False)
        world.cloud.certificates = FILES
        machine = create(world.order(), world.tools)

        assert (machine.phase, machine.ssh, machine.endpoint) == (Phase.READY, None, Endpoint(ADDRESS, 2376))
        assert world.store.secrets("node1") == FILES
        assert (world.store.client_folder("node1") / "key.pem").read_bytes() == b"key"
        assert (world.connections, world.engine.asked) == ([], [])

    def test_an_engine_without_certificates_has_no_client_folder(self, tmp_path: Path) -> None:
        world = World(tmp_path, with_host=False)
        create(world.order(), world.tools)
        assert not world.store.client_folder("node1").exists()

    def test_a_host_that_was_just_made_may_take_its_time_to_boot(self, world: World, cloud_world: World) -> None:
        for each in (world, cloud_world):
            create(each.order(), each.tools)
        assert (world.patience, cloud_world.patience) == ([0.0], [BOOT_PATIENCE])

    def test_the_journal_tells_what_was_done(self, world: World) -> None:
        create(world.order(), world.tools)

        entry = world.operation()
        assert (entry.kind, entry.machine, entry.step, entry.outcome) == ("create", "node1", "completing", "done")
        assert world.store.holder("node1") is None

    def test_work_goes_on_under_a_lease(self, world: World) -> None:
        holders: list[str] = []

        def look(_: RecordedCall) -> Result:
            holder = world.store.holder("node1")
            holders.append(holder.purpose if holder else "nobody")
            return done("@pymachine done engine=1\n")

        world.answer(is_run, look)
        create(world.order(), world.tools)
        assert holders == ["create node1"]


class TestRefusal:
    """Before anything is made: no record, no lease, the host given back, exit code 3 or 2."""

    @pytest.fixture(
        params=[
            lambda world: world.refused.append(Unreachable("nothing answers", hint="switch it on")),
            lambda world: world.answer(is_look, done(code=1, stderr="sh: broken")),
            lambda world: world.facts.update(os_release="ID=plan9\n"),
            lambda world: world.carries("somebody else's"),
            lambda world: setattr(world, "skew", 3600.0),
            lambda world: world.facts.update(daemon_json="{no json"),
            lambda world: world.cloud.fail("remembered", DriverError("no such host")),
        ],
        ids=["unreachable", "no facts", "unknown system", "another's host", "clock", "daemon.json", "driver"],
    )
    def refused(self, world: World, request: pytest.FixtureRequest) -> World:
        request.param(world)
        return world

    def test_leaves_nothing_and_gives_the_host_back(self, refused: World) -> None:
        with pytest.raises(CheckFailed) as caught:
            create(refused.order(), refused.tools)

        assert caught.value.exit_code == 3
        assert (refused.store.records(), refused.store.holder("node1")) == ([], None)
        assert (refused.cloud.calls[-1], refused.cloud.hosts()) == ("destroy", {})
        assert refused.operation().outcome == "failed"
        assert refused.ran(is_run) == 0
        assert all(connection.closed for connection in refused.connections)

    def test_keeps_the_hint_of_the_fault(self, world: World) -> None:
        world.refused.append(Unreachable("nothing answers", hint="switch it on"))
        with pytest.raises(CheckFailed, match="SSH: ") as caught:
            create(world.order(), world.tools)
        assert caught.value.hint

    def test_by_the_drivers_check_comes_before_any_record(self, world: World) -> None:
        world.cloud.fail("check", UsageFault("no such size"))
        with pytest.raises(UsageFault):
            create(world.order(), world.tools)
        assert (world.store.records(), world.store.operations(), world.cloud.calls) == ([], [], ["check"])

    @pytest.mark.parametrize("name", ["a_b", "-x", "..", ""])
    def test_of_a_bad_name_comes_first(self, name: str, world: World) -> None:
        with pytest.raises(UsageFault):
            create(world.order(name), world.tools)
        assert world.cloud.calls == []

    def test_of_an_unknown_driver(self, world: World) -> None:
        with pytest.raises(DriverMissing):
            create(world.order(driver="nosuch"), world.tools)
        assert world.store.records() == []

    @pytest.mark.parametrize("name", ["node1", "NODE1"])
    def test_of_a_name_that_is_taken_in_any_case(self, name: str, world: World) -> None:
        machine = world.made()
        with pytest.raises(CheckFailed, match="machine node1 already exists") as caught:
            create(world.order(name), world.tools)
        assert "pymachine provision node1" in (caught.value.hint or "")
        assert (world.store.records(), world.cloud.calls) == ([machine], [])

    def test_of_a_machine_that_somebody_works_on(self, world: World) -> None:
        with world.store.lease("node1", "rm node1"), pytest.raises(LeaseHeld, match="rm node1"):
            create(world.order(), world.tools)
        assert world.store.records() == []


class TestHalfMade:
    def test_a_failing_set_up_stays_on_record_with_its_step_and_reason(self, world: World) -> None:
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed, match="engine: ") as caught:
            create(world.order(), world.tools)

        machine = world.store.get("node1")
        assert machine.phase is Phase.REACHABLE
        assert machine.fault is not None
        assert (machine.fault.step, machine.fault.at[:10]) == (SetUpEngine.title, "2027-01-15")
        assert "does not start" in machine.fault.message
        assert "`pymachine rm node1`" in (caught.value.hint or "")
        assert (world.operation().outcome, world.operation().step) == ("failed", SetUpEngine.title)
        assert world.reporter.steps("node1", "failed") == [SetUpEngine.title]
        assert "destroy" not in world.cloud.calls

    def test_the_same_order_goes_on_with_the_same_machine(self, world: World) -> None:
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        half, secrets = world.store.get("node1"), world.store.secrets("node1")
        world.answers.clear()
        world.carries(half.id)

        machine = create(world.order("NODE1"), world.tools)
        assert (machine.name, machine.id, machine.handle) == ("node1", half.id, half.handle)
        assert (machine.phase, machine.fault, machine.certificates) == (Phase.READY, None, half.certificates)
        assert world.store.secrets("node1") == secrets
        assert len(world.store.records()) == 1

    def test_another_port_in_the_second_try_is_the_one_that_counts(self, world: World) -> None:
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        world.answers.clear()

        machine = create(world.order(port=2400), world.tools)
        assert machine.endpoint == world.engine.asked[-1][0] == Endpoint(ADDRESS, 2400)

    def test_a_host_that_carries_a_set_up_is_not_forgotten_for_another(self, world: World) -> None:
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        half = world.store.get("node1")

        other = replace(world.order(), options=FakeOptions(fake_address="192.0.2.8"))
        with pytest.raises(StepFailed, match=r" 192\.0\.2\.7.* 192\.0\.2\.8") as caught:
            create(other, world.tools)
        assert "pymachine rm node1" in (caught.value.hint or "")
        assert (world.store.get("node1").handle, world.store.get("node1").ssh) == (half.handle, half.ssh)

    def test_a_refusal_of_the_second_try_keeps_the_record(self, world: World) -> None:
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        world.refused.append(Unreachable("nothing answers"))
        with pytest.raises(StepFailed, match=Reach.title) as caught:
            create(world.order(), world.tools)
        assert caught.value.exit_code == 1, "something was made already: this is no refusal"
        assert world.store.get("node1").phase is Phase.REACHABLE
        assert "destroy" not in world.cloud.calls

    def test_another_driver_is_refused(self, world: World) -> None:
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        with pytest.raises(CheckFailed, match=r"half-made \(driver fake, reachable\)") as caught:
            create(world.order(driver="other"), world.tools)
        assert "pymachine rm node1" in (caught.value.hint or "")

    def test_a_machine_that_is_being_removed_is_refused(self, world: World) -> None:
        world.made()
        world.saved(phase=Phase.REMOVING)
        with pytest.raises(CheckFailed, match="half-removed"):
            create(world.order(), world.tools)

    def test_a_handle_is_in_the_store_before_the_driver_returns(self, cloud_world: World) -> None:
        world = cloud_world
        world.cloud.fail("remembered", DriverError("the cloud went away"))
        with pytest.raises(StepFailed, match=f"{Allocate.title}: the cloud"):
            create(world.order(), world.tools)

        machine = world.store.get("node1")
        assert machine.handle == {"id": machine.id, "address": ADDRESS}
        assert (machine.phase, list(world.cloud.hosts())) == (Phase.REQUESTED, [machine.id])
        assert create(world.order(), world.tools).id == machine.id
        assert list(world.cloud.hosts()) == [machine.id], "no second host was made"

    def test_a_lease_that_was_taken_away_stops_the_work(self, world: World) -> None:
        def lose(_: RecordedCall) -> Result:
            world.store.break_lease("node1")
            return done("@pymachine done engine=1\n")

        world.answer(is_run, lose)
        with pytest.raises(StepFailed, match="lease"):
            create(world.order(), world.tools)
        assert world.store.get("node1").phase is Phase.REACHABLE


class TestVerification:
    def test_a_port_that_is_blocked_on_the_way_is_no_reason_to_put_anything_back(self, world: World) -> None:
        world.engine.errors.append(Unreachable("no answer"))
        world.answer(is_run, _with_tunnel(world, 2376))
        with pytest.raises(StepFailed, match=": no answer") as caught:
            create(world.order(), world.tools)
        assert "TCP port 2376" in (caught.value.hint or "")
        assert world.ran(is_rollback) == 0

    @pytest.mark.parametrize("error", [Unreachable("no answer"), TlsError("bad"), EngineError("nonsense")])
    def test_a_broken_engine_gets_its_former_configuration_back(self, error: PymachineError, world: World) -> None:
        world.engine.errors.append(error)
        with pytest.raises(StepFailed, match=f"{Verify.title}: {error.message}"):
            create(world.order(), world.tools)
        assert world.ran(is_rollback) == 1
        assert any("restored" in notice for notice in world.reporter.notices("node1"))

    def test_a_rollback_that_fails_is_said(self, world: World) -> None:
        world.engine.errors.append(TlsError("bad"))
        world.answer(is_rollback, done(code=1, stderr="disk full"))
        with pytest.raises(StepFailed, match="restored: disk full"):
            create(world.order(), world.tools)


class TestDryRun:
    def test_looks_at_the_host_and_changes_nothing(self, world: World) -> None:
        preview = preview_create(world.order(), world.tools)

        assert preview.changes[0].what.startswith("install docker.io")
        assert (world.store.records(), world.store.operations()) == ([], [])
        assert (world.cloud.calls, world.cloud.hosts()) == (["check", "locate"], {})
        assert (world.ran(is_look), world.host.trips, world.host.closed) == (1, 1, True)

    def test_names_the_host_that_the_driver_would_make(self, cloud_world: World) -> None:
        preview = preview_create(cloud_world.order(), cloud_world.tools)
        assert preview.changes[0].aspect is Aspect.HOST
        assert cloud_world.cloud.hosts() == {}

    def test_refuses_what_create_would_refuse(self, world: World) -> None:
        world.carries("somebody else's")
        with pytest.raises(CheckFailed, match="machine node1"):
            preview_create(world.order(), world.tools)

    def test_of_a_half_made_machine_leaves_its_record_alone(self, world: World) -> None:
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        half = world.store.get("node1")
        preview = preview_create(world.order(sans=("docker.example",)), world.tools)
        assert any(CALLED["server"] in change.what for change in preview.changes)
        assert world.store.get("node1") == half


def _with_tunnel(world: World, port: int) -> Callable[[RecordedCall], Result]:
    """A set-up that works, after which something listens on the host itself."""

    def answer(_: RecordedCall) -> Result:
        world.listens(port)
        return done("@pymachine done engine=1\n")

    return answer


def test_a_machine_of_a_fleet_says_so_from_its_first_record_on(tmp_path: Path) -> None:
    world = World(tmp_path / "store")
    world.refused = [Unreachable("no route")]
    with pytest.raises(CheckFailed):
        create(replace(world.order(), fleet="shop"), world.tools)
    assert create(replace(world.order(), fleet="shop"), world.tools).fleet == "shop"
