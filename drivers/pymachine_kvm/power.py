"""On and off. Every switch can be thrown twice, and waits until libvirt sees its effect."""

from __future__ import annotations

from contextlib import suppress

from pymachine.clock import REAL, Clock
from pymachine.driver import NOBODY, Listener
from pymachine.errors import DriverError
from pymachine.model import State
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import NO_DOMAIN, OPERATION_INVALID, code_of, libvirt, translated
from pymachine_kvm.libvirt_types import Connection, Domain
from pymachine_kvm.status import required, state, state_of

SHUTDOWN_PATIENCE = 90.0
EMULATION_FACTOR = 2
PRESS_EVERY = 15.0  # a guest that still boots does not hear the first press of the button
KILL_PATIENCE = 30.0
RESUME_PATIENCE = 2.0
POLL = 0.2


def start(conn: Connection, vm: Vm, *, clock: Clock = REAL) -> None:
    """Switch the machine on; a paused or sleeping one goes on, a saved one is restored. Does not wait for its boot.

    Raises ``DriverError`` where it is gone, and where the fault of a disk that paused it is still there.
    """
    domain = required(conn, vm)
    with translated(f"starting {vm.name}"):
        _await_off(domain, vm, clock)
        if _crashed(domain):
            domain.destroy()
        if not domain.isActive():
            _create(domain)
        else:
            _go_on(domain, vm, clock)


def stop(conn: Connection, vm: Vm, listener: Listener = NOBODY, *, clock: Clock = REAL) -> None:
    """Press the power button and wait for the guest to follow; cut the power of one that does not, with a notice.

    An emulated guest gets twice as long. It may be off already.
    """
    domain = required(conn, vm)
    with translated(f"stopping {vm.name}"):
        if domain.isActive() and not _shut_down(domain, _patience(vm), clock):
            listener.notice(f"it did not shut down within {_patience(vm):.0f} s: it was powered off")
            cut(domain, clock=clock)


def kill(conn: Connection, vm: Vm, *, clock: Clock = REAL) -> None:
    """Cut the power; of a saved machine, drop the memory that was saved. It may be off already."""
    domain = required(conn, vm)
    with translated(f"killing {vm.name}"):
        cut(domain, clock=clock)
        if domain.hasManagedSaveImage():
            domain.managedSaveRemove()


def restart(conn: Connection, vm: Vm, listener: Listener = NOBODY, *, clock: Clock = REAL) -> None:
    """Stop and start, with a new QEMU and what changed in the definition. Does not wait for the boot.

    A saved machine is woken first, so that it can shut down in order and not merely go on.
    """
    if state(conn, vm).state is State.SAVED:
        start(conn, vm, clock=clock)
    stop(conn, vm, listener, clock=clock)
    start(conn, vm, clock=clock)


def cut(domain: Domain, *, clock: Clock = REAL) -> None:
    """Destroy a domain, unless it is off or gone. libvirt's own errors are raised.

    libvirt gives up on a QEMU that does not end within some seconds, so it is asked for longer.
    """
    failure: Exception | None = None
    for _ in clock.ticks(KILL_PATIENCE, POLL):
        try:
            domain.destroy()
        except libvirt().libvirtError as error:
            if code_of(error) in (OPERATION_INVALID, NO_DOMAIN):
                return
            failure = error
        else:
            return
    assert failure is not None, "it was tried"
    raise failure


def _create(domain: Domain) -> None:
    try:
        domain.create()
    except libvirt().libvirtError as error:
        if not (code_of(error) == OPERATION_INVALID and domain.isActive()):  # somebody else was quicker
            raise


def _go_on(domain: Domain, vm: Vm, clock: Clock) -> None:
    """Wake the guest. One that a fault of its host's disk had paused must stay awake: it tries its write again."""
    faulty = state_of(domain)[0] is State.ERROR
    _wake(domain)
    for _ in clock.ticks(RESUME_PATIENCE, POLL) if faulty else ():
        found, detail = state_of(domain)
        if found is State.ERROR:
            raise DriverError(
                f"{vm.name} was paused again: {detail}", hint="free space on its host, then start it again"
            )


def _wake(domain: Domain) -> None:
    module = libvirt()
    number = domain.state()[0]
    if number == module.VIR_DOMAIN_PAUSED:
        domain.resume()
    elif number == module.VIR_DOMAIN_PMSUSPENDED:
        domain.pMWakeup()


def _shut_down(domain: Domain, patience: float, clock: Clock) -> bool:
    """Return whether the guest followed the button. Only a guest that runs can: a paused one is woken first."""
    next_press = 0.0
    for passed in clock.ticks(patience, POLL):
        if not domain.isActive():
            return True
        if passed >= next_press and not _stopping(domain):
            next_press = passed + PRESS_EVERY
            _press(domain)
    return False


def _press(domain: Domain) -> None:
    with suppress(libvirt().libvirtError):  # it ends just now, or cannot be woken; the deadline deals with both
        _wake(domain)
        domain.shutdown()


def _await_off(domain: Domain, vm: Vm, clock: Clock) -> None:
    """Let a guest that is shutting down do so: it cannot be started before, nor go on."""
    for _ in clock.ticks(_patience(vm), POLL):
        if not _stopping(domain):
            return


def _stopping(domain: Domain) -> bool:
    return bool(domain.state()[0] == libvirt().VIR_DOMAIN_SHUTDOWN)


def _crashed(domain: Domain) -> bool:
    return bool(domain.state()[0] == libvirt().VIR_DOMAIN_CRASHED)


def _patience(vm: Vm) -> float:
    return SHUTDOWN_PATIENCE * (EMULATION_FACTOR if vm.virt_type == "qemu" else 1)
