"""Formats, compared with what Go's own text/template makes of them (Debian's golang; ``oracle.go``)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from properties import examples
from pymachine.gotemplate import Template, TemplateError
from pymachine.gotemplate.values import decoded

ORACLE = Path(__file__).with_name("oracle.go")
DATA: dict[str, Any] = {
    "Name": "a",
    "Driver": {
        "IPAddress": "10.0.0.7", "SSHPort": 22, "Memory": 1048576, "None": None, "Tags": ["b", "a"],
        "Empty": [], "Map": {},
    },
    "Half": 1.5,
    "Yes": True,
    "No": False,
    "Odd": "<x&'\"\u2028\u00e9\t\x01\x7f>",
    "List": [1, "a", None, {"k": "v"}, [2.5]],
    "Big": 1e21,
    "Small": -1e-7,
    "Zero": 0,
    "Blank": "",
}  # fmt: skip


class Go:
    """Go, asked one template at a time."""

    def __init__(self, program: Path, version: str) -> None:
        # From 1.22 on it accepts more (`range 3`, `else with`), which docker-machine's own Go did not.
        self.learnt = tuple(map(int, re.findall(r"\d+", version)[:2])) >= (1, 22)
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def fill(self, template: str, data: Any, *, ints: bool) -> str | None:
        """Return what Go prints, or None where it refuses; with ``ints``, whole numbers are no floats."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"Template": template, "Data": data, "Ints": ints}), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        assert not answer["Error"].startswith("not a question"), answer
        return None if answer["Error"] else answer["Out"]

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Go]:
    """Go; where it is not installed, a failure in CI and a skip elsewhere."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed (Debian: golang-go)")
    folder = tmp_path_factory.mktemp("go")
    environ = {"PATH": "/usr/bin:/bin", "GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "HOME": str(folder)}
    subprocess.run(["go", "build", "-o", folder / "oracle", ORACLE], check=True, env=environ, timeout=300)
    version = subprocess.run(["go", "version"], check=True, env=environ, capture_output=True, text=True).stdout
    asked = Go(folder / "oracle", version)
    yield asked
    asked.close()


def ours(template: str, data: Any, *, ints: bool) -> str | None:
    """Return what we print, or None where we refuse."""
    try:
        return Template(template).fill(data if ints else decoded(data))
    except TemplateError:
        return None


def same(go: Go, template: str, data: Any = DATA) -> None:
    """Compare, with numbers as JSON has them and as ours are."""
    for ints in (False, True):
        made, wanted = ours(template, data, ints=ints), go.fill(template, data, ints=ints)
        if made is None and go.learnt:
            continue
        assert made == wanted, (template, ints)


@pytest.mark.parametrize("template", FIXED := (Path(__file__).with_name("formats.txt")).read_text().splitlines())
def test_a_format_is_read_as_go_reads_it(go: Go, template: str) -> None:
    same(go, template.replace("⏎", "\n"))


def test_what_go_refuses_and_what_it_prints_are_both_among_the_formats(go: Go) -> None:
    answers = [go.fill(template, DATA, ints=False) for template in FIXED]
    assert sum(answer is None for answer in answers) > 20
    assert sum(answer is not None for answer in answers) > 30


NAMES = st.sampled_from(
    [*DATA, "Driver", "Driver", "Driver.Tags", "Driver.None", "Driver.Nope.X", "Nope", "List", "Yes"]
)
LITERALS = st.sampled_from(
    [
        '"x"',
        '"a,b"',
        "`r`",
        "0",
        "1",
        "2",
        "-1",
        "0x1F",
        "1.5",
        "1e3",
        "'c'",
        "true",
        "false",
        "nil",
        '","',
        '""',
        "22",
    ]
)
OPERANDS = st.one_of(
    NAMES.map(lambda name: f".{name}"),
    LITERALS,
    st.sampled_from([".", "$", "$.Name", "$x", "$.Driver.SSHPort", ".k"]),
)
VERBS = st.sampled_from(
    ["%v", "%s", "%d", "%q", "%5v", "%-6v|", "%06d", "%.2f", "%x", "%T", "%t", "%e", "%g", "%%", "%c"]
)
BINARY = st.sampled_from(
    ["eq", "ne", "lt", "le", "gt", "ge", "index", "join", "split", "print", "and", "or", "println"]
)
UNARY = st.sampled_from(["len", "not", "lower", "upper", "json", "prettyjson", "print"])


def calls(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions made of others."""
    word = inner.map(lambda text: f"({text})" if " " in text else text)
    return st.one_of(
        st.builds("{} {}".format, UNARY, word),
        st.builds("{} {} {}".format, BINARY, word, word),
        st.builds('printf "{}{}" {} {}'.format, VERBS, VERBS, word, word),
        st.builds("{} | {}".format, inner, UNARY),
        st.builds("({}).k".format, inner),
    )


