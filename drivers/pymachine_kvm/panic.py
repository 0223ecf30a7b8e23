"""A guest's kernel that gave up as it booted, as its console tells, and how often another try is worth it."""

from __future__ import annotations

import re

from pymachine_kvm.boot_log import begins_kernel, begins_programs
from pymachine_kvm.libvirt_types import Domain

RESETS = 3

# The last that a kernel prints which neither reboots nor runs another one (kernel/panic.c). The time before it makes
# it the kernel's own: no program's output begins so.
_END = re.compile(r"^\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ---\[ end Kernel panic - not syncing: ")


def ends_panic(line: str) -> bool:
    """Return whether a line of the console is the last of a kernel that panicked, and stands still from then on."""
    return _END.match(line) is not None


class Resets:
    """Resets an emulated guest whose kernel panicked before it ran a program, ``RESETS`` times at the most.

    That is QEMU's doing more often than the guest's, on a busy computer above all: ticks of the timer do not come
    in time (``IO-APIC + timer doesn't work!``), or one processor runs what another has just patched (``Oops: int3``,
    seen with QEMU 7.2). Nothing can be lost by it: no file system was mounted.
    """

    def __init__(self, domain: Domain, *, emulated: bool) -> None:
        self._domain = domain
        self._left = RESETS if emulated else 0
        self._in_kernel = False

    def hear(self, line: str) -> None:
        """Take one line of the console."""
        self._in_kernel = begins_kernel(line) or (self._in_kernel and not begins_programs(line))

    def reset(self) -> bool:
        """Reset the guest if that is worth it; return whether it was. libvirt's own errors come through."""
        if not self._in_kernel or not self._left:
            return False
        self._left -= 1
        self._domain.reset(0)
        return True
