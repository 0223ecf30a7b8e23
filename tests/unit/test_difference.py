"""Old and new values: what is told of them, and what is hidden."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pymachine.difference import Difference, difference, differences, pair_differences


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (difference("memory", "2G", "4G"), "memory 2G → 4G"),
        (difference("labels", (), ("a=b",)), "labels none → a=b"),
        (difference("no proxy", None, ("a", "b")), "no proxy none → a, b"),
        (difference("http proxy", None, "http://joe:pw@p:3128"), "http proxy none → http://***@p:3128"),
        (difference("http proxy", "http://a:1@p", "http://a:2@p"), "http proxy changed (not shown)"),
        (difference("x", "s3cret", None, key="fake_api_key"), "x *** → none"),
        (difference("log-opts.pin", 1234, 5, key="api_token"), "log-opts.pin changed (not shown)"),
        (difference("opts", ("log-opt=splunk-token=a",), ("log-opt=splunk-token=b",)), "opts changed (not shown)"),
        (difference("x", [{"password": "a"}], [{"password": "b"}]), "x changed (not shown)"),
        (difference("label api-token", "old", "new"), "label api-token changed (not shown)"),
    ],
)
def test_a_difference_in_words(found: Difference, words: str) -> None:
    assert found.in_words() == words


def test_tables_differ_entry_by_entry() -> None:
    before = {"log-opts": {"max-size": "10m", "splunk-token": "one"}, "mtu": 1400}
    after = {"log-opts": {"max-size": "20m", "splunk-token": "two"}, "debug": True}
    assert [one.in_words() for one in differences("daemon.json", before, after)] == [
        "daemon.json.log-opts.max-size 10m → 20m",
        "daemon.json.log-opts.splunk-token changed (not shown)",
        "daemon.json.mtu 1400 → none",
        "daemon.json.debug none → True",
    ]


@pytest.mark.parametrize(("before", "after"), [(None, {}), ({}, None), ({"a": 1}, {"a": 1}), (None, None)])
def test_nothing_differs(before: Any, after: Any) -> None:
    assert differences("x", before, after) == ()


def test_values_of_variables_are_never_shown() -> None:
    found = pair_differences("env", ("A=1", "B=2", "C=3"), ("A=9", "B=2", "D=4"))
    assert [one.in_words() for one in found] == ["env A changed (not shown)", "env C *** → none", "env D none → ***"]
    assert {one.before for one in found} | {one.after for one in found} == {"***", None}


@given(st.text(min_size=1), st.text(min_size=1), st.integers(0, 200))
def test_a_cut_never_makes_two_values_look_the_same(one: str, other: str, shared: int) -> None:
    assume(one[0] != other[0])
    values = "x" * shared + one, "x" * shared + other
    shown = Difference("n", *values).in_words()
    assert len(shown) < 140
    told = shown.removeprefix("n ")
    half = (len(told) - len(" → ")) // 2
    assert told[:half] != told[half + len(" → ") :]
