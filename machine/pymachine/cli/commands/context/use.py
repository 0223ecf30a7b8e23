"""``context use``: make a machine's context the default of the docker client."""

from __future__ import annotations

import click

from pymachine.cli import contexts
from pymachine.cli.app import App
from pymachine.cli.options import NAME, command


@command()
@NAME
@click.pass_obj
def use(app: App, name: str | None) -> None:
    """Make a machine's context the default of the docker client.

    The context is made if there is none. `docker context use default` ends it.

    \b
    Examples:
      pymachine context use web && docker ps
      docker context use default
    """
    contexts.use(app, name)
