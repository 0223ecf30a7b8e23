"""``mount``: run sshfs with a machine as the host."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from pymachine import ssh_client
from pymachine.cli.app import App
from pymachine.cli.login import with_login
from pymachine.cli.lookup import one
from pymachine.cli.options import command, complete_names
from pymachine.cli.programs import become
from pymachine.errors import UsageFault
from pymachine.user_path import user_path


@command()
@click.option("-u", "--unmount", is_flag=True, help="Unmount the folder.")
@click.argument("place", metavar="[NAME:]PATH", shell_complete=complete_names)
@click.argument("mountpoint", required=False)
@click.pass_obj
def mount(app: App, place: str, mountpoint: str | None, unmount: bool) -> None:
    """Mount a folder of a machine with sshfs, or unmount it.

    \b
    pymachine mount node1:/var/log logs
    pymachine mount -u node1:/var/log logs

    MOUNTPOINT is an existing folder of this computer, by default the one of the same path.
    """
    end = ssh_client.parse_place(place)
    here = user_path(mountpoint or end.path)
    if unmount:
        become(app, _unmount_words(here), app.environ)
        return
    if not here.is_dir():
        raise UsageFault(f"{here} is not a folder of this computer", hint=f"make it: mkdir {here}")
    machine = with_login(app, one(app, end.machine))
    config = ssh_client.write_ssh_config(app.folder, [machine])
    end = ssh_client.CopyEnd(end.path, machine.name, end.user)
    become(app, ssh_client.sshfs_words(config, end, here.absolute()), app.environ)


def _unmount_words(mountpoint: Path) -> list[str]:
    """Return the command line that an account without rights can unmount with: by FUSE's program, if it is there."""
    program = next(filter(shutil.which, ("fusermount3", "fusermount")), "fusermount3")
    return [program, "-u", "--", os.path.abspath(mountpoint)]  # noqa: PTH100 - links stay: the mount is at the link's end
