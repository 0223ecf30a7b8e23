"""Examinations side by side: each answer in its place, and nothing that hangs or fails costs another its answer."""

from __future__ import annotations

import threading

from patience import LIMIT
from pymachine.doctor import Diagnosis, Examination, examine
from pymachine.driver import Health, HealthCheck
from pymachine.errors import EngineError
from pymachine.testing.recorder import RecordingReporter


def raising(error: Exception) -> list[HealthCheck]:
    raise error


def test_what_fails_is_unknown_and_what_answers_keeps_its_order() -> None:
    released = threading.Event()
    found = examine(
        [
            Examination("a", "late", lambda: [HealthCheck("x", Health.FINE)] if released.wait(LIMIT) else []),
            Examination("", "two", lambda: [HealthCheck("one", Health.FINE, "d"), HealthCheck("", Health.FAULT)]),
            Examination("a", "error", lambda: raising(EngineError("no answer", hint="look"))),
            Examination("b", "bug", lambda: raising(KeyError("lost"))),
        ],
        0.5,
        RecordingReporter(),
    )
    released.set()
    assert [(one.machine, one.check, one.health) for one in found] == [
        ("a", "late", Health.UNKNOWN),
        ("", "one", Health.FINE),
        ("", "two", Health.FAULT),
        ("a", "error", Health.UNKNOWN),
        ("b", "bug", Health.UNKNOWN),
    ]
    assert found[3] == Diagnosis("a", "error", Health.UNKNOWN, "no answer", "look")
    assert "KeyError" in found[4].detail


def test_they_run_side_by_side() -> None:
    meeting = threading.Barrier(20)

    def meet() -> list[HealthCheck]:
        meeting.wait(LIMIT)
        return [HealthCheck("met", Health.FINE)]

    found = examine([Examination("", "met", meet)] * 20, LIMIT, RecordingReporter())
    assert {one.health for one in found} == {Health.FINE}
