"""Records to JSON and back: nothing is lost, not even what this version does not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from pymachine.documents import from_document, to_document
from pymachine.model import Machine, Phase
from samples import FULL


@dataclass(frozen=True)
class Inner:
    """A part without room for what it does not know."""

    size: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    """A whole that keeps it."""

    parts: tuple[Inner, ...] = ()
    best: Inner | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(to_document(value)))


@pytest.mark.parametrize("machine", [FULL, Machine("a", "b", "c")], ids=["full", "bare"])
def test_a_record_comes_back_the_same(machine: Machine) -> None:
    assert from_document(Machine, through_json(machine)) == machine


def test_parts_of_parts_come_back_as_what_they_were() -> None:
    outer = Outer((Inner(1, ("a",)), Inner(2)), Inner(3))
    assert from_document(Outer, through_json(outer)) == outer


def test_keys_of_a_later_version_survive_a_round_trip() -> None:
    document = {**through_json(FULL), "colour": {"r": 1}}
    again = from_document(Machine, document)
    assert again.extra == {"colour": {"r": 1}}
    assert through_json(again) == document


def test_an_unknown_key_cannot_overwrite_a_known_one() -> None:
    assert to_document(Outer(extra={"best": 1, "new": 2})) == {"parts": [], "best": None, "new": 2}


def test_a_part_without_room_drops_what_it_does_not_know() -> None:
    assert from_document(Inner, {"size": 1, "colour": "red"}) == Inner(1)


def test_sets_and_keys_become_plain_json() -> None:
    assert to_document({1: frozenset({"a"}), "b": (Phase.READY,)}) == {"1": ["a"], "b": ["ready"]}


@pytest.mark.parametrize(
    "document", [{}, {"size": 1, "names": 7}, {"name": "a"}], ids=["nothing", "wrong kind", "too little"]
)
def test_a_document_that_does_not_fit_is_an_error(document: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        from_document(Machine if "name" in document else Inner, document)


def test_an_unknown_phase_is_an_error() -> None:
    with pytest.raises(ValueError, match="melted"):
        from_document(Machine, {**through_json(FULL), "phase": "melted"})
