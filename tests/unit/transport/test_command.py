from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import examples
from pymachine.transport.command import MASK, Command, Secret

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(words, max_size=4))
@examples(40)
def test_every_word_reaches_the_program_as_it_is(arguments: list[str]) -> None:
    command = Command.of("printf", "%s\\0", *arguments, "end")
    out = subprocess.run(["sh", "-c", command.shell()], capture_output=True, check=True).stdout
    assert out.split(b"\0")[:-1] == [word.encode() for word in (*arguments, "end")]


def test_a_script_gets_its_values_as_arguments_and_not_as_text() -> None:
    command = Command.script('printf "%s|%s" "$1" "$2"', "$(id)", "a'b")
    out = subprocess.run(["sh", "-c", command.shell()], capture_output=True, check=True, text=True).stdout
    assert out == "$(id)|a'b"


def test_a_secret_is_in_the_command_but_neither_in_the_log_nor_in_a_traceback() -> None:
    command = Command.of("login", Secret("hunter2"))
    assert "hunter2" in command.shell()
    assert command.masked() == f"login {MASK}"
    assert "hunter2" not in repr(command)


def test_the_log_shows_a_script_on_one_short_line() -> None:
    masked = Command.script("first\n" + "x" * 500).masked()
    assert "\n" not in masked
    assert len(masked) < 250
    assert masked.startswith("sh -c 'first x")


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(ValueError, match="one word"):
        Command.of()


@pytest.mark.parametrize("word", ["a\0b", Secret("a\0b")])
def test_a_nul_byte_is_refused_since_no_argument_can_hold_one(word: str | Secret) -> None:
    with pytest.raises(ValueError, match="NUL"):
        Command.of("echo", word)
