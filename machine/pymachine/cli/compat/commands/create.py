"""``create``: docker-machine's flags of engine, drivers and Swarm become ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pymachine.cli.commands.create import create as ours
from pymachine.cli.compat.app import CompatApp
from pymachine.cli.compat.authority_flags import with_authority
from pymachine.cli.compat.swarm_flags import SWARM_FLAGS, wants_manager
from pymachine.cli.driver_command import ORDER_OPTIONS, DriverCommand, chosen_driver
from pymachine.cli.options import command, with_options
from pymachine.docker_machine.view import their_name
from pymachine.override import override

NO_HOST = "none"  # the driver without a host, whose engine has no options
_DRIVER = "driver"


class CompatCreate(DriverCommand):
    """A ``DriverCommand`` that finds the driver in Go's spelling too: ``-driver kvm``."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write the flag of the driver as it is looked for, then parse."""
        return super().parse_args(ctx, [_spelled(word) for word in args])


def _spelled(word: str) -> str:
    return f"-{word}" if word.partition("=")[0] == f"-{_DRIVER}" else word


@command(CompatCreate)
@with_options(ORDER_OPTIONS)
@with_options(SWARM_FLAGS)
@click.argument("name", required=False)
@click.pass_context
def create(ctx: click.Context, /, name: str | None, **given: Any) -> None:
    """Create a machine: a host whose Docker engine answers over TLS."""
    app = ctx.ensure_object(CompatApp)
    manages = wants_manager(given)
    driver = chosen_driver(app, given[_DRIVER])
    given = {**given, **with_authority(app.authority, driver), "labels": _labels(given, driver)}
    ctx.invoke(ours, name=name, **given)
    if manages and not given["dry_run"]:
        from pymachine.cli.commands.swarm.create import create as create_swarm

        ctx.invoke(create_swarm, managers=(name,))


def _labels(given: Mapping[str, Any], driver: str) -> tuple[str, ...]:
    """Return the engine's labels, with docker-machine's own, which tells the driver."""
    labels: tuple[str, ...] = given["labels"]
    if their_name(driver) == NO_HOST or any(label.startswith("provider=") for label in labels):
        return labels
    return (*labels, f"provider={their_name(driver)}")
