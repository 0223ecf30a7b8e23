"""``use``: make a machine's context the default of the docker client."""

from __future__ import annotations

import click

from pymachine.cli import contexts
from pymachine.cli.app import App
from pymachine.cli.options import NAME, command


@command()
@NAME
@click.pass_obj
def use(app: App, name: str | None) -> None:
    """Have the docker client use a machine, in all shells: the short form of `context use`.

    `docker context use default` ends it. For one shell alone: eval "$(pymachine env NAME)"

    \b
    Examples:
      pymachine use web && docker ps
      docker context use default
    """
    contexts.use(app, name)
