"""Nothing that a terminal would obey leaves as it came, whichever way out it takes."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymachine.cli import output
from pymachine.cli.progress import JsonReporter, PlainReporter
from pymachine.printable import hanging, one_line, printable, printable_json

HOSTILE = "26.1\x1b]0;owned\x07\x1b[2J\x9b31m\u202eesrever\u2066\u2028\x7f\r"
ANY = st.text(st.characters(codec=None), max_size=40)


def obeyed(text: str) -> set[str]:
    """The characters that a terminal takes as an order, by Unicode's own classes rather than by our list."""
    controls = {c for c in text if unicodedata.category(c) in ("Cc", "Zl", "Zp") and c not in "\n\t"}
    turns = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return controls | {c for c in text if unicodedata.bidirectional(c) in turns}


@given(ANY)
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert not obeyed(printable(text))
    assert "\n" not in one_line(text)


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=40))
def test_plain_text_leaves_as_it_came(text: str) -> None:
    assert printable(text) == text


@given(ANY)
def test_later_lines_cannot_begin_where_ours_do(text: str) -> None:
    assert all(line.startswith("  ") for line in hanging(text).split("\n")[1:])


@given(st.dictionaries(ANY, ANY, max_size=3))
def test_json_keeps_its_meaning(value: dict[str, str]) -> None:
    shown = printable_json(json.dumps(value, ensure_ascii=False))
    assert not obeyed(shown)
    assert json.loads(shown) == value


def test_results_and_notes_are_filtered(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(HOSTILE)
    output.note(f"{HOSTILE}\nerror: not ours")
    output.dump({"version": HOSTILE})
    output.columns(("NAME", "DOCKER"), [("node1", f"{HOSTILE}\nnode2")])
    out, err = capsys.readouterr()
    assert not obeyed(out + err)
    assert not [line for line in err.splitlines() if line.startswith("error")]
    assert not [line for line in out.splitlines() if line.startswith("node2")]


@pytest.mark.parametrize("reporter", [PlainReporter, JsonReporter])
def test_steps_are_filtered(reporter: type[PlainReporter | JsonReporter]) -> None:
    stream = io.StringIO()
    told = reporter(stream)
    told.started("node1", HOSTILE)
    told.progressed("node1", "step", f"{HOSTILE}\nerror: not ours")
    told.finished("node1", "step", HOSTILE)
    told.notice("node1", HOSTILE)
    assert not obeyed(stream.getvalue())
    assert not [line for line in stream.getvalue().splitlines() if line.startswith("error")]
