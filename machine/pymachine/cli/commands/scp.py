"""``scp``: run this computer's scp, with machine names as hosts."""

from __future__ import annotations

import click

from pymachine import ssh_client
from pymachine.cli.app import App
from pymachine.cli.login import with_login
from pymachine.cli.lookup import one
from pymachine.cli.options import command, complete_names
from pymachine.cli.programs import become
from pymachine.errors import UsageFault


@command()
@click.option("-r", "--recursive", is_flag=True, help="Copy folders recursively.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show progress.")
@click.option("-p", "--preserve", is_flag=True, help="Preserve times and modes.")
@click.argument("places", nargs=-1, metavar="FROM... TO", shell_complete=complete_names)
@click.pass_obj
def scp(app: App, /, places: tuple[str, ...], **flags: bool) -> None:
    """Copy files to and from machines: NAME:PATH is remote, PATH or localhost:PATH is local."""
    if len(places) < 2:
        raise UsageFault(
            "scp needs a source and a destination", hint="pymachine scp FROM... TO, with NAME:PATH for a machine"
        )
    ends = [ssh_client.parse_place(place) for place in places]
    names = list(dict.fromkeys(end.machine for end in ends if end.machine is not None))
    if not names:
        raise UsageFault("scp needs a machine at one end", hint="write NAME:PATH for a path on a machine")
    machines = {name: with_login(app, one(app, name)) for name in names}
    ends = [
        ssh_client.CopyEnd(end.path, machines[end.machine].name, end.user) if end.machine else end for end in ends
    ]
    config = ssh_client.write_ssh_config(app.folder, list({m.name: m for m in machines.values()}.values()))
    letters = {"recursive": "-r", "quiet": "-q", "preserve": "-p"}
    words = ssh_client.scp_words(config, [letter for flag, letter in letters.items() if flags[flag]], ends)
    become(app, words, app.environ)
