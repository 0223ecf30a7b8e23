from __future__ import annotations

import shutil
import subprocess

import pytest

from pymachine.transport.command import Command
from pymachine.transport.shell import LINE_LIMIT, plain_line, root_line

NASTY = "a'b\"c$HOME`id`\\n\\\\!x !! %s {a,b} ~ * ; & | <> # tab\t new\nline é ∞ \\0101"
SHELLS = [("sh", "-c"), ("bash", "-c"), ("zsh", "-c"), ("tcsh", "-c"), ("fish", "-c"), ("busybox", "sh", "-c")]


def run(shell: tuple[str, ...], line: str) -> bytes:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    return subprocess.run([*shell, line], capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_any_login_shell_hands_the_command_on_unharmed(shell: tuple[str, ...]) -> None:
    line = plain_line(Command.script('printf "%s" "$1"', NASTY))
    assert run(shell, line.text) == line.mark + NASTY.encode()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_every_byte_that_an_argument_can_hold_passes(shell: tuple[str, ...]) -> None:
    every = bytes(range(1, 256))
    line = plain_line(Command.of("printf", "%s", every.decode(errors="surrogateescape")))
    assert run(shell, line.text) == line.mark + every


def test_shell_builtins_are_commands_too() -> None:
    line = plain_line(Command.of("command", "-v", "sh"))
    assert run(("sh", "-c"), line.text).endswith(b"/sh\n")


def test_the_command_finds_programs_of_the_administrator_and_speaks_english() -> None:
    line = plain_line(Command.script('echo "$PATH $LC_ALL"'))
    path, language = run(("sh", "-c"), line.text).removeprefix(line.mark).decode().split()
    assert {"/usr/sbin", "/sbin", "/usr/local/sbin"} <= set(path.split(":"))
    assert language == "C"


def test_marks_and_prompts_cannot_be_foreseen() -> None:
    first, second = root_line(Command.of("true")), root_line(Command.of("true"))
    assert first.mark != second.mark
    assert first.prompt != second.prompt


def test_a_command_too_long_for_the_kernel_is_refused_here() -> None:
    with pytest.raises(ValueError, match="too long"):
        plain_line(Command.of("echo", "x" * LINE_LIMIT))


def test_a_command_near_the_limit_still_runs() -> None:
    line = plain_line(Command.script("printf %s ${#1}", "x" * (LINE_LIMIT - 1000)))
    assert run(("sh", "-c"), line.text) == line.mark + str(LINE_LIMIT - 1000).encode()
