"""``init``: write a starter inventory to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.inventory_files import DEFAULT_FILES, SUFFIXES
from pymachine.cli.inventory_origins import ORIGINS, fleet_name, made_of
from pymachine.cli.options import command, with_options
from pymachine.cli.output import say
from pymachine.errors import CheckFailed, UsageFault


@command()
@with_options(ORIGINS)
@click.argument("words", nargs=-1, metavar="[FILE] [USER@HOST[:PORT]]...")
@click.pass_obj
def init(app: App, /, words: tuple[str, ...], **origin: Any) -> None:
    """Write a starter inventory to FILE (pymachine.yaml by default), which must not exist yet.

    With hosts, the first of them becomes the manager of the Swarm. A FILE ends in .yaml or .yml.
    """
    named = [word for word in words if word.endswith(SUFFIXES)]
    if len(named) > 1:
        raise UsageFault(f"two files: {named[0]} and {named[1]}", hint="give one; hosts do not end in .yaml")
    path = Path(named[0] if named else DEFAULT_FILES[0])
    if path.exists():  # before anything else is read; what counts is the exclusive open
        raise _there(path)
    text = made_of([word for word in words if word not in named], **origin)
    _write(path, text if text is not None else _starter(origin["fleet"]))
    say(f"{path} is written")
    say(f"  pymachine inventory check -f {path}" if str(path) not in DEFAULT_FILES else "  pymachine inventory check")


def _starter(fleet: str | None) -> str:
    from pymachine.fleet.inventory.starter import starter

    return starter(fleet_name(fleet))


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _there(path) from None
    except OSError as error:
        raise UsageFault(f"{path}: {(error.strerror or str(error)).lower()}", hint="name another file") from None


def _there(path: Path) -> CheckFailed:
    return CheckFailed(f"{path} already exists", hint="choose another file; this one is not changed")
