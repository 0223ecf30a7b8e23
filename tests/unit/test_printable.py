"""Nothing that a terminal would obey leaves as it came, whichever way out it takes."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pymachine.cli import output
from pymachine.cli.formats import print_document, print_rows
from pymachine.cli.progress import JsonReporter, PlainReporter
from pymachine.gotemplate import PRINTABLE, Template
from pymachine.printable import hanging, one_line, printable, printable_json, printable_yaml

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
    assert json.loads(shown.encode()) == value


@given(st.dictionaries(ANY, ANY, max_size=3))
def test_the_json_of_a_template_keeps_its_meaning(value: dict[str, str]) -> None:
    shown = printable(Template("{{json .}}", PRINTABLE).fill(value))
    assert not obeyed(shown)
    assert json.loads(shown.encode()) == value


@given(st.dictionaries(ANY, ANY, max_size=3))
def test_yaml_keeps_its_meaning(value: dict[str, str]) -> None:
    shown = printable_yaml(value)
    assert not obeyed(shown)
    assert yaml.safe_load(shown.encode()) == value


def test_yaml_shows_what_is_no_order_as_it_is() -> None:
    assert printable_yaml({"site": "Zürich 日本"}) == "site: Zürich 日本\n"


def test_bytes_of_a_file_name_stay_unless_a_terminal_obeys_them() -> None:
    raw = bytes(range(0x80, 0x100))
    shown = printable(raw.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    assert shown == b"".join(f"\\udc{byte:02x}".encode() for byte in raw[:0x20]) + raw[0x20:]


@pytest.mark.parametrize(
    "template", ["{{.Name}} {{.Error}}", "table {{.Name}}\t{{.Error}}", "{{range .Errors}}{{.}}{{end}}"]
)
def test_a_row_of_a_format_is_one_line(template: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{HOSTILE}\nnode2\tRunning"
    print_rows([], [{"Name": "node1", "Error": text, "Errors": [text]}], {"Name": "N", "Error": "E"}, template)
    out = capsys.readouterr().out
    assert not obeyed(out)
    assert len(out.splitlines()) == 1 + template.startswith("table")
    assert "\t" not in out


@pytest.mark.parametrize("template", ["json", "yaml"])
def test_documents_are_filtered(template: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_document({"version": HOSTILE}, {}, template)
    out = capsys.readouterr().out
    assert not obeyed(out)
    assert yaml.safe_load(out)["version"] == HOSTILE


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
