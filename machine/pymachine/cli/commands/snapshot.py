"""``snapshot create``, ``ls``, ``restore``, ``rm``: states of a machine to go back to."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing, one, unlock
from pymachine.cli.options import FORCE_UNLOCK, JSON, NAME, YES, command, with_options
from pymachine.cli.output import columns, dump, note, say
from pymachine.cli.parallel import one_by_one
from pymachine.documents import to_document
from pymachine.errors import UsageFault
from pymachine.model import State

LABEL = click.argument("label", metavar="[SNAPSHOT]", required=False)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def snapshot(ctx: click.Context) -> None:
    """Create, list, restore and remove snapshots of a machine."""
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


@command()
@FORCE_UNLOCK
@JSON
@NAME
@LABEL
@click.pass_obj
def create(app: App, name: str | None, label: str | None, as_json: bool) -> None:
    """Keep the state of a machine; one that runs is kept with its memory.

    Without a name the snapshot is called after the time (UTC).
    """
    from pymachine import snapshots

    chosen = label or datetime.fromtimestamp(app.wiring.now(), UTC).strftime("%Y-%m-%d-%H%M%S")
    machine = _at_hand(app, name)
    snapshots.snapshot(machine, chosen, app.tools)
    dump({"machine": machine, "snapshot": chosen}) if as_json else say(f"{machine} is kept as {chosen}")


@command()
@JSON
@NAME
@click.pass_obj
def ls(app: App, name: str | None, as_json: bool) -> None:
    """List what was kept of a machine, oldest first."""
    from pymachine import snapshots

    kept = snapshots.snapshots(one(app, name).name, app.tools)
    if as_json:
        dump([to_document(snap) for snap in kept])
        return
    rows = [(snap.name, "*" if snap.current else "-", snap.created, snap.state) for snap in kept]
    columns(("NAME", "CURRENT", "CREATED", "STATE"), rows)


@command()
@with_options((YES, FORCE_UNLOCK, JSON, NAME, LABEL))
@click.pass_obj
def restore(app: App, name: str | None, label: str | None, yes: bool, as_json: bool) -> None:
    """Go back to a snapshot; what the machine holds now is lost."""
    from pymachine import snapshots

    if label is None:
        raise _needs_label("restore")
    machine = one(app, name).name
    instead = f"use -y to restore without confirmation: pymachine snapshot restore -y {machine} {label}"
    question = f"The current state of {machine} is lost when {label} is restored. Continue?"
    if not (yes or app.asker.confirm(question, instead=instead)):
        note("nothing was changed")
        return
    state = snapshots.restore(_at_hand(app, machine), label, app.tools)
    if as_json:
        dump({"machine": machine, "snapshot": label, "state": state})
    else:
        say(f"{machine} is restored to {label}, {_in_words(state)}")


@command()
@FORCE_UNLOCK
@NAME
@click.argument("labels", nargs=-1, metavar="[SNAPSHOT]...")
@click.pass_obj
def rm(app: App, name: str | None, labels: tuple[str, ...]) -> None:
    """Forget snapshots of a machine; it stays as it is."""
    from pymachine import snapshots

    if not labels:
        raise _needs_label("rm")
    machine = _at_hand(app, name)
    one_by_one(
        list(dict.fromkeys(labels)),
        lambda label: snapshots.drop_snapshot(machine, label, app.tools),
        lambda label, _: say(f"snapshot {label} of {machine} is removed"),
    )


for _command in (create, ls, restore, rm):
    snapshot.add_command(_command)


def _needs_label(verb: str) -> UsageFault:
    return UsageFault(
        f"snapshot {verb} needs a machine and a snapshot", hint=f"pymachine snapshot {verb} NAME SNAPSHOT"
    )


def _at_hand(app: App, name: str | None) -> str:
    """Return the machine's name as the store spells it, freed from a process that hangs if that was asked for."""
    (known,) = existing(app, [] if name is None else [name])
    unlock(app, [known])
    return known


def _in_words(state: State) -> str:
    return {State.RUNNING: "running", State.STOPPED: "switched off"}.get(state, state.lower())
