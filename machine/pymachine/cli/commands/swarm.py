"""``swarm create``, ``join``, ``leave``, ``status`` …: machines that exist, made one Swarm by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing
from pymachine.cli.lookup import unlock as take_leases
from pymachine.cli.options import FORCE_UNLOCK, JSON, NAME, NAMES, YES, command, complete_names, with_options
from pymachine.cli.output import dump, note, say
from pymachine.cli.parallel import after, for_each, one_by_one, stoppable
from pymachine.cli.swarm_output import (
    advertised,
    advise,
    managers_on_record,
    members,
    read_labels,
    show,
    status_document,
    trouble_of,
)
from pymachine.errors import UsageFault
from pymachine.fleet.inventory.model import NodeSpec, SwarmSpec
from pymachine.swarm_api.protocol import Rotation
from pymachine.swarm_api.view import MANAGER, WORKER

ADVERTISE = click.option(
    "--advertise", multiple=True, metavar="NAME=ADDRESS",
    help="Address that a machine advertises to the other nodes, if not the one that is detected.",
)  # fmt: skip


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def swarm(ctx: click.Context) -> None:
    """Create and manage a Swarm of machines."""
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


@command()
@with_options(
    (
        click.option(
            "--worker", "workers", multiple=True, metavar="NAME", shell_complete=complete_names,
            help="A machine that joins as a worker.",
        ),
        click.option("--autolock", is_flag=True, help="Enable autolock: managers are locked after a restart."),
        click.option("--pool", "pools", multiple=True, metavar="NETWORK", help="Address pool for overlay networks."),
        click.option("--subnet-size", type=int, default=24, show_default=True, help="Prefix length of its subnets."),
        click.option("--data-path-port", type=click.IntRange(1024, 49151), help="UDP port of overlay data.  [4789]"),
        ADVERTISE,
        FORCE_UNLOCK,
    )
)  # fmt: skip
@click.argument("managers", nargs=-1, metavar="MANAGER...", shell_complete=complete_names)
@click.pass_obj
def create(app: App, /, managers: tuple[str, ...], workers: tuple[str, ...], **given: Any) -> None:
    """Make a Swarm of machines: these as its managers, the first of them first.

    The same command goes on where an earlier one stopped.
    """
    names, others = _cast(app, managers, workers)
    spec = SwarmSpec(given["autolock"], given["pools"], given["subnet_size"], given["data_path_port"])
    addresses = advertised(given["advertise"], [*names, *others])
    from pymachine import swarm as verbs

    tools = app.tools
    first = names[0]
    node = NodeSpec(MANAGER, advertise=addresses.get(first))
    verbs.init(first, spec, node, tools, peers=[*names, *others], keep=True)
    say(f"{first} is a manager")
    with after([first]):
        _join(app, names[1:], replace(node, advertise=None), addresses, via=[first])
        _join(app, others, NodeSpec(WORKER), addresses, via=names)
    advise(app, first)


@command()
@with_options(
    (
        click.option(
            "--to",
            "member",
            metavar="MEMBER",
            shell_complete=complete_names,
            help="A machine that is a member of the Swarm.",
        ),
        click.option("--manager", is_flag=True, help="Join as managers, one at a time."),
        ADVERTISE,
        FORCE_UNLOCK,
        NAMES,
    )
)
@click.pass_obj
def join(app: App, names: tuple[str, ...], member: str | None, manager: bool, advertise: tuple[str, ...]) -> None:
    """Make machines nodes of a Swarm; those that are take their place in it on record."""
    if member is None:
        raise UsageFault("join to which Swarm?", hint="name a machine of it: pymachine swarm join --to MEMBER NAME")
    wanted = existing(app, names)
    take_leases(app, wanted)
    node = NodeSpec(MANAGER if manager else WORKER)
    _join(app, wanted, node, advertised(advertise, wanted), via=managers_on_record(app, member))
    if manager:
        advise(app, wanted[0])


@command()
@with_options(
    (
        YES,
        click.option("-f", "--force", is_flag=True, help="Continue without machines that do not answer."),
        click.option("--dissolve", is_flag=True, help="Let the last manager leave too; this ends the Swarm."),
        FORCE_UNLOCK,
        NAMES,
    )
)
@click.pass_obj
def leave(app: App, names: tuple[str, ...], yes: bool, force: bool, dissolve: bool) -> None:
    """Take machines out of their Swarm: workers first, then managers one after another."""
    wanted = existing(app, names)
    instead = f"use -y to end it without confirmation: pymachine swarm leave -y --dissolve {' '.join(wanted)}"
    if (
        dissolve
        and not yes
        and not app.asker.confirm("Services and their state are lost with the Swarm. Continue?", instead=instead)
    ):
        note("nothing was changed")
        return
    take_leases(app, wanted)
    from pymachine import swarm as verbs

    tools = app.tools

    def work(name: str) -> None:
        verbs.leave(name, tools, force=force, dissolve=dissolve)

    managers = [name for name in wanted if (place := tools.store.get(name).swarm) and place.role == MANAGER]
    workers = [name for name in wanted if name not in managers]
    _each(app, workers, work, "has left the Swarm")
    with after(workers):
        one_by_one(managers, work, lambda name, _: say(f"{name} has left the Swarm"))


@command()
@JSON
@NAMES
@click.pass_obj
def status(app: App, names: tuple[str, ...], as_json: bool) -> None:
    """Show a Swarm: its nodes, whether its managers are a majority, and which machines are missing."""
    from pymachine import swarm as verbs

    view = verbs.status(app.tools, existing(app, names) if names else ())
    if as_json:
        dump(status_document(view))
    elif not view.trouble:
        show(view)
    if view.trouble or view.quorum_lost:
        raise trouble_of(view)


@command()
@with_options(
    (
        click.option("--version", metavar="VERSION", help="Engine version.  [default: the newest]"),
        click.option(
            "--batch", type=click.IntRange(1), default=1, show_default=True, help="Number of workers at a time."
        ),
        FORCE_UNLOCK,
        NAMES,
    )
)
@click.pass_obj
def upgrade(app: App, names: tuple[str, ...], version: str | None, batch: int) -> None:
    """Upgrade the engines of a Swarm: managers one by one, the leader last, then workers; each drained meanwhile."""
    from pymachine import swarm as verbs

    tools, stop = stoppable(app.tools)
    wanted = existing(app, names) if names else ()
    view = verbs.status(tools, wanted)
    if view.trouble:
        raise trouble_of(view)
    managers, workers = members(view, wanted)
    take_leases(app, [*managers, *workers])

    def work(name: str) -> str:
        return verbs.upgrade(name, tools, version=version).engine_version or "unknown"

    done: list[str] = []

    def tell(name: str, engine: str) -> None:
        done.append(name)
        say(f"{name} has engine {engine}")

    with after(done):
        while (name := verbs.next_manager(verbs.status(tools, managers), managers) if managers else None) is not None:
            tell(name, work(name))
            managers.remove(name)
        for begin in range(0, len(workers), batch):
            for_each(workers[begin : begin + batch], work, tell, stop=stop)


@command()
@with_options(
    (
        YES,
        click.option(
            "--survivor", metavar="NAME", shell_complete=complete_names, help="The manager to recover from."
        ),
        FORCE_UNLOCK,
        NAMES,
    )
)
@click.pass_obj
def recover(app: App, names: tuple[str, ...], yes: bool, survivor: str | None) -> None:
    """Make a Swarm work again whose managers lost their majority for good: one goes on alone, others join anew."""
    from pymachine import swarm as verbs

    tools = app.tools
    wanted = existing(app, names) if names else ()
    loss = verbs.look_at_loss(tools, wanted)
    chosen = survivor or loss.survivors[0]
    note(
        f"{loss.in_words()}. Services continue to run. Start the lost managers if possible: "
        f"then no recovery is needed. Else {chosen} continues alone with its own state; later changes that only the "
        "lost managers have are lost, and they must not rejoin with their old state."
    )
    instead = f"use -y to continue without confirmation: pymachine swarm recover -y --survivor {chosen}"
    if not (yes or app.asker.confirm(f"Make {chosen} the only manager?", instead=instead)):
        note("nothing was changed")
        return
    take_leases(app, loss.survivors)
    show(verbs.recover(tools, wanted, survivor=chosen))
    for name in loss.lost:
        note(
            f"note: {name}: `pymachine swarm join --manager --to {chosen} {name}` if it runs again, "
            f"or `pymachine rm -f {name}`"
        )


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def promote(app: App, names: tuple[str, ...]) -> None:
    """Make workers managers, one after another."""
    _change(app, names, {"role": MANAGER}, "is a manager")


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def demote(app: App, names: tuple[str, ...]) -> None:
    """Make managers workers, one after another, as long as the rest are a majority."""
    _change(app, names, {"role": WORKER}, "is a worker")


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def drain(app: App, names: tuple[str, ...]) -> None:
    """Have nodes run no tasks, and wait until they do not."""
    _change(app, names, {"availability": "drain"}, "is drained")


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def activate(app: App, names: tuple[str, ...]) -> None:
    """Have nodes run tasks again."""
    _change(app, names, {"availability": "active"}, "is active")


@command()
@FORCE_UNLOCK
@NAME
@click.argument("labels", nargs=-1, metavar="[KEY=VALUE|KEY-]...")
@click.pass_obj
def label(app: App, name: str | None, labels: tuple[str, ...]) -> None:
    """Set labels of a node, for placement constraints; KEY- takes one off."""
    if name is None or not labels:
        raise UsageFault("label needs a machine and labels", hint="pymachine swarm label NAME tier=web old-")
    put, drop = read_labels(labels)
    (known,) = existing(app, [name])
    take_leases(app, [known])
    from pymachine import swarm as verbs

    verbs.label(known, app.tools, put=put, drop=drop)
    say(f"{known} has its labels")


@command()
@with_options(
    (
        click.option("--worker-token", is_flag=True, help="The join token for workers."),
        click.option("--manager-token", is_flag=True, help="The join token for managers."),
        click.option("--unlock-key", is_flag=True, help="The unlock key of managers; it is stored in each record."),
        click.option("--ca", "authority", is_flag=True, help="The certificate authority and all its certificates."),
        FORCE_UNLOCK,
        click.argument("member", required=False, shell_complete=complete_names),
    )
)
@click.pass_obj
def rotate(app: App, /, member: str | None, **given: bool) -> None:
    """Make keys of a Swarm anew, so that those of before open nothing any more."""
    if not any(given.values()):
        raise UsageFault("rotate what?", hint="--worker-token, --manager-token, --unlock-key, --ca")
    from pymachine import swarm as verbs

    via = managers_on_record(app, member)
    take_leases(app, via)
    verbs.rotate(Rotation(**given), app.tools, via=via)
    called = {"worker_token": "worker token", "manager_token": "manager token", "authority": "certificate authority"}
    for what in (name for name, wanted in given.items() if wanted):
        say(f"the {called.get(what, 'unlock key')} was rotated")


@command()
@click.option(
    "--key-stdin", is_flag=True, help="Read the key from standard input; it is stored if it unlocks the Swarm."
)
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def unlock(app: App, names: tuple[str, ...], key_stdin: bool) -> None:
    """Unlock managers that restarted, with the key in the store; all that are locked where none is named."""
    from pymachine import swarm as verbs

    tools = app.tools
    wanted = existing(app, names) if names else list(verbs.status(tools).locked)
    key = sys.stdin.readline().strip() if key_stdin else None
    take_leases(app, wanted)
    one_by_one(
        wanted,
        lambda name: verbs.unlock(name, tools, key=key),
        lambda name, was_locked: say(f"{name} {'is unlocked' if was_locked else 'was not locked'}"),
    )
    if not wanted:
        say("no manager is locked")


for _command in (
    create, join, leave, status, upgrade, recover, promote, demote, drain, activate, label, rotate, unlock
):  # fmt: skip
    swarm.add_command(_command)


def _cast(app: App, managers: Sequence[str], workers: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names as the store spells them, each with one part to play."""
    if not managers:
        raise UsageFault("a Swarm needs a manager", hint="pymachine swarm create MANAGER --worker WORKER")
    names = existing(app, managers)
    others = existing(app, workers) if workers else []
    both = [name for name in names if name in others]
    if both:
        raise UsageFault(f"{both[0]} cannot be manager and worker at once", hint="name it once")
    take_leases(app, [*names, *others])
    return names, others


def _join(app: App, names: Sequence[str], node: NodeSpec, addresses: Mapping[str, str], via: Sequence[str]) -> None:
    from pymachine import swarm as verbs

    tools = app.tools

    def work(name: str) -> str:
        wanted = replace(node, advertise=addresses.get(name))
        place = verbs.join(name, wanted, tools, via=via, keep=True).swarm
        return place.role if place else node.role

    if node.role == MANAGER:
        one_by_one(names, work, lambda name, role: say(f"{name} is a {role}"))
    elif names:
        for_each(names, work, lambda name, role: say(f"{name} is a {role}"))


def _change(app: App, names: Sequence[str], wanted: Mapping[str, str], outcome: str) -> None:
    from pymachine import swarm as verbs

    tools = app.tools
    known = existing(app, names)
    take_leases(app, known)
    one_by_one(known, lambda name: verbs.change(name, tools, **wanted), lambda name, _: say(f"{name} {outcome}"))
    if "role" in wanted:
        advise(app, known[0])


def _each(app: App, names: Sequence[str], work: Callable[[str], None], outcome: str) -> None:
    if names:
        for_each(names, work, lambda name, _: say(f"{name} {outcome}"))
