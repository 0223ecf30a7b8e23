"""Parses the output of a set-up script, and interprets its end.

Lines that begin with ``@pymachine`` are for pymachine (``step``, ``note``, ``done``, ``failed``, ``error``, ``hint``,
``log``, ``cloud-init``, ``cloud-init-log``). All others are output of package managers; the last of them are kept for
the error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from pymachine.engine.cloud_init import LOOK, CloudInitResult, read_status
from pymachine.errors import EngineError
from pymachine.events import Reporter
from pymachine.redaction import hidden_in_url
from pymachine.transport import Result

MARK = "@pymachine "
_KEPT = 15
_TOLD = 50  # errors, hints and log lines of one script: a host that sends them without end fills no memory


class ProgressReader:
    """Converts lines of output to reporter events, and remembers how the script ended.

    ``step`` is the title of the caller's step, within which the script's steps and notes are reported. ``done`` has
    the values of the ``done`` line (``unit``, ``restarted`` …), None until it came.
    """

    def __init__(self, reporter: Reporter, machine: str, step: str = "setting up the engine") -> None:
        self._reporter = reporter
        self._machine = machine
        self._step = step
        self._chatter: deque[str] = deque(maxlen=_KEPT)
        self.done: Mapping[str, str] | None = None
        self.failed_step: str | None = None
        self.reasons: deque[str] = deque(maxlen=_TOLD)
        self.hints: deque[str] = deque(maxlen=_TOLD)
        self.log: deque[str] = deque(maxlen=_TOLD)
        self.cloud_init: CloudInitResult | None = None

    def line(self, text: str) -> None:
        """Process one line of standard output; pass this method as ``on_line``. Users in URLs are hidden."""
        text = hidden_in_url(text)
        if not text.startswith(MARK):
            if text.strip():
                self._chatter.append(text.rstrip())
            return
        kind, _, rest = text[len(MARK) :].rstrip().partition(" ")
        self._meant_for_us(kind, rest)

    def _meant_for_us(self, kind: str, rest: str) -> None:
        lists = {"error": self.reasons, "hint": self.hints, "log": self.log}
        if kind in lists:
            lists[kind].append(rest)
        elif kind in ("step", "note"):
            self._reporter.progressed(self._machine, self._step, rest)
        elif kind == "done":
            self.done = dict(pair.partition("=")[::2] for pair in rest.split())
        elif kind == "failed":
            self.failed_step = rest
        elif kind == "cloud-init":
            self._heard_of(read_status(rest))
        elif kind == "cloud-init-log" and self.cloud_init is not None:
            self._reporter.notice(self._machine, f"cloud-init's log: {rest}")

    def _heard_of(self, ended: CloudInitResult) -> None:
        self.cloud_init = ended
        for line in ended.lines():
            self._reporter.notice(self._machine, line)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last log lines of the unit, else the last lines of other output."""
        return tuple(self.log) or tuple(self._chatter)


def raise_for(result: Result, reader: ProgressReader) -> None:
    """Raise ``EngineError`` unless the script came to its end.

    It has the step, the reason, and the last log lines.
    """
    if result.exit_code == 0 and reader.done is not None:
        return
    step = reader.failed_step or "the script on the host ended early"
    reason = "; ".join(reader.reasons)
    text = f"{step}: {reason}" if reason else f"{step} (exit code {result.exit_code})"
    lines = reader.last_lines or tuple(hidden_in_url(result.error_text).strip().splitlines()[-_KEPT:])
    hints = [*reader.hints]
    if reader.cloud_init is not None and reader.cloud_init.failed:
        hints.append(f"cloud-init had failed before: `{LOOK}` on the host")
    raise EngineError("\n  ".join((text, *lines)), hint="; ".join(hints) or None)
