"""Every command says how it is used."""

from __future__ import annotations

import click
import pytest

from pymachine.cli import main
from pymachine.cli.program import pymachine

USAGES = [
    "create [OPTIONS] [NAME]",
    "adopt [OPTIONS] ID [NAME]",
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
    "docker [OPTIONS] [NAME] [ARGUMENT]...",
    "start [OPTIONS] [NAME]...",
    "stop [OPTIONS] [NAME]...",
    "kill [OPTIONS] [NAME]...",
    "restart [OPTIONS] [NAME]...",
    "snapshot [OPTIONS] [COMMAND] [ARGS]...",
    "console [OPTIONS] [NAME]",
    "resize [OPTIONS] [NAME]...",
    "clone [OPTIONS] [SOURCE] [NEW]",
    "image [OPTIONS] [COMMAND] [ARGS]...",
    "provision [OPTIONS] [NAME]...",
    "upgrade [OPTIONS] [NAME]...",
    "plan [OPTIONS]",
    "apply [OPTIONS]",
    "destroy [OPTIONS]",
    "drift [OPTIONS]",
    "fleet [OPTIONS] [COMMAND] [ARGS]...",
    "swarm [OPTIONS] [COMMAND] [ARGS]...",
    "init [OPTIONS] [FILE] [USER@HOST[:PORT]]...",
    "inventory [OPTIONS] [COMMAND] [ARGS]...",
    "rm [OPTIONS] NAME...",
    "gc [OPTIONS]",
    "version [OPTIONS] [NAME]",
    "completion [OPTIONS] {bash|zsh|fish|powershell}",
    "help [OPTIONS] [COMMAND]",
]


@pytest.mark.parametrize("usage", USAGES, ids=lambda usage: usage.split()[0])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_a_command_shows_its_usage(flag: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([usage.split()[0], flag]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"Usage: pymachine {usage}"


def test_no_command_is_left_out() -> None:
    known = pymachine.list_commands(click.Context(pymachine))
    assert sorted(known) == sorted(usage.split()[0] for usage in USAGES)
