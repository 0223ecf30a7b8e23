"""On and off, with libvirt's test driver and with guests that do not follow; and how a machine is said to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from pymachine.driver import Listener
from pymachine.errors import DriverError
from pymachine.model import State
from pymachine_kvm import power
from pymachine_kvm.libvirt_api import connect, libvirt
from pymachine_kvm.status import DISK_FULL, state
from unit.kvm_machine import FakeDomain, FakeTime, NoDomains, a_vm, defined

VIRT = libvirt()
RUNNING, PAUSED, OFF = VIRT.VIR_DOMAIN_RUNNING, VIRT.VIR_DOMAIN_PAUSED, VIRT.VIR_DOMAIN_SHUTOFF
FULL = {"vda": VIRT.VIR_DOMAIN_DISK_ERROR_NO_SPACE}
VERBS: list[Callable[..., None]] = [power.start, power.stop, power.kill, power.restart]


def test_every_switch_can_be_thrown_twice() -> None:
    vm = a_vm()
    with defined(vm) as (conn, _):
        seen = []
        for verb in (power.start, power.start, power.stop, power.stop, power.restart, power.restart,
                     power.kill, power.kill):  # fmt: skip
            verb(conn, vm)
            seen.append(state(conn, vm).state)
    on, off = State.RUNNING, State.STOPPED
    assert seen == [on, on, off, off, on, on, off, off]


def test_a_paused_machine_goes_on() -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        power.start(conn, vm)
        domain.suspend()
        assert state(conn, vm).state is State.PAUSED
        power.start(conn, vm)
        assert state(conn, vm).state is State.RUNNING


def test_a_saved_machine_is_restored() -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        power.start(conn, vm)
        domain.managedSave(0)
        assert state(conn, vm).state is State.SAVED
        power.stop(conn, vm)
        assert state(conn, vm).state is State.SAVED, "it is off already"
        power.start(conn, vm)
        assert (state(conn, vm).state, domain.hasManagedSaveImage()) == (State.RUNNING, 0)


def test_restarting_a_saved_machine_boots_it_anew() -> None:
    domain = FakeDomain(OFF, saved=True, heeds=True)
    power.restart(cast(Any, domain), a_vm(), clock=FakeTime().clock)
    assert domain.calls == ["create", "shutdown", "create"]


def test_killing_a_saved_machine_drops_its_memory() -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        power.start(conn, vm)
        domain.managedSave(0)
        power.kill(conn, vm)
        assert state(conn, vm).state is State.STOPPED


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: str(verb.__name__))
def test_a_machine_that_is_gone_cannot_be_switched(verb: Callable[..., None]) -> None:
    vm = a_vm()
    with connect(vm.uri) as conn, pytest.raises(DriverError, match="no domain") as caught:
        verb(conn, vm)
    assert "pymachine rm" in str(caught.value.hint)


def test_a_guest_that_follows_the_button_is_not_cut_off() -> None:
    domain, time, said = FakeDomain(RUNNING), FakeTime(), list[str]()
    time.at(40.0, domain.end)
    power.stop(cast(Any, domain), a_vm(), Listener(notice=said.append), clock=time.clock)
    assert domain.calls == ["shutdown"] * 3, "a guest that boots does not hear the first press"
    assert 40.0 <= time.seconds < 41.0
    assert said == []


@pytest.mark.parametrize(("virt_type", "patience"), [("kvm", 90), ("qemu", 180)])
def test_a_guest_that_does_not_follow_is_cut_off_with_a_word(virt_type: str, patience: int) -> None:
    domain, time, said = FakeDomain(RUNNING), FakeTime(), list[str]()
    power.stop(cast(Any, domain), a_vm(virt_type=virt_type), Listener(notice=said.append), clock=time.clock)
    assert domain.calls[-1] == "destroy"
    assert domain.calls.count("destroy") == 1
    assert patience <= time.seconds < patience + 1
    assert [f" within {patience} s: " in line for line in said] == [True]


def test_a_paused_guest_is_woken_so_that_it_can_follow() -> None:
    domain = FakeDomain(PAUSED, heeds=True)
    power.stop(cast(Any, domain), a_vm(), clock=FakeTime().clock)
    assert domain.calls == ["resume", "shutdown"]


def test_a_sleeping_guest_is_woken() -> None:
    domain = FakeDomain(VIRT.VIR_DOMAIN_PMSUSPENDED)
    power.start(cast(Any, domain), a_vm(), clock=FakeTime().clock)
    assert (domain.calls, domain.number) == (["wake"], RUNNING)


def test_a_guest_that_is_shutting_down_is_let_finish_and_then_started() -> None:
    domain, time = FakeDomain(VIRT.VIR_DOMAIN_SHUTDOWN), FakeTime()
    time.at(5.0, domain.end)
    power.start(cast(Any, domain), a_vm(), clock=time.clock)
    assert (domain.calls, domain.number) == (["create"], RUNNING)


def test_a_crashed_guest_is_started_anew() -> None:
    domain = FakeDomain(VIRT.VIR_DOMAIN_CRASHED)
    power.start(cast(Any, domain), a_vm(), clock=FakeTime().clock)
    assert domain.calls == ["destroy", "create"]


def test_a_guest_that_its_full_disk_pauses_again_is_not_started() -> None:
    domain = FakeDomain(PAUSED, VIRT.VIR_DOMAIN_PAUSED_IOERROR, FULL)
    with pytest.raises(DriverError, match=DISK_FULL) as caught:
        power.start(cast(Any, domain), a_vm(), clock=FakeTime().clock)
    assert "free space" in str(caught.value.hint)


def test_a_guest_whose_disk_has_room_again_goes_on() -> None:
    domain = FakeDomain(PAUSED, VIRT.VIR_DOMAIN_PAUSED_IOERROR)
    time = FakeTime()
    power.start(cast(Any, domain), a_vm(), clock=time.clock)
    assert domain.number == RUNNING
    assert time.seconds >= power.RESUME_PATIENCE, "one look is too soon to know"


@pytest.mark.parametrize("stuck", [1, 5])
def test_a_qemu_that_does_not_end_at_once_is_killed_again(stuck: int) -> None:
    domain = FakeDomain(RUNNING, stuck=stuck)
    power.kill(cast(Any, domain), a_vm(), clock=FakeTime().clock)
    assert domain.calls == ["destroy"] * (stuck + 1)


def test_a_qemu_that_never_ends_is_told_of() -> None:
    domain, time = FakeDomain(RUNNING, stuck=10_000), FakeTime()
    with pytest.raises(DriverError, match="Failed to terminate process"):
        power.kill(cast(Any, domain), a_vm(), clock=time.clock)
    assert power.KILL_PATIENCE <= time.seconds < power.KILL_PATIENCE + 1


@pytest.mark.parametrize(
    ("domain", "expected", "detail"),
    [
        (FakeDomain(RUNNING), State.RUNNING, ""),
        (FakeDomain(VIRT.VIR_DOMAIN_BLOCKED), State.RUNNING, ""),
        (FakeDomain(PAUSED, VIRT.VIR_DOMAIN_PAUSED_USER), State.PAUSED, ""),
        (FakeDomain(PAUSED, VIRT.VIR_DOMAIN_PAUSED_IOERROR, FULL), State.ERROR, DISK_FULL),
        (FakeDomain(PAUSED, VIRT.VIR_DOMAIN_PAUSED_IOERROR), State.ERROR, " disk"),
        (FakeDomain(PAUSED, VIRT.VIR_DOMAIN_PAUSED_CRASHED), State.ERROR, " paused"),
        (FakeDomain(PAUSED, VIRT.VIR_DOMAIN_PAUSED_STARTING_UP), State.STARTING, ""),
        (FakeDomain(PAUSED, VIRT.VIR_DOMAIN_PAUSED_SHUTTING_DOWN), State.STOPPING, ""),
        (FakeDomain(VIRT.VIR_DOMAIN_SHUTDOWN), State.STOPPING, ""),
        (FakeDomain(OFF), State.STOPPED, ""),
        (FakeDomain(OFF, VIRT.VIR_DOMAIN_SHUTOFF_CRASHED), State.STOPPED, "it crashed"),
        (FakeDomain(OFF, saved=True), State.SAVED, ""),
        (FakeDomain(VIRT.VIR_DOMAIN_CRASHED), State.ERROR, " crashed"),
        (FakeDomain(VIRT.VIR_DOMAIN_PMSUSPENDED), State.PAUSED, "it is suspended"),
        (FakeDomain(VIRT.VIR_DOMAIN_NOSTATE), State.UNKNOWN, ""),
    ],
)  # fmt: skip
def test_a_state_of_libvirt_has_a_word_of_ours(domain: FakeDomain, expected: State, detail: str) -> None:
    status = state(cast(Any, domain), a_vm(network=""))
    assert status.state is expected
    assert bool(status.detail) is bool(detail)
    assert status.detail.endswith(detail)


def test_a_machine_that_libvirt_does_not_know_is_missing() -> None:
    assert state(cast(Any, NoDomains()), a_vm()).state is State.MISSING


@pytest.mark.parametrize(
    ("changes", "addresses"),
    [({"network": ""}, ("127.0.0.1",)), ({"address": "192.168.122.7"}, ("192.168.122.7",))],
)
def test_a_running_machine_has_an_address(changes: dict[str, Any], addresses: tuple[str, ...]) -> None:
    assert state(cast(Any, FakeDomain(RUNNING)), a_vm(**changes)).addresses == addresses
    assert state(cast(Any, FakeDomain(OFF)), a_vm(**changes)).addresses == ()
