"""``rm``: show what will be removed, ask, and remove it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pymachine import ssh_client
from pymachine.cli.app import App
from pymachine.cli.lookup import existing, unlock
from pymachine.cli.options import DRY_RUN, FORCE_UNLOCK, JSON, YES, command, complete_names
from pymachine.cli.output import dump, note, say
from pymachine.cli.parallel import for_each
from pymachine.cli.plan_output import show_plans
from pymachine.documents import to_document
from pymachine.errors import PymachineError, StoreError, UsageFault
from pymachine.model import Machine, Phase

if TYPE_CHECKING:
    from pymachine.remove import Removal
    from pymachine.steps.preview import Preview


@command()
@YES
@click.option("-f", "--force", is_flag=True, help="Remove machines even if their host cannot be reached; do not ask.")
@click.option(
    "--purge", is_flag=True, help="Also remove the engine that pymachine installed, with images and volumes."
)
@FORCE_UNLOCK
@DRY_RUN
@JSON
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete_names)
@click.pass_obj
def rm(app: App, /, names: tuple[str, ...], dry_run: bool, as_json: bool, **given: bool) -> None:
    """Remove machines: their set-up, what the driver created, and the record."""
    if not names:
        raise UsageFault("rm needs the names of the machines to remove", hint="pymachine rm NAME...")
    wanted = existing(app, names)
    force, purge = given["force"], given["purge"]
    if dry_run:
        show_plans(_previews(app, wanted, force, purge), as_json=as_json)
    elif given["yes"] or force or _agreed(app, wanted, purge):
        _remove(app, wanted, force, purge, as_json)
    else:
        note("nothing was removed")
        if as_json:
            dump([])


def _previews(app: App, names: Sequence[str], force: bool, purge: bool) -> list[Preview]:
    from pymachine.swarm import losses, preview_removal

    found: dict[str, Preview] = {}
    tools = app.tools
    lost = losses(names, tools, purge=purge) if force else {}

    def preview(name: str) -> Preview:
        return preview_removal(name, tools, lost.get(name), force=force, purge=purge)

    for_each(names, preview, found.__setitem__)
    return [found[name] for name in names]


def _agreed(app: App, names: Sequence[str], purge: bool) -> bool:
    lines = [f"  {name}: {_fate(app, name, purge)}" for name in names]
    question = "\n".join(["About to remove", *lines, "Go on?"])
    return app.asker.confirm(
        question, instead=f"use -y to remove without confirmation: pymachine rm -y {' '.join(names)}"
    )


def _fate(app: App, name: str, purge: bool) -> str:
    """Say from the record alone what happens to a machine."""
    try:
        machine = app.store.get(name)
    except StoreError:
        return "its record cannot be read and is deleted"
    if machine.swarm is not None and machine.phase is Phase.READY:
        return f"it is refused, as it is a {machine.swarm.role} of a Swarm"
    if _stays(app, machine):
        engine = "its engine with all images, containers and volumes" if purge else "pymachine's set-up"
        return (
            f"{engine} is removed, the host stays"
            if machine.ssh
            else "its record is deleted, the engine stays as it is"
        )
    return "its host is destroyed with all its data"


def _stays(app: App, machine: Machine) -> bool:
    try:
        return app.tools.driver_of(machine).preexisting
    except PymachineError:
        return False


def _remove(app: App, names: Sequence[str], force: bool, purge: bool, as_json: bool) -> None:
    from pymachine.swarm import losses, remove_machine

    unlock(app, names)
    tools = app.tools
    lost = losses(names, tools, purge=purge) if force else {}
    ids = {record.name: record.id for record in app.store.records() if isinstance(record, Machine)}

    done: list[Removal] = []

    def tell(name: str, removal: Removal) -> None:
        done.append(removal)
        if name in ids:
            ssh_client.forget_ssh_config(app.folder, ids[name])
        for left in removal.left_behind:
            note(f"warning: {name}: left behind: {left}")
        if not as_json:
            say(f"{name} is removed")

    try:
        for_each(names, lambda name: remove_machine(name, tools, lost.get(name), force=force, purge=purge), tell)
    finally:
        if as_json:
            dump([to_document(removal) for removal in done])
