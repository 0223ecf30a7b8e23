"""``compat remove``: remove the program named docker-machine that ``compat install`` wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from pymachine.cli import docker_machine_program as program
from pymachine.cli.app import App
from pymachine.cli.commands.compat.install import default_folder
from pymachine.cli.options import command
from pymachine.cli.output import note, say
from pymachine.user_path import user_path


@command()
@click.option("--from", "folder", metavar="FOLDER", help="Folder of the program.  [default: all folders of PATH]")
@click.pass_obj
def remove(app: App, folder: str | None) -> None:
    """Remove the docker-machine that `install` wrote, and no other.

    \b
    pymachine compat remove
    pymachine compat remove --from /usr/local/bin
    """
    found = _found(app.environ) if folder is None else [user_path(folder).absolute() / program.NAME]
    for path in found:
        program.remove(path)
        say(f"{path} is removed")
    if not found:
        note(f"note: there is no {program.NAME} of pymachine in PATH")


def _found(environ: Mapping[str, str]) -> Sequence[Path]:
    """Return the programs that are ours, each once: /bin may be another name of /usr/bin."""
    folders = [*map(Path, filter(None, environ.get("PATH", os.defpath).split(":"))), default_folder()]
    resolved = dict.fromkeys(folder.resolve() for folder in folders)
    return [path for folder in resolved if program.is_ours(path := folder / program.NAME)]
