"""A reporter that keeps what it is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a reporter was told. ``text`` is the progress, note, error or notice; ``step`` empty for a notice."""

    kind: str
    machine: str
    step: str
    text: str = ""


class RecordingReporter:
    """Keeps all events in the order they came, from any thread."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._lock = threading.Lock()

    def steps(self, machine: str, kind: str = "finished") -> list[str]:
        """Return the titles of a machine's steps that were finished, or started, or failed."""
        return [event.step for event in self.events if (event.machine, event.kind) == (machine, kind)]

    def notices(self, machine: str) -> list[str]:
        """Return what was noticed about a machine."""
        return [event.text for event in self.events if (event.machine, event.kind) == (machine, "notice")]

    def started(self, machine: str, step: str) -> None:
        """Keep it."""
        self._keep(Event("started", machine, step))

    def progressed(self, machine: str, step: str, message: str) -> None:
        """Keep it."""
        self._keep(Event("progressed", machine, step, message))

    def finished(self, machine: str, step: str, note: str = "") -> None:
        """Keep it."""
        self._keep(Event("finished", machine, step, note))

    def failed(self, machine: str, step: str, error: str) -> None:
        """Keep it."""
        self._keep(Event("failed", machine, step, error))

    def notice(self, machine: str, message: str) -> None:
        """Keep it."""
        self._keep(Event("notice", machine, "", message))

    def _keep(self, event: Event) -> None:
        with self._lock:
            self.events.append(event)
