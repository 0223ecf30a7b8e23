"""A kernel that panics as it boots: reset where that helps, else switched off and told at once."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pymachine_kvm.boot import Again, BootEnded, Seen, seen_out
from pymachine_kvm.panic import RESETS, Resets, ends_panic

RUNNING = (1, 1)
NOTHING_YET = -2
KERNEL = "[    0.000000] Linux version 6.12"
NO_TIMER = (
    "[    0.018000] ---[ end Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug and "
    "send a report.  Then try booting with the 'noapic' option. ]---"
)
NO_ROOT = "[    1.5] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0) ]---"

ENDS = [
    NO_TIMER,
    NO_ROOT,
    "[    1.2][    T1] ---[ end Kernel panic - not syncing: sysrq ]---",
    "[12345.67] ---[ end Kernel panic - not syncing: of an old kernel",
]
OTHERS = [
    "[    1.2] Kernel panic - not syncing: Attempted to kill init!",  # it may still reboot, or run a crash kernel
    "[    1.2] kdump[9]: ---[ end Kernel panic - not syncing: of the boot before ]---",
    "---[ end Kernel panic - not syncing: printed by a program ]---",
]
RESCUE = [
    "(initramfs) ",
    "Entering emergency mode. Exit the shell to continue.\n",
    'You are in emergency mode. After logging in, type "journalctl -xb" to view system logs\n',
]
INIT = "[    1.6] Run /init as init process"


class Guest:
    """A domain whose console prints the lines of one boot after the other, each begun by a reset."""

    def __init__(self, *boots: list[str]) -> None:
        self.boots = list(boots)
        self.waiting = [*self.boots.pop(0)]
        self.done: list[str] = []

    def newStream(self, flags: int) -> Guest:  # noqa: N802 - libvirt's name
        return self

    def openConsole(self, device: None, stream: Guest, flags: int) -> None:  # noqa: N802
        """Have it."""

    def state(self) -> tuple[int, int]:
        return RUNNING

    def recv(self, size: int) -> bytes | int:
        if not self.waiting:
            return NOTHING_YET
        line = self.waiting.pop(0)
        return line.encode() if line.endswith((" ", "\n")) else f"{line}\n".encode()

    def abort(self) -> None:
        """Let go."""

    def reset(self, flags: int) -> None:
        self.done.append("reset")
        self.waiting = [*self.boots.pop(0)]

    def destroy(self) -> None:
        self.done.append("destroy")


def seen_of(guest: Guest, *, emulated: bool = True) -> list[Seen]:
    """Return what is passed on until it ends, or has looked more often than any of these needs."""
    seen: list[Seen] = []
    looks = iter([False] * 2 * (RESETS + 2))
    seen_out(
        cast(Any, guest),
        cast(Any, guest),
        seen.append,
        lambda _: next(looks, True),
        Resets(cast(Any, guest), emulated=emulated),
    )
    return seen


@pytest.mark.parametrize("line", ENDS)
def test_the_last_line_of_a_panic_is_known(line: str) -> None:
    assert ends_panic(line)


@pytest.mark.parametrize("line", OTHERS)
def test_no_other_line_is_taken_for_it(line: str) -> None:
    assert not ends_panic(line)


def test_an_emulated_guest_that_panics_before_it_runs_a_program_is_reset_and_boots() -> None:
    guest = Guest([KERNEL, NO_TIMER], [KERNEL, INIT, "node1 login: "])

    first, panic, again, *rest = seen_of(guest)

    assert (first, panic) == (KERNEL, NO_TIMER)
    assert isinstance(again, Again)
    assert rest == [KERNEL, INIT, "node1 login:"]
    assert guest.done == ["reset"]


def test_one_that_panics_every_time_is_given_up() -> None:
    guest = Guest(*([KERNEL, NO_TIMER] for _ in range(RESETS + 1)))

    assert isinstance(seen_of(guest)[-1], BootEnded)
    assert guest.done == ["reset"] * RESETS + ["destroy"]


@pytest.mark.parametrize(
    ("boot", "emulated"),
    [
        ([KERNEL, NO_ROOT], False),  # a real processor does the same again
        ([KERNEL, INIT, NO_ROOT], True),  # its set-up may have begun
        ([NO_ROOT], True),  # nobody saw where it was
    ],
)
def test_any_other_panic_ends_at_once_with_the_guest_off(boot: list[str], emulated: bool) -> None:
    guest = Guest(boot)

    *lines, end = seen_of(guest, emulated=emulated)

    assert lines == boot
    assert isinstance(end, BootEnded)
    assert guest.done == ["destroy"]


@pytest.mark.parametrize("prompt", RESCUE)
def test_a_boot_that_ends_in_a_rescue_shell_ends_at_once_and_leaves_it_to_its_user(prompt: str) -> None:
    guest = Guest([KERNEL, INIT, prompt])

    *_, end = seen_of(guest)

    assert isinstance(end, BootEnded)
    assert guest.done == []
