"""Parses a guest's serial console: bytes to lines, and lines to phases of the boot."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_LINE = 4096
KEPT_LINES = 10
SSH = "SSH"

# ECMA-48: CSI and OSC sequences, two-byte escapes, and whatever control bytes are left but the tab.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
# A prompt waits for its answer without ending its line.
_PROMPT = re.compile(r"\S login: ?$|^\(initramfs\) ?$")
# A carriage return alone, and the sequences that put the cursor elsewhere (GRUB's menu, SeaBIOS), begin a new line.
_LINE_ENDS = re.compile(r"\r*\n|\r(?!\n)|\x1b\[\d*(?:;\d*)?[Hf]|\x1b\[2?J")


class Lines:
    """Assembles the pieces of a console to clean lines, without escapes and control bytes."""

    def __init__(self) -> None:
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that ``data`` completes, without empty ones."""
        *complete, self._rest = _LINE_ENDS.split(self._rest + self._decoder.decode(data))
        if len(self._rest) > LONGEST_LINE or _PROMPT.search(self._rest):
            complete, self._rest = [*complete, self._rest], ""
        return [line for line in map(clean, complete) if line]

    def unfinished(self) -> str:
        """Return what has no end yet."""
        return clean(self._rest)


def clean(line: str) -> str:
    """Return a line without terminal escapes, control bytes and space at its end."""
    return _ESCAPES.sub("", line).rstrip()


@dataclass(frozen=True, slots=True)
class BootPhase:
    """A phase of a boot, and the pattern of its lines."""

    title: str
    sign: re.Pattern[str]


def _phase(title: str, *signs: str) -> BootPhase:
    return BootPhase(title, re.compile("|".join(signs)))


_CLOUD_INIT = r"Cloud-init v\. \S+ running '"

PHASES = (
    _phase("firmware", r"SeaBIOS", r"iPXE", r"^BdsDxe:", r"UEFI firmware", r"EDK II"),
    _phase("boot loader", r"GNU GRUB", r"^GRUB", r"^\s*Booting (from|`)", r"^Loading (Linux|initial ramdisk)"),
    _phase("kernel", r"Linux version \d", r"Command line: .*root=", r"^Decompressing Linux"),
    _phase("first file system", r"Run /init as init process", r"^Begin: ", r"dracut"),
    _phase("system services", r"systemd\[1\]: (systemd \d|Detected|Hostname|Queued)", r"^Welcome to ", r"OpenRC"),
    _phase("file systems", r"Reached target (local-fs\.target|Local File Systems)", r"re-mounted [\da-f]"),
    _phase("settings from its seed", r"Starting pymachine-seed"),
    _phase("cloud-init: data source", _CLOUD_INIT + "init-local"),
    _phase("network", r"Reached target (network(-online)?\.target|Network(\.| is Online))", r"ci-info: .*Net dev"),
    _phase("cloud-init: users and keys", _CLOUD_INIT + "init'"),
    _phase(SSH, r"(Listening on|Started) sshd?\.(socket|service)", r"Started .*OpenSSH", r"Starting sshd"),
    _phase("cloud-init: settings", _CLOUD_INIT + "modules:config"),
    _phase("cloud-init: set-up", _CLOUD_INIT + "modules:final"),
    _phase("the engine", r"Started pymachine-first-boot"),
    _phase("cloud-init is done", r"Cloud-init v\. \S+ finished at"),
    _phase("login", r"\S login:\s*$"),
)  # fmt: skip

# Linux runs programs: the kernel is through with the processor, memory and interrupts.
_USER_SPACE = re.compile(
    r"Run \S+ as init process|systemd\[1\]:|systemd-udevd|^Begin: |^Loading, please wait|dracut|^Welcome to "
    r"|\S login:\s*$"
)
_KERNEL = re.compile(r"Linux version \d")
MANY_LINES = 200


def phase_of(line: str) -> str | None:
    """Return the title of the phase that a line begins, None for any other line."""
    return next((phase.title for phase in PHASES if phase.sign.search(line)), None)


def begins_kernel(line: str) -> bool:
    """Whether a line is the first of a Linux kernel."""
    return _KERNEL.search(line) is not None


def begins_programs(line: str) -> bool:
    """Whether a line shows that Linux runs programs."""
    return _USER_SPACE.search(line) is not None


# The shell of initramfs-tools, dracut's and systemd's: each waits at the console, and SSH will not come.
_RESCUE = re.compile(r"^\(initramfs\)$|^Entering (emergency|rescue) mode\b|^You are in (emergency|rescue) mode\b")


def begins_rescue(line: str) -> bool:
    """Whether a line shows that the boot ended in a rescue shell at the console."""
    return _RESCUE.search(line) is not None


class Story:
    """The console's output so far: phases and lines are passed on once, and the last lines are kept for an error."""

    def __init__(self, progress: Callable[[str], None], console: Callable[[str], None]) -> None:
        self._progress = progress
        self._console = console
        self._passed: set[str] = set()
        self.phase = ""
        self.last: deque[str] = deque(maxlen=KEPT_LINES)

    def has_passed(self, title: str) -> bool:
        """Return whether a phase has begun."""
        return title in self._passed

    def take(self, line: str) -> None:
        """Process one line of the console."""
        self._console(line)
        self.last.append(line)
        phase = phase_of(line)
        if phase and phase not in self._passed:
            self._passed.add(phase)
            self.phase = phase
            self._progress(phase)

    def begin_again(self, reason: str) -> None:
        """Start again after a reset of the guest: its phases are reported once more."""
        self._passed.clear()
        self.phase = ""
        self._progress(f"once more, {reason}")


class Progress:
    """Whether a Linux guest makes progress: it ran its first program, or its kernel printed many lines."""

    def __init__(self) -> None:
        self._since_kernel: int | None = None

    def shown_by(self, line: str) -> bool:
        """Take one line; return whether the guest has shown by now that it makes progress."""
        if self._since_kernel is not None:
            self._since_kernel += 1
        elif begins_kernel(line):
            self._since_kernel = 0
        return begins_programs(line) or (self._since_kernel or 0) >= MANY_LINES

    def so_far(self) -> str:
        """Return a description of how far it came."""
        if self._since_kernel is None:
            return "not one line of its kernel"
        return f"only {self._since_kernel + 1} lines of its kernel"
