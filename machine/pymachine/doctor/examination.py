"""Examinations side by side, all of them under one deadline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pymachine.clock import Deadline
from pymachine.driver import Health, HealthCheck
from pymachine.errors import PymachineError
from pymachine.events import surveying
from pymachine.parallel import spread

WIDTH = 64


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check; ``machine`` is empty for this computer. See ``HealthCheck`` for the rest."""

    machine: str
    check: str
    health: Health
    detail: str
    mend: str


@dataclass(frozen=True, slots=True)
class Examination:
    """A part of the work: ``checks`` returns the results for a machine, empty for this computer.

    ``name`` is the check of which it is said that it could not be asked, if ``checks`` raises or is late.
    """

    machine: str
    name: str
    checks: Callable[[], Sequence[HealthCheck]]


def examine(examinations: Sequence[Examination], timeout: float, reporter: object) -> list[Diagnosis]:
    """Return the results of all, in order; what takes longer than ``timeout`` seconds in all is left behind."""
    results: dict[int, Sequence[HealthCheck] | PymachineError] = {}
    names = [f"{one.machine or 'this computer'}: {one.name}" for one in examinations]
    with surveying(reporter, "checking", names) as seen:
        for place, result in spread(
            range(len(examinations)), lambda place: _tried(examinations[place]), WIDTH, Deadline(timeout)
        ):
            results[place] = result
            seen(names[place])
    late = HealthCheck("", Health.UNKNOWN, f"no answer within {timeout:g} s")
    return [
        diagnosis
        for place, one in enumerate(examinations)
        for diagnosis in _diagnoses(one, results.get(place, [late]))
    ]


def _tried(one: Examination) -> Sequence[HealthCheck]:
    try:
        return one.checks()
    except PymachineError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug, of a driver perhaps, costs its check and no other
        return [HealthCheck(one.name, Health.UNKNOWN, f"a bug: {type(error).__name__}: {error}")]


def _diagnoses(one: Examination, result: Sequence[HealthCheck] | PymachineError) -> list[Diagnosis]:
    if isinstance(result, PymachineError):
        result = [HealthCheck(one.name, Health.UNKNOWN, result.message, result.hint or "")]
    return [Diagnosis(one.machine, each.check or one.name, each.health, each.detail, each.mend) for each in result]
