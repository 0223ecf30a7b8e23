"""``console``: print what a machine wrote to its console, or attach to it if no network access is possible."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import one
from pymachine.cli.options import NAME, command
from pymachine.cli.outlets import fault
from pymachine.cli.output import note
from pymachine.errors import UsageFault
from pymachine.printable import printable

# What a terminal takes as an order (ECMA-48) rather than as text, and control characters but tab and line feed:
# a guest's output must not move our cursor, let alone set our title.
_ORDERS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[@-Z\\-_]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


@command()
@click.option("-f", "--follow", is_flag=True, help="Follow the output until Ctrl-C.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="LINES", help="Show only the last lines.")
@click.option("-a", "--attach", is_flag=True, help="Attach to the console; Ctrl-] detaches.")
@NAME
@click.pass_obj
def console(app: App, name: str | None, follow: bool, tail: int | None, attach: bool) -> None:
    """Print the console output of a machine."""
    machine = one(app, name).name
    if attach:
        if follow or tail is not None:
            raise UsageFault("--attach already shows the console", hint="omit --follow and --tail")
        _attach(app, machine)
        return
    _print(app, machine, follow, tail)


def _print(app: App, machine: str, follow: bool, tail: int | None) -> None:
    from pymachine import console as verb

    pieces = verb.follow(machine, app.tools) if follow else iter([verb.log(machine, app.tools)])
    for number, piece in enumerate(pieces):
        text = plain(piece)
        click.echo(text if number or tail is None else last_lines(text, tail), nl=False)
        if fault() is not None:
            return


def _attach(app: App, machine: str) -> None:
    from pymachine import console as verb

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageFault(
            "console --attach needs a terminal", hint=f"`pymachine console {machine}` prints what was printed"
        )
    note(f"the console of {machine}; Enter wakes it, Ctrl-] leaves it")
    with _raw(sys.stdin):
        verb.attach(machine, app.tools, keys=sys.stdin.fileno(), screen=sys.stdout.fileno())
    note(f"\nleft the console of {machine}")


@contextmanager
def _raw(terminal: Any) -> Iterator[None]:
    """Pass on every key as it is typed, Ctrl-C too; restore the terminal at the end."""
    import termios
    import tty

    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def plain(output: bytes) -> str:
    """Return the console output without control sequences, so that it cannot affect the terminal."""
    return printable(_ORDERS.sub("", output.decode(errors="replace")))


def last_lines(text: str, count: int) -> str:
    """Return the last ``count`` lines of a text; an unfinished last line counts."""
    return "".join(text.splitlines(keepends=True)[-count:]) if count else ""
