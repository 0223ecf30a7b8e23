"""Every command says how it is used."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from patience import LIMIT
from pymachine.cli import main
from pymachine.cli.root import COMMANDS, pymachine

USAGES = [
    "create [OPTIONS] [NAME]",
    "adopt [OPTIONS] ID [NAME]",
    "attach [OPTIONS] USER@HOST [NAME]",
    "ls [OPTIONS]",
    "env [OPTIONS] [NAME]",
    "config [OPTIONS] [NAME]",
    "url [OPTIONS] [NAME]",
    "ip [OPTIONS] [NAME]...",
    "active [OPTIONS]",
    "status [OPTIONS] [NAME]",
    "inspect [OPTIONS] [NAME]",
    "ssh [OPTIONS] [NAME] [ARGUMENT]...",
    "scp [OPTIONS] FROM... TO",
    "ssh-config [OPTIONS] [NAME]...",
    "use [OPTIONS] [NAME]",
    "context [OPTIONS] [COMMAND] [ARGS]...",
    "mount [OPTIONS] [NAME:]PATH [MOUNTPOINT]",
    "docker [OPTIONS] [NAME] [ARGUMENT]...",
    "start [OPTIONS] [NAME]...",
    "stop [OPTIONS] [NAME]...",
    "kill [OPTIONS] [NAME]...",
    "restart [OPTIONS] [NAME]...",
    "snapshot [OPTIONS] [COMMAND] [ARGS]...",
    "console [OPTIONS] [NAME]",
    "resize [OPTIONS] [NAME]...",
    "clone [OPTIONS] [SOURCE] [NEW]",
    "provision [OPTIONS] [NAME]...",
    "upgrade [OPTIONS] [NAME]...",
    "plan [OPTIONS]",
    "apply [OPTIONS]",
    "destroy [OPTIONS]",
    "drift [OPTIONS]",
    "fleet [OPTIONS] [COMMAND] [ARGS]...",
    "swarm [OPTIONS] [COMMAND] [ARGS]...",
    "import [OPTIONS] docker-machine|FILE [PATH] [NAME]...",
    "export [OPTIONS] NAME...",
    "init [OPTIONS] [FILE] [USER@HOST[:PORT]]...",
    "inventory [OPTIONS] [COMMAND] [ARGS]...",
    "doctor [OPTIONS] [NAME]...",
    "rm [OPTIONS] NAME...",
    "compat [OPTIONS] [COMMAND] [ARGS]...",
    "gc [OPTIONS]",
    "version [OPTIONS] [NAME]",
    "completion [OPTIONS] {bash|zsh|fish|powershell}",
    "help [OPTIONS] [COMMAND]",
    "image [OPTIONS] [COMMAND] [ARGS]...",
]


@pytest.mark.parametrize("usage", USAGES, ids=lambda usage: usage.split()[0])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_a_command_shows_its_usage(flag: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([usage.split()[0], flag]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"Usage: pymachine {usage}"


def test_no_command_is_left_out() -> None:
    known = pymachine.list_commands(click.Context(pymachine, **pymachine.context_settings))
    assert sorted(known) == sorted(usage.split()[0] for usage in USAGES)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_the_first_sentence_of_each(name: str) -> None:
    command = pymachine.get_command(click.Context(pymachine, **pymachine.context_settings), name)
    assert command is not None
    assert not command.hidden
    assert COMMANDS[name] == command.get_short_help_str(1000)


def _loaded(environ: dict[str, str], *words: str) -> tuple[str, set[str]]:
    """Run a line in a fresh interpreter: what it printed, and the modules of commands it loaded."""
    program = (
        f"import sys; sys.argv = ['pymachine', *{words!r}]; from pymachine.cli import main; main()\n"
        "sys.stdout.flush(); sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=LIMIT,
        env={**os.environ, **environ},
    )  # fmt: skip
    modules = set(done.stderr.split())
    return done.stdout, {name for name in modules if name.startswith("pymachine.cli.commands.")}


def test_a_list_of_all_commands_loads_none() -> None:
    offered, loaded = _loaded({"_PYMACHINE_COMPLETE": "zsh_complete", "COMP_WORDS": "pymachine ", "COMP_CWORD": "1"})
    assert loaded == set()
    assert offered.splitlines()[1::3] == [*COMMANDS, "image"]
    told, loaded = _loaded({"COLUMNS": "60"}, "--help")
    assert loaded == set()
    assert "  drift " in told
    told, loaded = _loaded({}, "swarm", "--help")
    assert loaded == {"pymachine.cli.commands.swarm"}
    assert "  activate " in told


def test_completion_offers_what_click_would() -> None:
    context = click.Context(pymachine, **pymachine.context_settings)
    for begun in ("", "s", "--", "nosuch"):
        ours = pymachine.shell_complete(context, begun)
        theirs = click.Group.shell_complete(pymachine, context, begun)
        assert [(item.value, item.help, item.type) for item in ours] == [
            (item.value, item.help, item.type) for item in theirs
        ]
