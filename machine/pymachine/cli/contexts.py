"""Contexts of the docker client on the command line, and their update after a command that changed machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pymachine.cli.app import App
from pymachine.cli.docker_client import certificates_of
from pymachine.cli.lookup import ready
from pymachine.cli.output import dump, note, say
from pymachine.docker_contexts.client import ContextClient
from pymachine.docker_contexts.context_notes import has_context, have_contexts
from pymachine.docker_contexts.machine_contexts import MachineContexts
from pymachine.documents import to_document
from pymachine.errors import PymachineError

if TYPE_CHECKING:
    from pymachine.docker_contexts.machine_contexts import KeptContext
    from pymachine.model import Machine

_OVERRIDES = ("DOCKER_HOST", "DOCKER_CONTEXT")


def client(app: App) -> ContextClient:
    """Return this computer's docker client, in the environment of this process."""
    return ContextClient(app.wiring.run, app.environ)


def contexts(app: App) -> MachineContexts:
    """Return the contexts of the store's machines."""
    return MachineContexts(app.store, client(app))


def kept(app: App, name: str | None) -> KeptContext:
    """Make the context of a machine, or update it. Raises what ``lookup.ready`` and ``MachineContexts`` do."""
    return contexts(app).keep(at_hand(app, ready(app, name)))


def at_hand(app: App, machine: Machine) -> Machine:
    """Return a machine with the certificates that its engine has: an interrupted renewal is completed first."""
    certificates_of(app, machine)
    return app.store.get(machine.name)


def use(app: App, name: str | None) -> None:
    """Make the context of a machine the default of the docker client."""
    found = kept(app, name)
    client(app).use(found.context)
    say(f"the docker client uses {found.machine} now (context {found.context})")
    overriding = [variable for variable in _OVERRIDES if app.environ.get(variable)]
    if overriding:
        note(f"note: {overriding[0]} is set in this shell, and goes before contexts: `unset {overriding[0]}`")


def show(results: Sequence[KeptContext], *, as_json: bool) -> None:
    """Print what became of contexts."""
    if as_json:
        dump(to_document(list(results)))
        return
    for result in results:
        whose = result.machine or "a machine that is gone"
        say(f"{whose}: context {result.context} is {result.outcome}")
    tell_of_default(results)


def tell_of_default(results: Iterable[KeptContext]) -> None:
    """Say that the docker client is back at its own context where the one that it used is removed."""
    for result in results:
        if result.was_default:
            note(f"note: the docker client used context {result.context}, and uses its own default again")


def follow(app: App) -> None:
    """Bring the contexts of machines up to date that this command has changed; what fails is a warning.

    Machines without a context cost a query, and contexts that are right start no docker client.
    """
    changed, gone = sorted(app.changes.changed), dict(app.changes.gone)
    app.changes.clear()
    if not have_contexts(app.store):
        return
    ours = contexts(app)
    for machine in filter(None, map(app.store.find, changed)):
        with _warned(machine.name):
            ours.refresh(machine)
    for machine_id, name in gone.items():
        with _warned(name):
            tell_of_default(ours.forget(machine_id, name) if has_context(app.store, machine_id) else ())


@contextmanager
def _warned(name: str) -> Iterator[None]:
    try:
        yield
    except PymachineError as error:
        note(f"warning: the context of {name} is not up to date: {error.message}: `pymachine context sync` mends it")
