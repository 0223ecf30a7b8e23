"""A reporter that writes a log for each host, passes events on, and can stop running operations."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pymachine.events import Reporter
from pymachine.interruption import Stoppable
from pymachine.override import override
from pymachine.printable import printable
from pymachine.redaction import hidden_password
from pymachine.store.errors import translated
from pymachine.store.folder import make_private

FOLDER = "logs"


class Logs:
    """Appends to ``logs/FLEET/SUBJECT.log`` in the store's folder, readable by the owner only."""

    def __init__(self, store: Path, fleet: str) -> None:
        self.folder = store / FOLDER / (fleet.replace("/", "_") or "_")
        self._lock = threading.Lock()
        self._made = False

    def path_of(self, subject: str) -> Path:
        """Return the file of a machine or stack."""
        return self.folder / f"{subject.replace('/', '_')}.log"

    def write(self, subject: str, text: str) -> None:
        """Append lines with a timestamp; passwords in URLs are hidden.

        Lines that cannot be written are dropped, so that logging never stops the work.
        """
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        lines = "".join(f"{now} {line}\n" for line in printable(hidden_password(text)).split("\n"))
        with self._lock, suppress(OSError):
            self._make()
            descriptor = os.open(self.path_of(subject), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "a", errors="backslashreplace") as file:
                file.write(lines)

    def forget(self, subject: str) -> None:
        """Delete a log."""
        with translated(str(self.folder)):
            self.path_of(subject).unlink(missing_ok=True)

    def _make(self) -> None:
        if not self._made:
            make_private(self.folder)
            self._made = True


class Watched(Stoppable):
    """A reporter for operations on a fleet: it logs each event and passes it on, until it is stopped."""

    def __init__(self, reporter: Reporter, logs: Logs) -> None:
        super().__init__(reporter)
        self._logs = logs

    @override
    def unstopped(self) -> Watched:
        """Return a reporter with the same logs that is not stopped."""
        return Watched(self._reporter, self._logs)

    @override
    def started(self, machine: str, step: str) -> None:
        """Pass it on, unless all is to stop, and write it down."""
        super().started(machine, step)
        self._logs.write(machine, step)

    @override
    def progressed(self, machine: str, step: str, message: str) -> None:
        """Write it down and pass it on."""
        self._logs.write(machine, f"  {message}")
        super().progressed(machine, step, message)

    @override
    def finished(self, machine: str, step: str, note: str = "") -> None:
        """Write it down and pass it on."""
        self._logs.write(machine, f"{step}: done{': ' + note if note else ''}")
        super().finished(machine, step, note)

    @override
    def failed(self, machine: str, step: str, error: str) -> None:
        """Write it down and pass it on."""
        self._logs.write(machine, f"{step}: failed: {error}")
        super().failed(machine, step, error)

    @override
    def notice(self, machine: str, message: str) -> None:
        """Write it down and pass it on."""
        self._logs.write(machine, f"note: {message}")
        super().notice(machine, message)
