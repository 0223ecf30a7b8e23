"""Properties never fail on a slow machine, and the soak run tries many more examples of each."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from properties import MANY, USUAL, examples

TESTS = Path(__file__).resolve().parents[2]
GIVEN = re.compile(r"^@given\(", re.MULTILINE)
MODULES = [path for path in sorted(TESTS.rglob("test_*.py")) if GIVEN.search(path.read_text())]


@pytest.mark.parametrize("profile", ["run", "ci", "soak"])
def test_no_profile_fails_on_a_slow_machine(profile: str) -> None:
    chosen = settings.get_profile(profile)
    assert chosen.deadline is None
    assert HealthCheck.too_slow in chosen.suppress_health_check


def test_ci_takes_the_same_examples_each_time() -> None:
    assert settings.get_profile("ci").derandomize
    assert not settings.get_profile("soak").derandomize


def test_a_share_of_examples_follows_the_profile() -> None:
    assert examples(60).max_examples == 60 * settings().max_examples // USUAL
    assert examples(60).deadline is None
    assert settings.get_profile("soak").max_examples == MANY * settings.get_profile("ci").max_examples


@pytest.mark.soak(60)
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_property_holds_for_many_more_examples(module: Path) -> None:
    words = ["-m", "pytest", "-q", "-m", "hypothesis", "--hypothesis-profile", "soak", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, *words, module], cwd=TESTS.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
