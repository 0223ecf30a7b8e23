"""Output of a Swarm's state, and parsing of the arguments of its commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymachine.cli.app import App
from pymachine.cli.lookup import one
from pymachine.cli.output import columns, note, say
from pymachine.cli.table import Layout
from pymachine.errors import CheckFailed, EngineError, PymachineError, QuorumLost, UsageFault
from pymachine.swarm_api.addresses import check_advertised
from pymachine.swarm_api.view import ClusterView, Member, node_document

HEADERS = ("MACHINE", "HOSTNAME", "ROLE", "STATE", "AVAILABILITY", "ADDRESS", "ENGINE")


def show(view: ClusterView) -> None:
    """Print the nodes, the quorum, and problems."""
    columns(HEADERS, [_row(member) for member in view.members], Layout(("HOSTNAME", "AVAILABILITY", "ENGINE")))
    lock = ", autolock is on" if view.autolock else ""
    say(f"Swarm {view.id}: {view.quorum.in_words()}{lock}")
    for line in _faults(view):
        say(line)


def status_document(view: ClusterView) -> dict[str, Any]:
    """Return the state of a Swarm as `swarm status --json` prints it."""
    quorum = view.quorum
    return {
        "cluster": view.id,
        "healthy": view.healthy,
        "autolock": view.autolock,
        "leader": view.leader or None,
        "quorum": {
            "managers": quorum.managers,
            "reachable": quorum.reachable,
            "needed": quorum.needed,
            "may_fail": quorum.spare,
            "lost": view.quorum_lost,
        },
        "nodes": [node_document(member) for member in view.members],
        "missing": list(view.missing),
        "locked": list(view.locked),
        "silent": list(view.silent),
        "trouble": view.trouble or None,
    }


def trouble_of(view: ClusterView) -> PymachineError:
    """Return the error for a Swarm whose managers do not answer or have no majority."""
    said = "\n  ".join((view.trouble, *_faults(view))) if view.trouble else view.quorum.in_words()
    if view.locked:
        hint = f"`pymachine swarm unlock {' '.join(view.locked)}` unlocks them with the key in the store"
    elif view.quorum_lost:
        hint = "start the managers that do not answer; if they are permanently lost: `pymachine swarm recover`"
    else:
        hint = "`pymachine ls` shows which machines are on"
    return QuorumLost(said, hint=hint) if view.quorum_lost else EngineError(said, hint=hint)


def members(view: ClusterView, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the managers and the workers among the given machines; among all if none is given."""
    chosen = [member for member in view.members if member.machine and (not wanted or member.machine in wanted)]
    managers = [member.machine for member in chosen if member.node.is_manager]
    return managers, [member.machine for member in chosen if not member.node.is_manager]


def advertised(words: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Parse ``NAME=ADDRESS`` words. Raises ``UsageFault`` for a machine that is not among the names."""
    found = {}
    for word in words:
        name, sign, address = word.partition("=")
        if not sign or name not in names:
            raise UsageFault(
                f"--advertise {word}: {name!r} is not one of {', '.join(names)}",
                hint="give NAME=ADDRESS for a machine of this command",
            )
        found[name] = check_advertised(name, address)
    return found


def read_labels(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Parse ``KEY=VALUE`` and ``KEY-`` words: labels to set and to remove. Raises ``UsageFault``."""
    put: dict[str, str] = {}
    drop: list[str] = []
    for word in words:
        key, sign, value = word.partition("=")
        if sign and key:
            put[key] = value
        elif word.endswith("-") and len(word) > 1:
            drop.append(word[:-1])
        else:
            raise UsageFault(f"{word!r} is not a valid label", hint="KEY=VALUE sets one, KEY- removes it")
    return put, drop


def managers_on_record(app: App, member: str | None) -> list[str]:
    """Return the managers on record of a machine's Swarm, or of the only Swarm.

    The machine itself if it is in none.
    """
    from pymachine.swarm.control import managers_of
    from pymachine.swarm.status import the_cluster

    names = [one(app, member).name] if member is not None else []
    cluster = the_cluster(app.tools, names)
    found = managers_of(cluster, app.tools) if cluster else names
    if not found:
        raise CheckFailed("no manager of this Swarm is on record", hint="`pymachine swarm join --to MANAGER MANAGER`")
    return found


def advise(app: App, name: str) -> None:
    """Print whether one more or one less manager would be better."""
    from pymachine import swarm as verbs

    quorum = verbs.status(app.tools, [name]).quorum
    if quorum.managers and quorum.managers % 2 == 0:
        note(f"note: {quorum.in_words()}")


def _row(member: Member) -> tuple[str, ...]:
    node = member.node
    role = "leader" if node.leader else node.role
    unreachable = node.is_manager and not node.reachable
    state = f"{node.state}, unreachable" if unreachable and node.state == "ready" else node.state
    return (member.machine or "-", node.hostname, role, state, node.availability, node.address, node.engine)


def _faults(view: ClusterView) -> list[str]:
    told = [f"{name} is locked: `pymachine swarm unlock {name}`" for name in view.locked]
    told += [f"{name} does not answer" for name in view.silent]
    told += [f"{name} is a member on record, but the Swarm has no such node" for name in view.missing]
    strangers = ", ".join(node.hostname for node in view.strangers)
    return [*told, *([f"no machine of this store: {strangers}"] if strangers else [])]
