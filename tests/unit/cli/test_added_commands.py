"""Commands that packages add by entry points, as distributions that lie on the path tell it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.cli import main
from pymachine.cli.added_commands import BROKEN

COMMAND = """
from pymachine.cli.options import command
from pymachine.cli.output import say

@command()
def {0}():
    \"\"\"List the hosts of {0}.\"\"\"
    say("hosts of {0}")
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions, on the path of this process and of those that it starts."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def install(site: Path, distribution: str, name: str, source: str | None = None, *, value: str = "") -> None:
    """Install a distribution with one command, as pip would leave it."""
    module = distribution.replace("-", "_")
    (site / f"{module}.py").write_text(COMMAND.format(name) if source is None else source)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pymachine.commands]\n{name} = {value or f'{module}:{name}'}\n")


def run(*words: str, **environ: str) -> tuple[str, set[str]]:
    """Run a line in a fresh interpreter: what it printed, and the modules that it loaded."""
    program = (
        f"import sys; sys.argv = ['pymachine', *{words!r}]; from pymachine.cli import main; code = main()\n"
        "sys.stdout.flush(); sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=LIMIT,
        env={**os.environ, **environ},
    )  # fmt: skip
    return done.stdout, set(done.stderr.split())


def test_an_added_command_runs_and_has_help_like_ours(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "add-pool", "pool")
    assert main(["pool"]) == 0
    assert capsys.readouterr().out == "hosts of pool\n"
    for words in (["pool", "-h"], ["help", "pool"]):
        assert main(words) == 0
        told = capsys.readouterr().out
        assert told.startswith("Usage: pymachine pool [OPTIONS]\n")
        assert "--storage-path" in told


@pytest.mark.parametrize("columns", ["60", "80"])
def test_help_lists_added_commands_after_ours(site: Path, columns: str) -> None:
    install(site, "add-listed", "listed")
    told, _ = run("--help", COLUMNS=columns)
    ours, _, added = told.partition("\nCommands of drivers:\n")
    assert "  help  " in ours
    assert "List the hosts of listed." in added


def test_completion_offers_added_commands(site: Path) -> None:
    install(site, "add-offered", "offered")
    line = {"_PYMACHINE_COMPLETE": "zsh_complete", "COMP_WORDS": "pymachine off", "COMP_CWORD": "1"}
    assert run(**line)[0].splitlines() == ["plain", "offered", "List the hosts of offered."]


def test_our_commands_win_and_look_for_no_others(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "add-greedy", "ip", source="raise SystemExit('loaded')")
    told, loaded = run("ip", "--help")
    assert told.startswith("Usage: pymachine ip ")
    assert not loaded & {"add_greedy", "pymachine.registry", "importlib.metadata"}
    assert run("--help")[0].count("\n  ip  ") == 1


def test_a_word_that_is_near_an_added_command_is_told_so(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "add-spelled", "reservoir")
    assert main(["reservior"]) == 2
    assert capsys.readouterr().err.endswith(" reservoir?\n")


FAULTS = {  # the source of a command, and what is said of it
    "import libnosuchthing": "'libnosuchthing'",
    "": "AttributeError: ",
    "1 / 0": "ZeroDivisionError: ",
    "bad = print": "add_bad:bad",
}


@pytest.mark.parametrize("source", FAULTS)
def test_a_broken_command_is_one_error_and_costs_no_other(
    source: str, site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "add_bad", raising=False)
    install(site, "add-bad", "bad", source)
    assert main(["bad"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: command 'bad' ")
    assert FAULTS[source] in error
    assert "add-bad" in hint
    assert main(["help"]) == 0
    told = capsys.readouterr().out
    assert re.search(f"^  bad +{re.escape(BROKEN)}$", told, re.MULTILINE)
    assert "  create  " in told
    for line in ("pymachine bad ", "pymachine b"):
        count = str(len(line.split(" ")) - 1)
        run(_PYMACHINE_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=count)


def test_an_entry_point_that_names_no_module_is_an_error(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "add-odd", "odd", value="?!")
    assert main(["odd"]) == 2
    assert capsys.readouterr().err.startswith("error: command 'odd' (add-odd) ")


def test_a_command_that_two_packages_add_is_refused(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "add-first", "twin")
    install(site, "add-second", "twin")
    assert main(["twin"]) == 2
    error, _ = capsys.readouterr().err.splitlines()
    assert all(name in error for name in ("'twin'", "add-first", "add-second"))
    assert len(re.findall(f"^  twin +{re.escape(BROKEN)}$", run("--help")[0], re.MULTILINE)) == 1


def test_entry_points_that_cannot_be_read_are_an_error_that_names_the_package(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(site, "add-torn", "torn")
    (site / "add_torn-1.0.dist-info/entry_points.txt").write_text("[pymachine.commands]\ntorn\n")
    for words in (["torn"], ["create", "-d", "none", "node1"]):
        assert main(words) == 2
        error, hint = capsys.readouterr().err.splitlines()
        assert error.startswith("error: ")
        assert "add-torn" in error
        assert "add-torn" in hint
    assert main(["help"]) == 0
