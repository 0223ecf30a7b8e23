"""What ``ls`` says of a machine that is ready, and of the last change that stopped."""

from __future__ import annotations

from pymachine.cli.machines import FAULT_LIMIT, stopped
from pymachine.model import Fault

AT = "2026-11-25T00:00:00+00:00"


def test_a_fault_is_told_with_its_verb_in_one_short_line() -> None:
    text = stopped(Fault("setting up the engine", "x" * 500 + "\nmore", AT, "provision"))
    assert text.startswith("provision stopped at setting up the engine: xxx")
    assert len(text.partition(": ")[2]) == FAULT_LIMIT
    assert "\n" not in text


def test_a_short_fault_is_told_whole() -> None:
    fault = Fault("taking the set-up off the host", "no way to 192.0.2.7:22", AT, "rm")
    assert stopped(fault) == "rm stopped at taking the set-up off the host: no way to 192.0.2.7:22"


def test_a_fault_of_before_verbs_were_noted_names_none() -> None:
    assert stopped(Fault("completing", "no room", AT)) == "the last change stopped at completing: no room"
