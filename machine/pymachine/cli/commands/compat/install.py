"""``compat install``: write a program named docker-machine."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from pymachine.cli import docker_machine_program as program
from pymachine.cli.app import App
from pymachine.cli.options import command
from pymachine.cli.output import note, say
from pymachine.user_path import user_path


@command()
@click.option(
    "--to", metavar="FOLDER", help="Folder for the program.  [default: ~/.local/bin, for root /usr/local/bin]"
)
@click.pass_obj
def install(app: App, to: str | None) -> None:
    """Install a program named docker-machine, which runs pymachine with docker-machine's command line.

    \b
    pymachine compat install
    pymachine compat install --to /usr/local/bin

    A file of that name that is not pymachine's is left as it is.
    """
    folder = default_folder() if to is None else user_path(to).absolute()
    path = program.install(folder, sys.executable)
    say(str(path))
    _tell_of_path(path, shutil.which(program.NAME, path=app.environ.get("PATH")))


def default_folder() -> Path:
    """Return the folder where programs of this user's own are found."""
    return Path("/usr/local/bin") if os.getuid() == 0 else Path.home() / ".local/bin"


def _tell_of_path(path: Path, found: str | None) -> None:
    """Report a PATH that leads elsewhere."""
    if found is None:
        note(f"note: {path.parent} is not in PATH: add it, or install the program to a folder of PATH with --to")
    elif not Path(found).samefile(path):
        note(f"note: PATH leads to {found} first")
