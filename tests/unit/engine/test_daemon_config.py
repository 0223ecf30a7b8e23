"""daemon.json is read strictly, merged without loss, and given back as it was."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import examples
from pymachine.engine.daemon_config import (
    ConfigConflict,
    encode_config,
    label_conflicts,
    merge,
    parse_config,
    withdraw,
)
from pymachine.errors import CheckFailed

SCALAR = st.one_of(st.booleans(), st.integers(), st.text(max_size=4))
CONFIG = st.dictionaries(
    st.sampled_from("abcdef"),
    st.one_of(
        SCALAR,
        st.lists(st.sampled_from("xyz"), min_size=1, max_size=3, unique=True),
        st.dictionaries(st.sampled_from("kl"), SCALAR, min_size=1, max_size=2),
    ),
    max_size=5,
)


@examples(60)
@given(CONFIG, CONFIG)
def test_what_was_added_can_be_taken_out_again_exactly(theirs: dict[str, object], ours: dict[str, object]) -> None:
    merged = merge(theirs, ours, {})

    if not merged.conflicts:
        assert withdraw(merged.config, merged.added) == theirs


@examples(60)
@given(CONFIG, CONFIG)
def test_merging_twice_changes_nothing_more(theirs: dict[str, object], ours: dict[str, object]) -> None:
    once = merge(theirs, ours, {})
    if once.conflicts:
        return

    twice = merge(once.config, ours, once.added)

    assert (twice.config, twice.added, twice.conflicts) == (once.config, once.added, ())


def test_unknown_keys_stay_and_lists_are_united_in_order() -> None:
    merged = merge({"odd": {"x": 1}, "dns": ["9.9.9.9"]}, {"dns": ["1.1.1.1", "9.9.9.9"]}, {})

    assert merged.config == {"odd": {"x": 1}, "dns": ["9.9.9.9", "1.1.1.1"]}
    assert merged.added == {"dns": ["1.1.1.1"]}


def test_a_differing_value_of_the_users_is_a_conflict_with_both_values() -> None:
    merged = merge({"log-driver": "syslog"}, {"log-driver": "none"}, {})

    assert merged.conflicts == (ConfigConflict("log-driver", "syslog", "none"),)


def test_a_conflict_within_an_object_is_named_by_its_path() -> None:
    merged = merge({"log-opts": {"max-size": "1m"}}, {"log-opts": {"max-size": "2m"}}, {})

    assert merged.conflicts == (ConfigConflict("log-opts.max-size", "1m", "2m"),)


def test_a_value_that_came_from_us_may_change() -> None:
    merged = merge({"mtu": 1400}, {"mtu": 1450}, {"mtu": 1400})

    assert (merged.config, merged.conflicts) == ({"mtu": 1450}, ())


def test_a_value_of_ours_that_was_changed_stays_in_a_removal_and_is_put_right_where_it_is_asked_for() -> None:
    assert withdraw({"mtu": 1300}, {"mtu": 1400}) == {"mtu": 1300}
    merged = merge({"mtu": 1300}, {"mtu": 1400}, {"mtu": 1400})
    assert (merged.config, merged.added, merged.conflicts) == ({"mtu": 1400}, {"mtu": 1400}, ())
    assert merge({"mtu": 1300}, {}, {"mtu": 1400}).config == {"mtu": 1300}
    assert merge({"mtu": 1300}, {"mtu": 1400}, {}).conflicts, "what was never ours is theirs"


@pytest.mark.parametrize(
    ("there", "wanted", "ours", "after"),
    [
        (
            {"labels": ["rack=8", "a=b"]},
            {"labels": ["rack=7"]},
            {"labels": ["rack=7"]},
            {"labels": ["a=b", "rack=7"]},
        ),
        ({"labels": ["rack=8"]}, {"labels": ["rack=9"]}, {"labels": ["rack=7"]}, {"labels": ["rack=9"]}),
        ({"labels": ["rack=8"]}, {"labels": ["room=1"]}, {"labels": ["rack=7"]}, {"labels": ["rack=8", "room=1"]}),
        ({"labels": None}, {"labels": ["rack=7"]}, {"labels": ["rack=7"]}, {"labels": ["rack=7"]}),
        ({"labels": "rack=8"}, {"labels": ["rack=7"]}, {"labels": ["rack=7"]}, {"labels": ["rack=7"]}),
        (
            {"log-opts": {"max-size": "5m", "tag": "x"}},
            {"log-opts": {"max-size": "9m"}},
            {"log-opts": {"max-size": "9m"}},
            {"log-opts": {"max-size": "9m", "tag": "x"}},
        ),
    ],
)
def test_what_is_ours_is_known_again_when_its_value_was_changed(
    there: dict[str, Any], wanted: dict[str, Any], ours: dict[str, Any], after: dict[str, Any]
) -> None:
    merged = merge(there, wanted, ours)
    assert (merged.config, merged.conflicts) == (after, ())


def test_an_option_that_is_no_longer_asked_for_goes() -> None:
    assert merge({"mtu": 1400, "debug": True}, {}, {"mtu": 1400}).config == {"debug": True}


def test_text_that_is_not_json_is_refused_with_its_place() -> None:
    with pytest.raises(CheckFailed, match=r"/etc/docker/daemon.json .*JSON: .* line 2, column 8"):
        parse_config(b'{\n  "a": nope\n}', "/etc/docker/daemon.json")


@pytest.mark.parametrize("text", [b'{"a": 1,\n"a": 2}', b'{"x": {"a": 1,\n "a": 1}}'])
def test_a_key_given_twice_is_refused_by_name_and_line(text: bytes) -> None:
    with pytest.raises(CheckFailed, match=r"key 'a' .*\(line 2\)"):
        parse_config(text, "daemon.json")


@pytest.mark.parametrize("text", [b"[]", b'"x"', b"\xff\xfe"])
def test_anything_but_an_object_is_refused(text: bytes) -> None:
    with pytest.raises(CheckFailed):
        parse_config(text, "daemon.json")


@pytest.mark.parametrize("text", [b"", b" \n", b"\xef\xbb\xbf{}", b"null"])
def test_an_empty_file_is_an_empty_config(text: bytes) -> None:
    assert parse_config(text, "daemon.json") == {}


@examples(60)
@given(CONFIG)
def test_what_is_written_is_read_back(config: dict[str, object]) -> None:
    assert parse_config(encode_config(config), "x") == config


def test_a_label_given_two_values_is_a_conflict() -> None:
    conflicts = label_conflicts(["a=1", "b=2"], ["a=1", "b=3", "c=4"])
    assert [re.findall(r"label \w|'\d'", conflict) for conflict in conflicts] == [["label b", "'2'", "'3'"]]
