"""``fleet run``: run one command on machines of a fleet."""

from __future__ import annotations

from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.fleet_options import FILES, LIMIT, WIDE, opened
from pymachine.cli.options import JSON, command
from pymachine.cli.remote_commands import DEADLINE, WORDS, ask_all, recorded, tell_all, words_of


@command()
@FILES
@LIMIT
@WIDE
@DEADLINE
@click.option("--root", is_flag=True, help="Run it as root.")
@JSON
@WORDS
@click.pass_obj
def run(app: App, /, files: tuple[str, ...], limit: tuple[str, ...], **given: Any) -> None:
    """Run a command on machines of a fleet over SSH: pymachine fleet run -- uptime.

    The words are joined by blanks for the remote shell, as ssh does. Machines with the same output are shown
    together. The exit code is 5 if the command failed on any of them.
    """
    from pymachine.fleet.apply.remote_commands import run_on

    line = " ".join(words_of(given["words"], "fleet run -- COMMAND"))
    timeout, root = given["timeout"], given["root"]
    with opened(app, files, limit) as (work, names):
        machines = [machine for machine in recorded(work, names) if machine.ssh is not None]
        said, failures = ask_all(
            machines, lambda m: run_on(m, line, work.tools, deadline=timeout, root=root), given, app.reporter
        )
    tell_all(app, said, failures, as_json=given["as_json"])
