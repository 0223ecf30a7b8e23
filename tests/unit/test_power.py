"""Switching machines: by a driver that can, and over SSH by a driver that cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from pymachine import power
from pymachine.driver import Driver, Status
from pymachine.errors import (
    AuthFailed,
    CheckFailed,
    DeadlineExceeded,
    DriverError,
    EngineError,
    HostKeyMismatch,
    LeaseHeld,
    NotSupported,
    TlsError,
    TransportError,
    Unreachable,
)
from pymachine.model import Phase, State
from pymachine.steps import power as power_steps
from pymachine.steps.services import Services
from pymachine.testing.fake_transport import RecordedCall, done
from pymachine.transport import Command, Result
from unit.world import NOW, World

VERBS = [power.start, power.stop, power.kill, power.restart]
HALF = Unreachable("no answer")


class WithoutPower(World):
    """A world whose driver can look, but not switch. ``states`` are what it sees, the last for good."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.states = [State.RUNNING]

    @property
    @override
    def tools(self) -> Services:
        """The tools, with the driver's power taken away."""
        return replace(super().tools, load_driver=lambda _: _looking(self.cloud.driver(), self))


def _looking(kind: type[Driver], world: WithoutPower) -> Any:
    """A driver with the seam's four methods and no more."""

    class Looking:
        api, options, preexisting = kind.api, kind.options, kind.preexisting

        def __init__(self) -> None:
            self._driver = kind()
            self.check, self.create, self.destroy = self._driver.check, self._driver.create, self._driver.destroy

        def inspect(self, handle: Any, *, deadline: float) -> Status:
            assert deadline > 0
            return Status(world.states.pop(0) if len(world.states) > 1 else world.states[0])

    return Looking


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[WithoutPower]:
    """A ready machine whose driver has no power over it."""
    world = WithoutPower(tmp_path)
    world.made()
    yield world
    assert all(connection.closed for connection in world.connections)
    assert world.store.holder("node1") is None


def is_boot(command: Command) -> bool:
    """Whether a command asks which boot it is."""
    return "boot_id" in command.shell()


def says(text: str) -> Callable[[Command], bool]:
    """Match commands that hold the text."""
    return lambda command: text in command.shell()


class TestDriverWithPower:
    @pytest.mark.parametrize(
        ("verb", "state"),
        [(power.start, State.RUNNING), (power.stop, State.STOPPED), (power.kill, State.STOPPED),
         (power.restart, State.RUNNING)],
    )  # fmt: skip
    def test_switches_by_itself(self, verb: Any, state: State, world: World) -> None:
        machine = world.made()
        assert verb("node1", world.tools) == machine
        looks = ["inspect"] if verb is power.start else []
        assert (world.cloud.calls, world.cloud.hosts()[machine.id]) == ([*looks, verb.__name__], state)
        assert world.connections == []
        assert (world.operation().kind, world.operation().outcome) == (verb.__name__, "done")

    @pytest.mark.parametrize(("verb", "asked"), [(power.start, 1), (power.restart, 1), (power.stop, 0)])
    def test_is_followed_by_the_engine_where_it_goes_on(self, verb: Any, asked: int, world: World) -> None:
        world.made()
        verb("node1", world.tools)
        assert len(world.engine.asked) == asked

    @pytest.mark.parametrize("verb", [power.start, power.restart])
    def test_does_not_put_to_use_what_rm_has_begun(self, verb: Any, world: World) -> None:
        world.made()
        machine = world.saved(phase=Phase.REMOVING)
        with pytest.raises(CheckFailed) as caught:
            verb("node1", world.tools)
        assert "`pymachine rm node1`" in str(caught.value.hint)
        assert (world.cloud.calls, world.engine.asked, world.store.get("node1")) == ([], [], machine)

    @pytest.mark.parametrize("verb", [power.stop, power.kill])
    def test_switches_off_what_rm_has_begun(self, verb: Any, world: World) -> None:
        world.made()
        machine = world.saved(phase=Phase.REMOVING)
        verb("node1", world.tools)
        assert world.cloud.hosts()[machine.id] is State.STOPPED

    def test_that_fails_is_told_and_noted(self, world: World) -> None:
        machine = world.made()
        world.cloud.fail("stop", DriverError("no power"))
        with pytest.raises(DriverError, match="no power"):
            power.stop("node1", world.tools)
        assert world.reporter.steps("node1", "failed") == ["stop"]
        assert world.operation().outcome == "failed"
        assert world.store.get("node1") == machine

    @pytest.mark.parametrize("state", [State.PAUSED, State.SAVED])
    def test_sets_the_clock_of_a_machine_that_slept(self, state: State, world: World) -> None:
        machine = world.made()
        world.cloud.set_state(machine.id, state)
        world.answer(says("date -u +%s"), done(f"{NOW - 3600:.0f}\n"))
        world.answer(says("date -u -s"), done())
        power.start("node1", world.tools)
        assert [call.command.shell() for call in world.host.calls if call.root] == [f"date -u -s @{NOW:.0f}"]
        assert ["3600 s" in notice for notice in world.reporter.notices("node1")] == [True]

    def test_passes_on_what_the_driver_says(self, world: World) -> None:
        world.made()
        world.cloud.stubborn = True
        power.stop("node1", world.tools)
        assert [notice.endswith(" off") for notice in world.reporter.notices("node1")] == [True]

    def test_waits_its_turn(self, world: World) -> None:
        world.made()
        with world.store.lease("node1", "provision node1"), pytest.raises(LeaseHeld):
            power.stop("node1", world.tools)
        assert world.cloud.calls == []


