"""Which tests of a run passed and which failed: a file of each stage in the run's folder, one id a line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PASSED, FAILED = "passed", "failed"


def note(result: str, tests: Iterable[str]) -> None:
    """Add the ids of tests to those that passed, or failed, in the stage that is on; nothing where no run is on."""
    folder = os.environ.get("PYMACHINE_RUN")
    if not folder:
        return
    place = Path(folder) / result
    place.mkdir(exist_ok=True)
    with (place / os.environ.get("PYMACHINE_STAGE", "tests")).open("a") as file:
        file.writelines(f"{test}\n" for test in tests)


def failed_in(folder: Path, stage: str = "*") -> list[str]:
    """The ids of all tests that failed in a run, or in one stage of it; at their teardown too."""
    return _noted(folder / FAILED, stage)


def passed_in(folder: Path) -> list[str]:
    """The ids of all tests that ran and did not fail."""
    failed = set(failed_in(folder))
    return [test for test in _noted(folder / PASSED) if test not in failed]


def _noted(place: Path, stage: str = "*") -> list[str]:
    return list(dict.fromkeys(line for file in sorted(place.glob(stage)) for line in file.read_text().splitlines()))
