"""Keeping a machine's state and going back: through a driver that can, with the clock set right again."""

from __future__ import annotations

from typing import Any

import pytest

from pymachine import snapshots
from pymachine.errors import CheckFailed, DriverError, LeaseHeld, NotSupported, TlsError, Unreachable
from pymachine.model import State
from pymachine.steps import power
from pymachine.testing.fake_transport import done
from pymachine.transport import Command
from unit.world import NOW, World


def asks_the_time(command: Command) -> bool:
    return "+%s" in command.words


def sets_the_clock(command: Command) -> bool:
    return "-s" in command.words


@pytest.fixture
def asleep(cloud_world: World) -> World:
    """A world whose hosts wake up an hour in the past."""
    cloud_world.made()
    cloud_world.answer(asks_the_time, done(f"{NOW - 3600:.0f}\n"))
    cloud_world.answer(sets_the_clock, done())
    return cloud_world


def test_a_machine_that_ran_goes_back_and_its_engine_is_waited_for(asleep: World) -> None:
    snapshots.snapshot("node1", "clean", asleep.tools)
    asleep.engine.errors.append(Unreachable("not yet"))
    assert snapshots.restore("node1", "clean", asleep.tools) is State.RUNNING
    assert asleep.cloud.calls == ["snapshot", "restore"]
    assert asleep.clock.slept == [power.PAUSE]
    assert [entry.kind for entry in asleep.store.operations()][:2] == ["restore", "snapshot"]
    assert {entry.outcome for entry in asleep.store.operations()[:2]} == {"done"}
    assert asleep.store.holder("node1") is None
    assert all(connection.closed for connection in asleep.connections)


def test_its_clock_is_set_before_its_engine_is_asked(asleep: World) -> None:
    snapshots.snapshot("node1", "clean", asleep.tools)
    asleep.answer(sets_the_clock, lambda call: done() if not asleep.engine.asked else done(code=1))
    snapshots.restore("node1", "clean", asleep.tools)
    (setting,) = [call for call in asleep.host.calls if sets_the_clock(call.command)]
    assert (setting.command.words, setting.root) == (("date", "-u", "-s", f"@{NOW:.0f}"), True)
    assert ["3600 s" in notice and notice.endswith(" corrected") for notice in asleep.reporter.notices("node1")] == [
        True
    ]


@pytest.mark.parametrize("skew", [-59, 0, 59])
def test_a_clock_that_is_nearly_right_is_left_alone(skew: int, asleep: World) -> None:
    asleep.answer(asks_the_time, done(f"{NOW + skew:.0f}\n"))
    snapshots.snapshot("node1", "clean", asleep.tools)
    snapshots.restore("node1", "clean", asleep.tools)
    assert asleep.ran(sets_the_clock) == 0
    assert asleep.reporter.notices("node1") == []


def test_a_clock_that_cannot_be_set_is_told_of(asleep: World) -> None:
    asleep.answer(sets_the_clock, done(code=1, stderr="date: cannot set date: Operation not permitted"))
    asleep.engine.errors.append(TlsError("not valid yet"))
    snapshots.snapshot("node1", "clean", asleep.tools)
    with pytest.raises(TlsError):
        snapshots.restore("node1", "clean", asleep.tools)
    assert ["3600 s" in notice and " not " in notice for notice in asleep.reporter.notices("node1")] == [True]
    assert asleep.operation().outcome == "failed"


@pytest.mark.parametrize("state", [State.STOPPED, State.PAUSED])
def test_a_machine_that_was_not_running_is_not_waited_for(state: State, asleep: World) -> None:
    asleep.cloud.set_state(asleep.store.get("node1").id, state)
    snapshots.snapshot("node1", "off", asleep.tools)
    assert snapshots.restore("node1", "off", asleep.tools) is state
    assert (asleep.connections, asleep.engine.asked) == ([], [])


def test_the_engine_of_then_is_recorded(asleep: World) -> None:
    snapshots.snapshot("node1", "old", asleep.tools)
    asleep.engine.version = "20.10.24"
    snapshots.restore("node1", "old", asleep.tools)
    assert asleep.store.get("node1").engine_version == "20.10.24"


def test_snapshots_are_listed_without_waiting_for_whoever_is_at_work(asleep: World) -> None:
    snapshots.snapshot("node1", "one", asleep.tools)
    snapshots.snapshot("node1", "two", asleep.tools)
    with asleep.store.lease("node1", "provision node1"):
        found = snapshots.snapshots("node1", asleep.tools)
    assert [(one.name, one.current) for one in found] == [("one", False), ("two", True)]


def test_a_snapshot_is_dropped(asleep: World) -> None:
    snapshots.snapshot("node1", "one", asleep.tools)
    snapshots.drop_snapshot("node1", "one", asleep.tools)
    assert snapshots.snapshots("node1", asleep.tools) == ()


CHANGES = [snapshots.snapshot, snapshots.restore, snapshots.drop_snapshot]


@pytest.mark.parametrize("verb", CHANGES)
def test_whoever_changes_something_waits_their_turn(verb: Any, asleep: World) -> None:
    with asleep.store.lease("node1", "provision node1"), pytest.raises(LeaseHeld):
        verb("node1", "one", asleep.tools)
    assert asleep.cloud.calls == []


@pytest.mark.parametrize("verb", CHANGES)
def test_what_fails_is_told_and_noted(verb: Any, asleep: World) -> None:
    asleep.cloud.fail(verb.__name__, DriverError("no room"))
    with pytest.raises(DriverError, match="no room"):
        verb("node1", "one", asleep.tools)
    assert asleep.operation().outcome == "failed"
    assert len(asleep.reporter.steps("node1", "failed")) == 1


@pytest.mark.parametrize("verb", CHANGES)
def test_a_driver_that_cannot_is_named(verb: Any, asleep: World) -> None:
    asleep.cloud.lacking.add("snapshot")
    with pytest.raises(NotSupported, match="driver fake cannot keep snapshots"):
        verb("node1", "one", asleep.tools)
    with pytest.raises(NotSupported):
        snapshots.snapshots("node1", asleep.tools)


def test_a_machine_without_a_host_has_none(asleep: World) -> None:
    asleep.saved(handle=None)
    with pytest.raises(CheckFailed, match="no host"):
        snapshots.snapshots("node1", asleep.tools)