class TestWaitingForTheEngine:
    @pytest.mark.parametrize("error", [Unreachable("not yet"), EngineError("closed the connection")])
    def test_takes_until_it_answers(self, error: Any, world: World) -> None:
        world.made()
        world.engine.errors += [error, error]
        power.start("node1", world.tools)
        assert world.clock.slept == [power_steps.PAUSE, power_steps.PAUSE]

    def test_ends_with_its_patience(self, world: World) -> None:
        world.made()
        world.engine.errors += [HALF] * 1000
        began = world.clock.now()
        with pytest.raises(Unreachable):
            power.start("node1", world.tools)
        assert power_steps.ENGINE_PATIENCE <= world.clock.now() - began <= power_steps.ENGINE_PATIENCE + 2

    def test_ends_at_once_with_a_wrong_certificate(self, world: World) -> None:
        world.made()
        world.engine.errors.append(TlsError("another authority"))
        with pytest.raises(TlsError):
            power.start("node1", world.tools)
        assert world.clock.slept == []


class TestRestartOverSsh:
    def test_ends_when_another_boot_answers(self, bare: WithoutPower) -> None:
        bare.answer(is_boot, done("boot one\n"))
        bare.answer(says("systemctl reboot"), _then(bare, done("boot one\n"), HALF, HALF, "boot two\n"))
        power.restart("node1", bare.tools)
        assert bare.ran(says("systemctl reboot")) == 1
        assert len(bare.clock.slept) == 4
        assert len(bare.engine.asked) == 1

    def test_tolerates_a_host_that_lets_nobody_in_while_it_boots(self, bare: WithoutPower) -> None:
        bare.answer(is_boot, done("boot one\n"))
        bare.answer(says("systemctl reboot"), _then(bare, AuthFailed("pam_nologin"), "boot two\n"))
        power.restart("node1", bare.tools)
        assert len(bare.clock.slept) == 2

    def test_does_not_take_a_failed_question_for_another_boot(self, bare: WithoutPower) -> None:
        bare.answer(is_boot, done("boot one\n"))
        bare.answer(says("systemctl reboot"), _then(bare, done(code=1), "boot two\n"))
        power.restart("node1", bare.tools)
        assert len(bare.clock.slept) == 2

    def test_stops_at_another_hosts_key(self, bare: WithoutPower) -> None:
        bare.answer(is_boot, done("boot one\n"))
        bare.answer(says("systemctl reboot"), _then(bare, HostKeyMismatch("another key")))
        with pytest.raises(HostKeyMismatch):
            power.restart("node1", bare.tools)

    def test_gives_up_after_its_patience(self, bare: WithoutPower) -> None:
        bare.answer(is_boot, done("boot one\n"))
        bare.answer(says("systemctl reboot"), done())
        began = bare.clock.now()
        with pytest.raises(DeadlineExceeded, match="within 300 s"):
            power.restart("node1", bare.tools)
        assert bare.clock.now() - began == power.UP_PATIENCE
        assert bare.engine.asked == []
        assert bare.operation().outcome == "failed"

    def test_says_when_the_host_does_not_take_the_command(self, bare: WithoutPower) -> None:
        bare.answer(is_boot, done("boot one\n"))
        bare.answer(says("systemctl reboot"), done(code=1, stderr="not permitted"))
        with pytest.raises(TransportError, match=": not permitted"):
            power.restart("node1", bare.tools)

    def test_asks_for_root(self, bare: WithoutPower) -> None:
        bare.answer(is_boot, done("boot one\n"))
        bare.answer(says("systemctl reboot"), _then(bare, "boot two\n"))
        power.restart("node1", bare.tools)
        reboots = [call for c in bare.connections for call in c.calls if "systemctl reboot" in call.command.shell()]
        assert [call.root for call in reboots] == [True]


