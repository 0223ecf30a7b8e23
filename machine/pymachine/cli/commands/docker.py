"""``docker``: run this computer's docker client against a machine."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.docker_client import environment_of, warn_of_expiry
from pymachine.cli.lookup import ready
from pymachine.cli.options import NAME, command
from pymachine.cli.programs import ARGUMENTS, become
from pymachine.docker_environ import docker_environ


@command(allow_interspersed_args=False)
@NAME
@ARGUMENTS
@click.pass_obj
def docker(app: App, name: str | None, arguments: tuple[str, ...]) -> None:
    """Run this computer's docker client against a machine: pymachine docker NAME ps."""
    machine = ready(app, name)
    rest = arguments[1:] if arguments[:1] == ("--",) else arguments
    warn_of_expiry(app, machine)
    assert machine.endpoint is not None
    environ = docker_environ(app.environ, environment_of(app, machine), host=machine.endpoint.host)
    become(app, ["docker", *rest], environ)
