"""What rm takes away, and what it must not: in every phase, and with nothing that answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from typing_extensions import override

from pymachine.engine.effects import Aspect
from pymachine.errors import (
    AuthFailed,
    CheckFailed,
    DriverError,
    DriverMissing,
    Interrupted,
    LeaseHeld,
    NoSuchMachine,
    PymachineError,
    StepFailed,
    StoreError,
    Unreachable,
    UsageFault,
)
from pymachine.model import Machine, Phase
from pymachine.remove import CleanHost, preview_remove, remove
from pymachine.testing.fake_transport import RecordedCall, done
from pymachine.testing.memory_store import MemoryStore
from pymachine.transport import Result
from unit.world import World, is_look, is_run

BROKEN = done("@pymachine failed restarting the engine\n@pymachine error it does not start\n", code=1)


def is_gone(world: World) -> bool:
    """Nothing of node1 is left in the store."""
    left = (world.store.records(), world.store.secrets("node1"), world.store.holder("node1"))
    return left == ([], {}, None) and not world.store.client_folder("node1").exists()


class TestHost:
    """A host that was there before and stays."""

    def test_is_rid_of_the_set_up_over_one_connection(self, world: World) -> None:
        world.made()
        removal = remove("node1", world.tools)

        assert (removal.name, removal.left_behind) == ("node1", ())
        assert is_gone(world)
        assert (world.ran(is_look), world.ran(is_run), world.host.closed) == (1, 1, True)
        assert b"/etc/docker/pymachine" in world.uploaded("remove.sh")
        assert world.cloud.calls == ["destroy"]
        assert (world.operation().kind, world.operation().outcome) == ("rm", "done")

    @pytest.mark.parametrize("purge", [False, True])
    def test_keeps_its_engine_unless_purged(self, purge: bool, world: World) -> None:
        machine = world.made()
        world.carries(machine.id, fresh=True)
        world.facts["installed"] = "docker.io"
        remove("node1", world.tools, purge=purge)
        assert (b"apt_get purge" in world.uploaded("remove.sh")) is purge

    def test_of_another_machine_by_now_is_left_alone(self, world: World) -> None:
        world.made()
        world.carries("somebody else's")
        remove("node1", world.tools)

        assert is_gone(world)
        assert b"/etc/docker" not in world.uploaded("remove.sh")
        assert any("node1" in text for text in world.reporter.notices("node1"))

    @pytest.mark.parametrize("phase", [Phase.REACHABLE, Phase.ENGINE, Phase.READY, Phase.REMOVING])
    def test_is_cleaned_in_every_phase_from_its_first_certificate_on(self, phase: Phase, world: World) -> None:
        world.made()
        world.saved(phase=phase)
        remove("node1", world.tools)
        assert is_gone(world)
        assert world.ran(is_run) == 1

    @pytest.mark.parametrize("phase", [Phase.REQUESTED, Phase.ALLOCATED, Phase.REACHABLE])
    def test_that_was_never_touched_is_not_connected_to(self, phase: Phase, world: World) -> None:
        world.made()
        world.saved(phase=phase, certificates=None)
        remove("node1", world.tools)
        assert is_gone(world)
        assert world.connections == []

    @pytest.mark.parametrize(
        "error", [Unreachable("no answer"), AuthFailed("not let in"), UsageFault("no SSH key file")]
    )
    def test_that_cannot_be_entered_stays_as_usable_as_it_was_unless_forced(
        self, error: PymachineError, world: World
    ) -> None:
        world.made()
        world.refused = [error, error]
        with pytest.raises(PymachineError, match=error.message) as caught:
            remove("node1", world.tools)
        assert world.store.get("node1").phase is Phase.READY
        if isinstance(caught.value, StepFailed):
            assert "pymachine rm -f node1" in (caught.value.hint or "")

        removal = remove("node1", world.tools, force=True)
        assert len(removal.left_behind) == 1
        assert error.message in removal.left_behind[0]
        assert is_gone(world)
        assert world.cloud.calls == ["destroy"], "the driver was asked all the same"

    def test_whose_daemon_json_is_damaged_stops_it_unless_forced(self, world: World) -> None:
        world.made()
        world.facts["daemon_json"] = "{no json"
        with pytest.raises(CheckFailed, match=r"daemon.json"):
            remove("node1", world.tools)
        assert world.store.get("node1").phase is Phase.READY
        assert remove("node1", world.tools, force=True).left_behind
        assert is_gone(world)

    def test_whose_clock_is_wrong_is_cleaned_all_the_same(self, world: World) -> None:
        world.made()
        world.skew = 86_400.0
        assert remove("node1", world.tools).left_behind == ()

    def test_whose_cleaning_fails_is_tried_again(self, world: World) -> None:
        world.made()
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed, match=CleanHost.title):
            remove("node1", world.tools)
        assert world.store.get("node1").phase is Phase.REMOVING
        fault = world.store.get("node1").fault
        assert fault is not None
        assert (fault.verb, fault.step) == ("rm", CleanHost.title)
        assert (world.operation().outcome, world.cloud.calls) == ("failed", [])

        world.answers.clear()
        remove("node1", world.tools)
        assert is_gone(world)

    def test_is_left_when_interrupted_and_rm_goes_on(self, world: World) -> None:
        world.made()

        def stop(_: RecordedCall) -> Result:
            raise KeyboardInterrupt

        world.answer(is_run, stop)
        with pytest.raises(Interrupted) as caught:
            remove("node1", world.tools, force=True)
        assert "`pymachine rm node1`" in (caught.value.hint or "")
        assert world.store.get("node1").phase is Phase.REMOVING

    def test_is_given_back_and_not_removed(self, world: World) -> None:
        world.made()
        remove("node1", world.tools)
        assert world.reporter.steps("node1") == [CleanHost.title, "releasing the host"]


class TestCloud:
    """A host that the driver made."""

    def test_is_destroyed_without_a_look_at_it(self, cloud_world: World) -> None:
        world = cloud_world
        world.made()
        remove("node1", world.tools)
        assert (world.cloud.hosts(), world.connections) == ({}, [])
        assert is_gone(world)

    @pytest.mark.parametrize("phase", list(Phase))
    def test_is_destroyed_in_every_phase(self, phase: Phase, cloud_world: World) -> None:
        world = cloud_world
        world.made()
        world.saved(phase=phase)
        remove("node1", world.tools)
        assert world.reporter.steps("node1") == ["removing the host"]
        assert world.cloud.hosts() == {}
        assert is_gone(world)

    def test_that_is_gone_already_is_no_error(self, cloud_world: World) -> None:
        world = cloud_world
        machine = world.made()
        world.cloud.set_state(machine.id, None)
        remove("node1", world.tools)
        assert is_gone(world)

    def test_that_was_never_made_has_nothing_to_destroy(self, cloud_world: World) -> None:
        cloud_world.store.put(Machine("node1", "id1", "fake"))
        remove("node1", cloud_world.tools)
        assert cloud_world.cloud.calls == []
        assert is_gone(cloud_world)

    def test_that_cannot_be_destroyed_is_forgotten_by_force_alone(self, cloud_world: World) -> None:
        world = cloud_world
        world.made()
        world.cloud.fail("destroy", DriverError("closed"), DriverError("closed"))
        with pytest.raises(StepFailed, match=": closed"):
            remove("node1", world.tools)
        assert world.store.get("node1").phase is Phase.REMOVING
        assert remove("node1", world.tools, force=True).left_behind[0].endswith(": closed")
        assert is_gone(world)


class TestRecord:
    def test_that_is_not_there_has_an_error_of_its_own(self, world: World) -> None:
        for force in (False, True):
            with pytest.raises(NoSuchMachine):
                remove("node1", world.tools, force=force)

    def test_is_found_in_any_case(self, world: World) -> None:
        world.made()
        assert remove("NODE1", world.tools).name == "node1"
        assert is_gone(world)

    def test_of_a_missing_driver_goes_by_force_alone(self, world: World) -> None:
        world.made()
        world.saved(driver="gone")
        with pytest.raises(DriverMissing):
            remove("node1", world.tools)
        removal = remove("node1", world.tools, force=True)
        assert removal.left_behind == ("what driver gone made: no driver 'gone'",)
        assert is_gone(world)

    def test_that_is_broken_goes_by_force_alone(self, world: World, tmp_path: Path) -> None:
        world.made()
        world.store = damaged = _Damaged(tmp_path)
        with pytest.raises(StoreError):
            remove("node1", world.tools)
        removal = remove("node1", world.tools, force=True)
        assert "not changed" in removal.left_behind[0]
        assert damaged.removed == ["node1"]

    def test_of_a_machine_that_somebody_works_on_stays_even_by_force(self, world: World) -> None:
        machine = world.made()
        with world.store.lease("node1", "provision node1"), pytest.raises(LeaseHeld):
            remove("node1", world.tools, force=True)
        assert world.store.get("node1") == machine

    def test_shows_that_it_is_being_removed_while_it_is(self, world: World) -> None:
        world.made()
        phases: list[Phase] = []

        def answer(_: RecordedCall) -> Result:
            phases.append(world.store.get("node1").phase)
            return done("@pymachine done\n")

        world.answer(is_run, answer)
        remove("node1", world.tools)
        assert phases == [Phase.REMOVING]


class TestDryRun:
    def test_changes_nothing(self, world: World) -> None:
        machine = world.made()
        preview = preview_remove("node1", world.tools)
        whats = [change.what for change in preview.changes]
        assert any("systemd drop-in" in what for what in whats)
        assert whats[-1].startswith("forget ")
        assert world.store.get("node1") == machine
        assert (world.ran(is_run), world.cloud.calls, world.host.closed) == (0, [], True)

    def test_of_an_untouched_host_does_not_connect(self, world: World) -> None:
        world.made()
        world.saved(certificates=None)
        assert [c.aspect for c in preview_remove("node1", world.tools).changes] == [Aspect.HOST]
        assert world.connections == []


class _Damaged(MemoryStore):
    """A store whose record of node1 cannot be read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.removed: list[str] = []

    @override
    def get(self, name: str) -> Machine:
        """Fail."""
        raise StoreError(f"the record of {name} is damaged")

    @override
    def remove(self, name: str, *, rev: int | None = None) -> None:
        """Note it."""
        self.removed.append(name)
