"""Cloning: a copy of a disk becomes a host of its own, with certificates, keys and an identity that nobody shares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pymachine.clone import SOURCE, clone
from pymachine.create import create
from pymachine.driver import PlannedInstance
from pymachine.errors import (
    CheckFailed,
    LeaseHeld,
    NoSuchMachine,
    NotSupported,
    RemoteCommandFailed,
    StepFailed,
    StoreError,
    UsageFault,
)
from pymachine.model import Phase, State
from pymachine.steps.clone import OwnIdentity
from pymachine.store.client_files import LOGIN_KEY
from pymachine.testing.fake_transport import RecordedCall, done
from pymachine.transport import Command, Result
from pymachine.transport.key_pair import public_line
from unit.world import World, is_run

STEPS = [
    "preparing", "checking the host", "connecting over SSH", "giving it a new identity",
    "surveying the host", "issuing certificates", "setting up the engine", "asking the engine over TLS", "completing",
]  # fmt: skip


def is_own_identity(command: Command) -> bool:
    """Whether a command makes the copy a host of its own."""
    return "machine-id" in command.shell() and "engine-id" in command.shell()


@pytest.fixture
def source(tmp_path: Path) -> World:
    """A world with a machine that is ready and switched off, whose disk carries its set-up."""
    world = World(tmp_path / "store", preexisting=False)
    world.cloud.foreseen = lambda seen: seen
    machine = create(world.order("node1", labels=("zone=east",)), world.tools)
    world.cloud.set_state(machine.id, State.STOPPED)
    world.carries(machine.id)
    world.answer(is_own_identity, done())
    world.connections.clear()
    world.reporter.events.clear()
    world.cloud.calls.clear()
    return world


def test_a_clone_is_a_machine_like_its_source(source: World) -> None:
    original = source.store.get("node1")
    made = clone("node1", "node2", source.tools)
    assert (made.phase, made.driver, made.options, made.engine, made.labels) == (
        Phase.READY, original.driver, original.options, original.engine, original.labels,
    )  # fmt: skip
    assert source.cloud.copies == {made.id: original.id}
    assert source.reporter.steps("node2") == STEPS
    assert (source.operation().kind, source.operation().outcome) == ("clone", "done")
    assert source.store.get("node1") == original


def test_nothing_that_is_secret_or_tells_one_from_the_other_is_shared(source: World) -> None:
    made, original = clone("node1", "node2", source.tools), source.store.get("node1")
    theirs, ours = source.store.secrets("node1"), source.store.secrets("node2")
    assert made.id != original.id
    assert ours.keys() == theirs.keys()
    assert not set(ours.values()) & set(theirs.values())


def test_its_identity_is_its_own_before_the_engine_is_set_up(source: World) -> None:
    clone("node1", "node2", source.tools)
    commands = [call.command for call in source.host.calls]
    (place,) = [number for number, command in enumerate(commands) if is_own_identity(command)]
    assert place < next(number for number, command in enumerate(commands) if is_run(command))
    assert source.host.calls[place].root
    key = public_line(source.store.secrets("node1")[LOGIN_KEY]).split()[1]
    assert commands[place].words[-1] == key, "the source's key no longer leads in"


def test_a_host_that_does_not_become_its_own_stops_the_clone_which_goes_on_when_given_again(source: World) -> None:
    source.answer(is_own_identity, done(code=1, stderr="rm: cannot remove '/etc/machine-id'"))
    with pytest.raises(StepFailed, match=OwnIdentity.title) as caught:
        clone("node1", "node2", source.tools)
    assert isinstance(caught.value.cause, RemoteCommandFailed)
    half = source.store.get("node2")
    source.answer(is_own_identity, done())
    source.cloud.set_state(source.store.get("node1").id, State.RUNNING)  # it has been copied: it may work again
    made = clone("node1", "node2", source.tools)
    assert (made.id, made.phase, made.fault) == (half.id, Phase.READY, None)
    assert source.cloud.copies == {half.id: source.store.get("node1").id}


def test_a_source_that_runs_is_refused_and_nothing_is_recorded(source: World) -> None:
    source.cloud.set_state(source.store.get("node1").id, State.RUNNING)
    with pytest.raises(CheckFailed, match="switched on"):
        clone("node1", "node2", source.tools)
    assert source.store.find("node2") is None
    assert source.cloud.calls == ["check_source"]


def test_a_source_that_is_not_ready_is_refused(source: World) -> None:
    source.saved(phase=Phase.ENGINE)
    with pytest.raises(CheckFailed, match=" ready"):
        clone("node1", "node2", source.tools)


def test_the_source_is_held_while_it_is_copied_and_no_longer(source: World) -> None:
    held: list[bool] = []

    def while_copied(seen: PlannedInstance) -> PlannedInstance:
        held.append(source.store.holder("node1") is not None)
        return seen

    def later(call: RecordedCall) -> Result:
        held.append(source.store.holder("node1") is not None)
        return done()

    source.cloud.foreseen = while_copied
    source.answer(is_own_identity, later)
    clone("node1", "node2", source.tools)
    assert held == [True, False]


def test_it_waits_for_whoever_works_on_the_source(source: World) -> None:
    with source.store.lease("node1", "snapshot node1"), pytest.raises(LeaseHeld):
        clone("node1", "node2", source.tools)
    assert source.store.find("node2") is None


@pytest.mark.parametrize(
    "changes", [{"phase": Phase.READY}, {"phase": Phase.REMOVING}, {"extra": {SOURCE: "another"}}]
)
def test_a_machine_that_is_no_clone_of_it_is_left_alone(changes: dict[str, object], source: World) -> None:
    made = clone("node1", "node2", source.tools)
    source.store.put(replace(made, **{"phase": Phase.ALLOCATED, **changes}))  # type: ignore[arg-type]
    with pytest.raises(CheckFailed, match="already exists"):
        clone("node1", "node2", source.tools)


def test_a_driver_that_cannot_is_named(source: World) -> None:
    source.cloud.lacking.add("check_source")
    with pytest.raises(NotSupported, match="driver fake "):
        clone("node1", "node2", source.tools)


def test_options_that_no_longer_fit_the_driver_are_told_of(source: World) -> None:
    source.saved(options={"fake_size": 1, "fake_tags": 7})
    with pytest.raises(StoreError, match=" match"):
        clone("node1", "node2", source.tools)


def test_names_are_checked(source: World) -> None:
    with pytest.raises(UsageFault, match="itself"):
        clone("node1", "node1", source.tools)
    with pytest.raises(UsageFault, match="machine name"):
        clone("node1", "no de", source.tools)
    with pytest.raises(NoSuchMachine):
        clone("nobody", "node2", source.tools)
