"""Values reach a shell, a unit file, JSON and YAML as data, never as syntax."""

import json
import shlex
import subprocess
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from properties import examples
from pymachine.templates import env_file, render, sh, systemd, to_json, to_yaml, xml

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@examples(60)
@given(TEXT)
def test_a_shell_word_is_read_back_as_it_was(value: str) -> None:
    assert shlex.split(sh(value)) == [value]


@examples(20)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_a_real_shell_sees_each_value_as_one_word(values: list[str]) -> None:
    out = subprocess.run(["sh", "-c", f"printf '%s\\0' {sh(values)}"], capture_output=True, check=True).stdout

    assert [part.decode() for part in out.split(b"\0")[:-1]] == values


@examples(60)
@given(TEXT)
def test_a_unit_file_word_has_no_syntax_left_in_it(value: str) -> None:
    word = systemd(value)

    assert "\n" not in word
    assert unquote_systemd(word) == value


# What systemd makes of a word in double quotes in such a file (parse_env_file_internal of env-file.c): a reader that
# is older takes whatever follows a backslash as it is, a newer one only these four. Both have to read the same.
def read_quoted(word: str, *, known: str | None) -> str:
    found, rest = "", iter(word[1:-1])
    for char in rest:
        assert char != '"', "the word ends too early"
        if char != "\\":
            found += char
            continue
        following = next(rest)
        found += following if known is None or following in known else f"\\{following}"
    return found


@examples(60)
@given(TEXT)
@example("\\")
@example(' it\'s 100% %n "$HOME" ${X} `id` \\n \\" #; \t\nsecond=line \\\n# third \\ ')
def test_a_value_in_a_file_of_variables_is_read_back_as_it_was(value: str) -> None:
    word = env_file(value)
    assert (word[0], word[-1]) == ('"', '"')
    assert read_quoted(word, known=None) == read_quoted(word, known='"\\`$') == value


@pytest.mark.parametrize("value", ["it's", " a\\ ", '"$HOME" `id`', "two\nlines"])
def test_a_shell_reads_the_variables_of_openrc_as_they_are(value: str) -> None:
    text = render("engine/environment.openrc.j2", pairs=(("TOKEN", value),))
    read = subprocess.run(["sh"], input=f"{text}printenv TOKEN", capture_output=True, text=True, check=True)
    assert read.stdout == f"{value}\n"


def test_percent_is_doubled_since_systemd_expands_specifiers() -> None:
    assert systemd("100%h") == '"100%%h"'


def test_dollar_is_doubled_in_commands_only() -> None:
    assert systemd("a$b") == '"a$b"'
    assert systemd("a$b", command=True) == '"a$$b"'


@examples(60)
@given(TEXT)
def test_json_and_yaml_text_is_read_back_as_it_was(value: str) -> None:
    assert json.loads(to_json({"k": value})) == {"k": value}
    assert json.loads(to_yaml([value])) == [value]


def test_a_value_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("engine/run.sh.j2")


def unquote_systemd(word: str) -> str:
    """Read a double-quoted word as systemd.syntax(7) says: C escapes, then specifiers."""
    assert word[0] == word[-1] == '"'
    raw, text = bytearray(), word[1:-1]
    simple = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}
    at = 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1] == "x":
            raw.append(int(text[at + 2 : at + 4], 16))
            at += 4
        elif text[at] == "\\":
            raw += simple[text[at + 1]].encode()
            at += 2
        else:
            assert text[at] != '"'
            raw += text[at].encode()
            at += 1
    return raw.decode().replace("%%", "%")


@examples(60)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]) | st.sampled_from("\t\n\r'\"&<>")))
def test_xml_reads_back_as_the_value_in_text_and_in_attributes(value: str) -> None:
    element = ET.fromstring(f"<e a='{xml(value)}' b=\"{xml(value)}\">{xml(value)}</e>")

    assert (element.text or "", element.get("a"), element.get("b")) == (value, value, value)


@pytest.mark.parametrize("strange", ["\0", "\x1b", "\ud800", "\ufffe"])
def test_what_xml_cannot_hold_is_refused(strange: str) -> None:
    with pytest.raises(ValueError, match="XML"):
        xml(f"a{strange}b")
