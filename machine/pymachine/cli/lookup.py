"""Finds the machines that a command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pymachine.cli import client_env
from pymachine.cli.app import App
from pymachine.cli.output import note
from pymachine.docker_contexts.context_notes import have_contexts
from pymachine.errors import NameMissing, NoSuchMachine, PymachineError
from pymachine.model import Fault, Machine, Phase, check_name
from pymachine.store import Store, readable

FAULT_LIMIT = 120  # characters of a fault in a list; `inspect` shows all of it


def one(app: App, name: str | None, *, careful: bool = False) -> Machine:
    """Return the machine of that name, or the assumed one. Raises ``NoSuchMachine``, ``UsageFault``."""
    wanted = chosen(app, [] if name is None else [name], careful=careful)[0]
    machine = app.store.find(wanted)
    if machine is None:
        raise no_such(app.store, app.folder, [wanted])
    return machine


def chosen(app: App, names: Sequence[str], *, careful: bool = False) -> list[str]:
    """Return the valid names, each once.

    If none is given, one is assumed, and printed to standard error: the active machine, else the only one, else the
    one called default. ``careful`` is for commands that stop or change what runs: being the only one is not enough
    for them. Raises ``UsageFault``, ``NameMissing``.
    """
    if names:
        return list(dict.fromkeys(check_name(name) for name in names))
    name, why = _assumed(app, careful=careful)
    note(client_env.assumption(name, why))
    return [name]


def _assumed(app: App, *, careful: bool) -> tuple[str, str]:
    """Return the machine for a command without a name, and what it is assumed for."""
    active, known = active_machine(app), known_names(app.store)
    if active is not None:
        return active.name, client_env.ACTIVE
    if len(known) == 1 and not careful:
        return known[0], client_env.ONLY
    if client_env.DEFAULT in known:
        return client_env.DEFAULT, client_env.NAMED_DEFAULT
    raise NameMissing(
        "no machine name given, and there is no machine called default",
        hint="give a name; `pymachine ls` lists the machines",
    )


def existing(app: App, names: Sequence[str], *, careful: bool = False) -> list[str]:
    """Return the names as the store spells them, the assumed one if none is given, see ``chosen``.

    Raises ``NoSuchMachine`` with all unknown names before anything is done to the others.
    """
    wanted = chosen(app, names, careful=careful)
    spelled = {name.lower(): name for name in known_names(app.store)}
    missing = [name for name in wanted if name.lower() not in spelled]
    if missing:
        raise no_such(app.store, app.folder, missing)
    return list(dict.fromkeys(spelled[name.lower()] for name in wanted))


def unlock(app: App, names: Sequence[str]) -> None:
    """With --force-unlock, break the leases on machines and on the managers of their Swarms; report who held them."""
    for name in names if app.force_unlock else ():
        _take_lease(app, name)
    unlock_swarms(app, names)


def unlock_swarms(app: App, names: Sequence[str]) -> None:
    """With --force-unlock, break the leases on these machines' nodes and on the managers of their Swarms."""
    if not app.force_unlock:
        return
    from pymachine.swarm.quorum_lease import drain_lease, lease_name

    clusters = {m.name: m.swarm.cluster for m in readable(app.store) if m.name in names and m.swarm is not None}
    for name in (*map(drain_lease, clusters), *map(lease_name, dict.fromkeys(clusters.values()))):
        _take_lease(app, name)


def _take_lease(app: App, name: str) -> None:
    holder = app.store.break_lease(name)
    if holder is not None:
        note(
            f"note: took the lease on {holder.name} from {holder.user}@{holder.host}, process {holder.pid}, "
            f"held since {holder.since} ({holder.purpose})"
        )


def ready(app: App, name: str | None) -> Machine:
    """Return a machine whose create is complete. Raises ``PymachineError`` with a hint for any other."""
    machine = one(app, name)
    if machine.phase is not Phase.READY or machine.endpoint is None:
        raise PymachineError(f"machine {machine.name} is not ready: {unready(machine)}", hint=_way_on(app, machine))
    return machine


def unready(machine: Machine) -> str:
    """Describe how far a half-made machine came."""
    half = "half-removed" if machine.phase is Phase.REMOVING else f"half-made ({machine.phase})"
    return f"{half}, stopped at {machine.fault.step}: {machine.fault.message}" if machine.fault else half


def stopped(fault: Fault) -> str:
    """Describe in one short line where the last change of a machine stopped."""
    first = fault.message.partition("\n")[0]
    return f"{fault.verb or 'the last change'} stopped at {fault.step}: {shorten(first, FAULT_LIMIT)}"


def shorten(text: str, limit: int) -> str:
    """Return the text with at most ``limit`` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def no_such(store: Store, folder: Path, names: Sequence[str]) -> NoSuchMachine:
    """Return the error for names that are not in the store at ``folder``, with similar names."""
    import difflib

    known = known_names(store)
    near = difflib.get_close_matches(names[0], known, n=1)
    hint = _unimported(folder, names[0]) or (f"did you mean {near[0]}?" if near else _listing(known))
    return NoSuchMachine(f"no machine {', '.join(names)} in {folder}", names=tuple(names), hint=hint)


def _unimported(folder: Path, name: str) -> str | None:
    """Return how to import a machine that docker-machine has in the folder of this store; None if it has none."""
    if name in (".", "..") or "/" in name or not (folder / "machines" / name / "config.json").is_file():
        return None
    from pymachine.docker_machine.runner_view import import_hint

    return import_hint(folder, name)


def known_names(store: Store) -> list[str]:
    """Return the names of all records, including unreadable ones."""
    return [record.name for record in store.records()]


def _listing(known: Sequence[str]) -> str:
    if not known:
        return "there is no machine yet: `pymachine create --help` shows how to make one"
    return "there are: " + ", ".join(known[:8]) + (" …" if len(known) > 8 else "")


def _way_on(app: App, machine: Machine) -> str:
    holder = app.store.holder(machine.name)
    if holder is not None:
        return (
            f"{holder.user}@{holder.host} is working on it (pid {holder.pid}: {holder.purpose}); wait until it ends"
        )
    if machine.phase is Phase.REMOVING:
        return f"`pymachine rm {machine.name}` continues it"
    verb = "adopt" if machine.adopted else "create"
    return f"run its {verb} command again to continue, or `pymachine rm {machine.name}` to undo it"


def active_machine(app: App) -> Machine | None:
    """Return the machine that this shell's docker client uses: the one at DOCKER_HOST, else that of its context.

    Of several at one address, it is the one that DOCKER_MACHINE_NAME names. Raises ``PymachineError`` if the client
    cannot tell its context, which is asked only if machines have one.
    """
    wanted = app.environ.get("DOCKER_HOST")
    if not wanted:
        return _machine_of_context(app)
    found = [machine for machine in readable(app.store) if url_or_none(machine) == wanted]
    named = [machine for machine in found if machine.name == app.environ.get("DOCKER_MACHINE_NAME")]
    return next(iter(named or found), None)


def _machine_of_context(app: App) -> Machine | None:
    if not have_contexts(app.store):
        return None
    from pymachine.docker_contexts.client import ContextClient, NoDockerClient
    from pymachine.docker_contexts.machine_contexts import MachineContexts

    client = ContextClient(app.wiring.run, app.environ)
    try:
        return MachineContexts(app.store, client).machine_of(client.current())
    except NoDockerClient:
        return None


def url_or_none(machine: Machine) -> str | None:
    """Return the address of the engine, if it is known."""
    return machine.endpoint.url if machine.endpoint else None
