"""``scp``: run this computer's scp or rsync, with machine names as hosts."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pymachine import ssh_client
from pymachine.cli.app import App
from pymachine.cli.login import with_login
from pymachine.cli.lookup import known_names, one
from pymachine.cli.options import command, complete_names
from pymachine.cli.programs import become
from pymachine.errors import UsageFault

SCP = {"recursive": "-r", "quiet": "-q", "preserve": "-p"}
RSYNC = {"recursive": "-r", "quiet": "-q", "preserve": "-pt"}


@command()
@click.option("-r", "--recursive", is_flag=True, help="Copy folders recursively.")
@click.option("-d", "--delta", is_flag=True, help="Transfer only what differs, with rsync on both sides.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show progress.")
@click.option("-p", "--preserve", is_flag=True, help="Preserve times and modes.")
@click.argument("places", nargs=-1, metavar="FROM... TO", shell_complete=complete_names)
@click.pass_obj
def scp(app: App, /, places: tuple[str, ...], delta: bool, **flags: bool) -> None:
    """Copy files to and from machines: NAME:PATH is remote, PATH or localhost:PATH is local."""
    if len(places) < 2:
        raise UsageFault(
            "scp needs a source and a destination", hint="pymachine scp FROM... TO, with NAME:PATH for a machine"
        )
    ends, config = _located(app, places)
    letters = [letter for flag, letter in (RSYNC if delta else SCP).items() if flags[flag]]
    if delta:
        progress = [] if flags["quiet"] else ["--progress"]
        become(app, ssh_client.rsync_words(config, [*letters, *progress], ends), app.environ)
    else:
        become(app, ssh_client.scp_words(config, letters, ends), app.environ)


def _located(app: App, places: Sequence[str]) -> tuple[list[ssh_client.CopyEnd], ssh_client.SshConfig]:
    """Return the ends with the names on record, and ssh's configuration for their machines. Raises ``UsageFault``."""
    known = {name.lower() for name in known_names(app.store)}
    ends = [ssh_client.place_of(place, lambda name: name.lower() in known) for place in places]
    names = list(dict.fromkeys(end.machine for end in ends if end.machine is not None))
    if not names:
        raise UsageFault("scp needs a machine at one end", hint="write NAME:PATH for a path on a machine")
    machines = {name: with_login(app, one(app, name)) for name in names}
    config = ssh_client.write_ssh_config(app.folder, list({m.name: m for m in machines.values()}.values()))
    return [
        ssh_client.CopyEnd(end.path, machines[end.machine].name, end.user) if end.machine else end for end in ends
    ], config
