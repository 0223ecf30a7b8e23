"""Ctrl-C in each step of create: nothing is left that is not on record."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pymachine.create import create
from pymachine.errors import Interrupted
from pymachine.steps.engine import SetUpEngine, Verify
from pymachine.testing.fake_transport import RecordedCall
from pymachine.transport import Result
from unit.world import STEPS_ON_A_HOST, World, is_look, is_run


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


def _raising(error: BaseException) -> Callable[[RecordedCall], Result]:
    def answer(_: RecordedCall) -> Result:
        raise error

    return answer
