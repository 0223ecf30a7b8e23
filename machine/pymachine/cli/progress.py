"""Progress of steps on standard error: plain lines, JSON lines, or a live display (``cli.progress_live``)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from pymachine.cli.output import json_line, on_stderr
from pymachine.events import Reporter, Silent
from pymachine.redaction import hidden_password


def choose_reporter(wanted: str, stream: TextIO, environ: Mapping[str, str]) -> Reporter:
    """Return the reporter for ``auto``, ``plain``, ``json`` or ``none``."""
    if wanted == "none":
        return Silent()
    if wanted == "json":
        return JsonReporter(stream)
    if wanted == "auto" and stream.isatty() and environ.get("TERM", "dumb") != "dumb":
        from pymachine.cli.progress_live import LiveReporter

        return LiveReporter()
    return PlainReporter(stream)


class PlainReporter:
    """Prints one line per event: for pipes, logs and plain terminals."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def started(self, machine: str, step: str) -> None:
        """Print the step."""
        self._line(f"{machine}: {step}…")

    def progressed(self, machine: str, step: str, message: str) -> None:
        """Print the message, unless it repeats the step."""
        if message != step:
            self._line(f"{machine}:   {message}")

    def finished(self, machine: str, step: str, note: str = "") -> None:
        """Print the message, if there is one."""
        if note:
            self._line(f"{machine}: {step}: {note}")

    def failed(self, machine: str, step: str, error: str) -> None:
        """Print nothing: the error is printed at the end, with its hint."""

    def notice(self, machine: str, message: str) -> None:
        """Print the message."""
        self._line(f"{machine}: note: {message}")

    def _line(self, text: str) -> None:
        with self._lock:
            self._stream.write(f"{on_stderr(text)}\n")
            self._stream.flush()


class JsonReporter:
    """Prints one JSON object per line: ``time`` (ISO 8601, UTC), ``event``, ``machine``, ``step`` and ``message``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def started(self, machine: str, step: str) -> None:
        """Event ``started``."""
        self._event("started", machine, step=step)

    def progressed(self, machine: str, step: str, message: str) -> None:
        """Event ``progressed``."""
        self._event("progressed", machine, step=step, message=message)

    def finished(self, machine: str, step: str, note: str = "") -> None:
        """Event ``finished``."""
        self._event("finished", machine, step=step, message=note)

    def failed(self, machine: str, step: str, error: str) -> None:
        """Event ``failed``."""
        self._event("failed", machine, step=step, message=error)

    def notice(self, machine: str, message: str) -> None:
        """Event ``notice``."""
        self._event("notice", machine, message=message)

    def _event(self, event: str, machine: str, **details: str) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        told = {key: hidden_password(value) for key, value in details.items()}
        document = {"time": time, "event": event, "machine": machine, **told}
        with self._lock:
            self._stream.write(json_line(document))
            self._stream.flush()
