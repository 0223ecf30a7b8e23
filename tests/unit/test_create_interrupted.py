"""Ctrl-C in each step of create: nothing is left that is not on record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pymachine.create import create
from pymachine.errors import (
    CheckFailed,
    EngineError,
    Interrupted,
    StepFailed,
    StoreError,
    TransportError,
    Unreachable,
)
from pymachine.model import Machine
from pymachine.steps.engine import SetUpEngine, Verify
from pymachine.testing.fake_transport import RecordedCall, done
from pymachine.transport import Result
from unit.world import STEPS_ON_A_HOST, World, is_look, is_run, told


class TestInterrupted:
    """Ctrl-C in each step: before the set-up nothing stays, from then on the record does."""

    @staticmethod
    def stop_at(world: World, step: str) -> None:
        stop = KeyboardInterrupt()
        places: dict[str, Callable[[], object]] = {
            "checking the host": lambda: world.cloud.fail("remembered", stop),
            "connecting over SSH": lambda: world.refused.append(stop),
            "surveying the host": lambda: world.answer(is_look, _raising(stop)),
            "setting up the engine": lambda: world.answer(is_run, _raising(stop)),
            "asking the engine over TLS": lambda: world.engine.errors.append(stop),
        }
        places[step]()

    @pytest.mark.parametrize("step", STEPS_ON_A_HOST[:3])
    def test_while_it_looks_at_a_host_leaves_nothing(self, step: str, world: World) -> None:
        self.stop_at(world, step)
        with pytest.raises(Interrupted, match=f"while {step}; nothing"):
            create(world.order(), world.tools)
        assert (world.store.records(), world.cloud.hosts(), world.store.holder("node1")) == ([], {}, None)
        assert world.operation().outcome == "failed"

    def test_before_anything_is_carried_there_leaves_nothing(self, world: World) -> None:
        _fails_at_certificates(world, KeyboardInterrupt())
        with pytest.raises(Interrupted, match="while issuing certificates; nothing"):
            create(world.order(), world.tools)
        assert (world.store.records(), world.cloud.hosts()) == ([], {})

    @pytest.mark.parametrize("step", [SetUpEngine.title, Verify.title])
    def test_once_the_host_is_touched_keeps_the_record(self, step: str, world: World) -> None:
        self.stop_at(world, step)
        with pytest.raises(Interrupted, match=f"while {step}; machine node1 ") as caught:
            create(world.order(), world.tools)
        fault = world.store.get("node1").fault
        assert fault is not None
        assert (fault.step, fault.message) == (step, "interrupted")
        assert caught.value.hint
        assert world.host.closed

    @pytest.mark.parametrize("step", [*STEPS_ON_A_HOST[:3], *STEPS_ON_A_HOST[4:6]])
    def test_a_host_that_was_made_is_always_on_record(self, step: str, cloud_world: World) -> None:
        self.stop_at(cloud_world, step)
        with pytest.raises(Interrupted, match="machine node1 "):
            create(cloud_world.order(), cloud_world.tools)
        machine = cloud_world.store.get("node1")
        assert machine.handle is not None
        assert list(cloud_world.cloud.hosts()) == [machine.id]

    def test_a_question_that_was_not_answered_counts_as_ctrl_c(self, world: World) -> None:
        world.refused.append(Interrupted("no passphrase was given"))
        with pytest.raises(Interrupted):
            create(world.order(), world.tools)
        assert world.store.records() == []


class TestFailing:
    """A step that fails on a host that was there before refuses a new machine as long as the host was not touched."""

    def test_what_fails_before_the_upload_is_a_refusal_and_leaves_nothing(self, world: World) -> None:
        _fails_at_certificates(world, StoreError("disk full"))
        with pytest.raises(CheckFailed, match="issuing certificates: disk full"):
            create(world.order(), world.tools)
        assert world.store.records() == []

    def test_an_upload_that_breaks_off_is_a_failure_and_the_record_stays(self, world: World) -> None:
        world.answer(is_look, lambda call: _with_upload_broken(world))
        with pytest.raises(StepFailed) as caught:
            create(world.order(), world.tools)
        fault = world.store.get("node1").fault
        assert fault is not None
        assert fault.step == SetUpEngine.title
        assert "pymachine rm node1" in str(caught.value.hint)

    def test_what_fails_on_a_host_that_was_made_leaves_the_record(self, cloud_world: World) -> None:
        _fails_at_certificates(cloud_world, StoreError("disk full"))
        with pytest.raises(StepFailed):
            create(cloud_world.order(), cloud_world.tools)
        assert [machine.name for machine in cloud_world.store.records()] == ["node1"]

    def test_a_machine_that_was_half_made_before_stays_on_record(self, world: World) -> None:
        world.engine.errors.append(EngineError("cannot answer"))
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        world.refused.append(Unreachable("no answer"))
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        assert [machine.name for machine in world.store.records()] == ["node1"]


def _fails_at_certificates(world: World, error: BaseException) -> None:
    """Have the store fail at the first record with certificates."""
    put = world.store.put

    def failing(machine: Machine, **how: Any) -> Machine:
        if how.get("secrets"):
            world.store.put = put  # type: ignore[method-assign]
            raise error
        return put(machine, **how)

    world.store.put = failing  # type: ignore[method-assign]


def _with_upload_broken(world: World) -> Result:
    world.host.fail_upload(TransportError("connection lost"))
    return done(told(world.facts, world.clock.now()))


def _raising(error: BaseException) -> Callable[[RecordedCall], Result]:
    def answer(_: RecordedCall) -> Result:
        raise error

    return answer
