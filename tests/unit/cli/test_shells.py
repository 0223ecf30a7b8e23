"""What is printed for each shell, and what the real shells make of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.cli import shells

TRAPS = """/a b/c  d/"e"/'f'/$HOME/`id`/$(id)/\\g/!h/é/*;&|<>#%~"""
# How each shell evaluates what a command prints, as the hint says.
EVALUATING = {
    "sh": 'eval "$({})"; printf %s "$TRAP"',
    "bash": 'eval "$({})"; printf %s "$TRAP"',
    "zsh": 'eval "$({})"; printf %s "$TRAP"',
    "fish": '{} | source; printf %s "$TRAP"',
    "tcsh": 'eval "`{}`"; printenv TRAP',
}


def _require(shell: str) -> None:
    """Skip where a shell is missing, which CI does not allow."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")


def _printed(tmp_path: Path, shell: str, value: str | None) -> str:
    file = tmp_path / "printed"
    file.write_text(shells.text(shell, [("TRAP", value)], ["pymachine", "env", "$(touch trapped)'`touch trapped`"]))
    return f"cat {file}"


def _evaluated(tmp_path: Path, shell: str, command: str) -> str:
    words = [shell, "-f", "-c"] if shell in ("tcsh", "zsh") else [shell, "-c"]
    done = subprocess.run(
        [*words, command], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "TRAP": "before"},
    )  # fmt: skip
    return done.stdout.removesuffix("\n")


@pytest.mark.parametrize("shell", EVALUATING)
def test_a_value_full_of_traps_arrives_as_it_is(shell: str, tmp_path: Path) -> None:
    _require(shell)
    command = EVALUATING[shell].format(_printed(tmp_path, shell, TRAPS))
    assert _evaluated(tmp_path, shell, command) == TRAPS
    assert not (tmp_path / "trapped").exists(), "the hint must not run anything"


@pytest.mark.parametrize("shell", EVALUATING)
def test_unset_takes_the_variable_away(shell: str, tmp_path: Path) -> None:
    _require(shell)
    evaluating = EVALUATING[shell].partition(";")[0].format(_printed(tmp_path, shell, None))
    assert _evaluated(tmp_path, shell, f"{evaluating}; env | grep -c ^TRAP=") == "0"


def test_powershell_escapes_its_own_characters() -> None:
    text = shells.text("pwsh", [("K", 'a"b$c`d“e'), ("L", None)], ["pymachine"])
    assert text.splitlines()[0] == '$Env:K = "a`"b`$c``d`“e"'
    assert text.splitlines()[1] == "Remove-Item Env:\\L -ErrorAction SilentlyContinue"


def test_emacs_escapes_twice_in_its_hint() -> None:
    text = shells.text("emacs", [("K", 'a"b\\c')], ["pymachine", "env", 'a"b'])
    assert '(setenv "K" "a\\"b\\\\c")' in text
    assert '(shell-command "pymachine env \'a\\"b\'"' in text


def test_cmd_quotes_what_a_pasted_line_would_take_apart() -> None:
    text = shells.text("cmd", [("K", "C:\\a & b"), ("L", "C:\\a")], ["pymachine", "a b"])
    assert text.splitlines()[:2] == ['SET "K=C:\\a & b"', "SET L=C:\\a"]
    assert "'pymachine \"a b\"'" in text


@pytest.mark.parametrize("shell", ["cmd", "tcsh"])
def test_a_line_break_is_refused_where_the_shell_has_no_way_to_hold_it(shell: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        shells.text(shell, [("K", "a\nb")], ["pymachine"])


def test_a_line_break_in_the_command_leaves_the_hint_out() -> None:
    assert shells.text("sh", [("K", "1")], ["pymachine", "a\nrm -rf x"]) == 'export K="1"\n'


DETECT = "import os; from pymachine.cli.shells import detect; print(detect(os.environ))"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_the_calling_shell_is_found_whatever_the_login_shell_is(shell: str, tmp_path: Path) -> None:
    _require(shell)
    program = tmp_path / "detect.py"
    program.write_text(DETECT)
    # The second command keeps the shell from turning into Python itself.
    assert _detected(tmp_path, [shell, "-c", f"{sys.executable} {program}; true"], "/bin/false") == shell


def test_a_call_from_elsewhere_falls_back_to_the_login_shell_and_then_to_sh(tmp_path: Path) -> None:
    # Two levels of programs that are no shells between the test runner's shell and the call.
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {DETECT!r}], check=True)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
    assert _detected(tmp_path, [sys.executable, "-c", outer], "/usr/bin/fish") == "fish"
    assert _detected(tmp_path, [sys.executable, "-c", outer], "/usr/bin/nologin") == "sh"


def _detected(folder: Path, words: list[str], login: str) -> str:
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=LIMIT, check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "SHELL": login},
    )  # fmt: skip
    return done.stdout.strip()