EXPRESSIONS = st.recursive(OPERANDS, calls, max_leaves=4)


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Templates made of others."""
    return st.one_of(
        st.builds("{{{{if {}}}}}{}{{{{else}}}}{}{{{{end}}}}".format, EXPRESSIONS, inner, inner),
        st.builds("{{{{if {}}}}}{}{{{{else if {}}}}}{}{{{{end}}}}".format, EXPRESSIONS, inner, EXPRESSIONS, inner),
        st.builds("{{{{range {}}}}}{}{{{{else}}}}{}{{{{end}}}}".format, EXPRESSIONS, inner, inner),
        st.builds("{{{{range $i, $x := {}}}}}{}{{{{end}}}}".format, EXPRESSIONS, inner),
        st.builds(
            "{{{{range .List}}}}{}{{{{if {}}}}}{{{{break}}}}{{{{end}}}};{{{{end}}}}".format, inner, EXPRESSIONS
        ),
        st.builds("{{{{with {}}}}}{}{{{{else}}}}{}{{{{end}}}}".format, EXPRESSIONS, inner, inner),
        st.builds("{{{{with $x := {}}}}}{}{{{{end}}}}".format, EXPRESSIONS, inner),
        st.builds("{{{{$x := {}}}}}{}{{{{$x = {}}}}}{{{{$x}}}}".format, EXPRESSIONS, inner, EXPRESSIONS),
        st.builds("{} {{{{- {} -}}}}\n {}".format, inner, EXPRESSIONS, inner),
        st.builds("{}{}".format, inner, inner),
    )


TEMPLATES = st.recursive(
    st.one_of(EXPRESSIONS.map(lambda text: f"{{{{{text}}}}}"), st.sampled_from(["x", "{{/* c */}}", " {{- 1 -}} "])),
    blocks,
    max_leaves=5,
)


@examples(100)
@given(TEMPLATES)
def test_a_template_prints_what_go_prints(go: Go, template: str) -> None:
    same(go, template)


@examples(100)
@given(
    st.lists(st.sampled_from([*" \n.$|(),=:-{}\"'`%09xN", "{{", "}}", ":=", ".Name", "$x", "if ", "end", "range "]))
)
def test_a_text_of_any_shape_is_refused_where_go_refuses_it(go: Go, pieces: list[str]) -> None:
    same(go, "".join(pieces))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs", "Cn"], max_codepoint=0x2FFF)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé<", max_size=3), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@examples(75)
@given(JSON)
def test_any_json_value_is_printed_as_go_prints_it(go: Go, value: Any) -> None:
    data = {"v": value}
    assert ours("{{.v}}|{{json .v}}|{{prettyjson .v}}", data, ints=False) == go.fill(
        "{{.v}}|{{json .v}}|{{prettyjson .v}}", data, ints=False
    )


FLAGS = st.text("+- 0", max_size=2)
FORMATS = st.builds(
    "%{}{}{}{}".format, FLAGS, st.sampled_from(["", "1", "8"]), st.sampled_from(["", ".", ".0", ".3"]),
    st.sampled_from([*"vsdqtTeEfFgGcUoxXb%!z"]),
)  # fmt: skip
TEXTS = ("Name", "Odd", "Blank", "Yes")


@examples(75)
@given(FORMATS, st.sampled_from([*DATA, "Nope"]))
@example("%+q", "Odd")
def test_a_verb_prints_what_go_prints(go: Go, verb: str, name: str) -> None:
    # Some ways to print the bits of a float are refused.
    assume(verb[-1] not in "xXb" or name in TEXTS)
    same(go, f'{{{{printf "{verb}|" .{name}}}}}')