class TestStopOverSsh:
    @pytest.mark.parametrize(
        ("verb", "command"), [(power.stop, "systemctl poweroff ||"), (power.kill, "poweroff --force --force")]
    )
    def test_waits_until_nothing_answers(self, verb: Any, command: str, bare: WithoutPower) -> None:
        bare.states = [State.RUNNING, State.RUNNING, State.RUNNING, State.UNREACHABLE]
        bare.answer(says(command), done())
        verb("node1", bare.tools)
        assert bare.ran(says(command)) == 1
        assert len(bare.clock.slept) == 2
        assert bare.engine.asked == []

    @pytest.mark.parametrize("verb", [power.stop, power.kill])
    def test_of_a_host_that_is_off_is_no_error(self, verb: Any, bare: WithoutPower) -> None:
        bare.states = [State.UNREACHABLE]
        verb("node1", bare.tools)
        assert bare.connections == []

    def test_gives_up_after_its_patience(self, bare: WithoutPower) -> None:
        bare.answer(says("systemctl poweroff"), done())
        began = bare.clock.now()
        with pytest.raises(DeadlineExceeded, match="after 120 s") as caught:
            power.stop("node1", bare.tools)
        assert bare.clock.now() - began == power.DOWN_PATIENCE
        assert "pymachine kill node1" in (caught.value.hint or "")


class TestBehindAJumpHost:
    """The driver sees the jump host alone, so only a login tells."""

    def test_a_host_is_down_when_the_login_says_so(self, bare: WithoutPower) -> None:
        bare.states = [State.UNKNOWN]
        bare.answer(says("systemctl poweroff"), _then(bare, done(), AuthFailed("pam_nologin"), HALF))
        power.stop("node1", bare.tools)
        assert len(bare.clock.slept) == 2
        assert len(bare.connections) == 2

    def test_a_host_that_was_down_already_is_no_error(self, bare: WithoutPower) -> None:
        bare.states = [State.UNKNOWN]
        bare.refused.append(HALF)
        power.stop("node1", bare.tools)
        assert bare.connections == []

    def test_a_host_that_does_not_know_us_is_an_error(self, bare: WithoutPower) -> None:
        bare.states = [State.UNKNOWN]
        bare.refused.append(AuthFailed("not let in"))
        with pytest.raises(AuthFailed):
            power.stop("node1", bare.tools)

    def test_a_host_that_answers_is_started(self, bare: WithoutPower) -> None:
        bare.states = [State.UNKNOWN]
        power.start("node1", bare.tools)
        assert len(bare.engine.asked) == 1


class TestWithoutPower:
    def test_a_host_that_is_off_cannot_be_started(self, bare: WithoutPower) -> None:
        bare.states = [State.UNREACHABLE]
        with pytest.raises(NotSupported, match="power on node1: ") as caught:
            power.start("node1", bare.tools)
        assert caught.value.exit_code == 3

    def test_a_host_that_is_on_is_started_already(self, bare: WithoutPower) -> None:
        power.start("node1", bare.tools)
        assert len(bare.engine.asked) == 1

    @pytest.mark.parametrize("verb", VERBS)
    def test_an_engine_without_a_host_has_no_switch(self, verb: Any, bare: WithoutPower) -> None:
        bare.saved(ssh=None)
        with pytest.raises(NotSupported, match=" node1"):
            verb("node1", bare.tools)


def _then(world: World, *later: Result | str | Exception) -> Callable[[RecordedCall], Result]:
    """Answer a command, after which each later login meets one of these: an error, or a host of that boot."""

    def answer(_: RecordedCall) -> Result:
        world.refused += [step if isinstance(step, Exception) else None for step in later]
        boots = [done(step) if isinstance(step, str) else step for step in later if not isinstance(step, Exception)]
        world.answer(is_boot, lambda _: boots.pop(0))
        return done()

    return answer
