"""``adopt``: record an instance that was made by other means as a machine."""

from __future__ import annotations

from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.driver_command import ORDER_OPTIONS, OrderCommand, carry_out, chosen_driver, order_of
from pymachine.cli.options import command, with_options
from pymachine.errors import UsageFault
from pymachine.model import check_name

USAGE = "pymachine adopt -d DRIVER [OPTIONS] ID [NAME]"


@command(OrderCommand)
@with_options(ORDER_OPTIONS)
@click.argument("instance", required=False, metavar="ID")
@click.argument("name", required=False)
@click.pass_obj
def adopt(
    app: App,
    /,
    instance: str | None,
    name: str | None,
    driver: str | None,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Adopt an existing instance that a driver can find.

    ID is the cloud's id of the instance, and the machine's name unless NAME is given. The instance is set up like a
    bare-metal host: what runs there continues, and rm removes the set-up and leaves the instance. Run the command
    again to continue one that stopped half-way.
    """
    if not instance:
        raise UsageFault("adopt needs the id of an instance", hint=USAGE)
    chosen = chosen_driver(app, driver)
    app.tools.driver(chosen, adopted=instance)
    order = order_of(app, _named(name, instance), chosen, given, adopted=instance)
    carry_out(app, order, dry_run=dry_run, as_json=as_json, context=given["context"])


def _named(name: str | None, instance: str) -> str:
    if name is not None:
        return check_name(name)
    try:
        return check_name(instance)
    except UsageFault:
        raise UsageFault(f"{instance!r} cannot also be used as the machine name", hint=f"give one: {USAGE}") from None
