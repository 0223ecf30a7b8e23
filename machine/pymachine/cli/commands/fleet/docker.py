"""``fleet docker``: run the docker client against machines of a fleet."""

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
@JSON
@WORDS
@click.pass_obj
def docker(app: App, /, files: tuple[str, ...], limit: tuple[str, ...], **given: Any) -> None:
    """Run the docker client against machines of a fleet: pymachine fleet docker -- ps.

    The exit code is 5 if it failed on any of them.
    """
    from pymachine.fleet.apply.remote_commands import docker_on

    words, timeout = words_of(given["words"], "fleet docker -- ARGUMENTS"), given["timeout"]
    with opened(app, files, limit) as (work, names):
        machines = [m for m in recorded(work, names) if m.endpoint is not None]
        said, failures = ask_all(
            machines, lambda m: docker_on(m, words, work.tools, work.computer, deadline=timeout), given, app.reporter
        )
    tell_all(app, said, failures, as_json=given["as_json"])
