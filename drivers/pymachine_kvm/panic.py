"""A guest's kernel that gave up, as its console tells, and the one such end that another try mends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

RESETS = 3

# The last that a kernel prints which neither reboots nor runs another one (kernel/panic.c); the line is the kernel's
# own by the time before it, where no program's output begins.
_END = re.compile(r"^\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ---\[ end Kernel panic - not syncing: (.*?)(?: \]---)?$")
# check_timer() of arch/x86/kernel/apic/io_apic.c waits for five ticks within some 60 ms of real time, and QEMU,
# emulating on a busy computer, may not come to run for longer than that. Nothing was mounted by then.
_NO_TIMER = "IO-APIC + timer doesn't work"


@dataclass(frozen=True, slots=True)
class Panic:
    """What the kernel gave as its reason."""

    reason: str

    @property
    def passes(self) -> bool:
        """Whether the guest may well boot if it is only reset, and nothing can be lost by that."""
        return self.reason.startswith(_NO_TIMER)


def panic_of(line: str) -> Panic | None:
    """Return the panic that a line of the console ends, None for any other line."""
    found = _END.match(line)
    return Panic(found[1]) if found else None


class Resets:
    """Resets a guest whose panic passes, ``RESETS`` times at the most."""

    def __init__(self, domain: Any) -> None:
        self._domain = domain
        self._left = RESETS

    def reset(self, panic: Panic) -> bool:
        """Reset the guest; return whether it was. libvirt's own errors come through."""
        if not panic.passes or not self._left:
            return False
        self._left -= 1
        self._domain.reset(0)
        return True
