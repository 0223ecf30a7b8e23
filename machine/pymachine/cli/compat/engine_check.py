"""``env`` and ``config`` ask the engine first: a failure says that the machine can be connected to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from pymachine.cli.app import App
from pymachine.cli.compat.states import down
from pymachine.cli.lookup import ready
from pymachine.errors import CheckFailed, Unreachable
from pymachine.swarm_api.view import MANAGER

SWARM = click.option(
    "--swarm", is_flag=True, help="Of a Swarm: its managers' engines are what clients of the Swarm use."
)


@contextmanager
def answered(app: App, name: str | None, swarm: bool) -> Iterator[None]:
    """Run what asks the engine of a machine; with ``swarm`` the machine has to be a manager.

    Raises ``HostDown`` if the host does not run, ``CheckFailed`` for a machine that is not a manager.
    """
    machine = ready(app, name)
    if swarm and (machine.swarm is None or machine.swarm.role != MANAGER):
        raise CheckFailed(
            f"{machine.name} is not a manager of a Swarm, which --swarm is for",
            hint="`pymachine swarm status` shows the managers",
        )
    try:
        yield
    except Unreachable as error:
        raise down(app, machine, error, "checking TLS connection") from None
