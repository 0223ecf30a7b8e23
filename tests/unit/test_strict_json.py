"""JSON of other people: a value, or one kind of error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymachine.strict_json import DEPTH, parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES, st.booleans())
def test_every_plain_value_is_read(value: object, ascii_only: bool) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only)) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "nul", "NaN", "-Infinity", "[" * 100_000, '{"a":' * 100_000, "[" * (DEPTH + 1) + "]" * (DEPTH + 1),
        r'"\ud800"', r'{"\udc9b": 1}', '"\udc9b"', "1" * 5000,
        "1e999", "-1E400", '{"free": [1e309]}',
    ],
    ids=repr,
)  # fmt: skip
def test_what_would_fail_later_fails_here(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is what callers catch
        parse_json(text)


@pytest.mark.parametrize("raw", [b"\xff\xfe", b'"\xed\xa0\x80"', b"\x00{}"])
def test_bytes_that_are_not_utf_8_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(raw)


def test_a_pair_of_halves_is_a_character() -> None:
    assert parse_json(r'"\ud83d\ude00"') == "\U0001f600"


def test_brackets_in_a_text_do_not_count() -> None:
    assert parse_json(json.dumps("[" * 500)) == "[" * 500
