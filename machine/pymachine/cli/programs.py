"""Replaces this process by another program, which gets standard input, the terminal, signals and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import click

from pymachine.cli.app import App
from pymachine.cli.errors import follow_changes
from pymachine.errors import PymachineError
from pymachine.ssh_client import INSTALL

ARGUMENTS = click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENT]...")


def become(app: App, words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Replace this process by a program. Raises ``PymachineError`` if it is not installed."""
    follow_changes(app)
    app.close()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        app.wiring.replace(words[0], list(words), environ)
    except FileNotFoundError:
        raise PymachineError(f"there is no {words[0]} on this computer", hint=INSTALL[words[0]]) from None
