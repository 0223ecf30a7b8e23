"""``provision``, ``upgrade``: the engine again, on machines that exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.engine_options import VERSION, defaults_of, engine_options, spec_changes
from pymachine.cli.machines import existing, unlock
from pymachine.cli.output import dump, say
from pymachine.cli.params import DRY_RUN, FORCE_UNLOCK, JSON, NAMES, command, with_options
from pymachine.cli.plans import ready_line, show_plans
from pymachine.cli.several import for_each
from pymachine.documents import to_document
from pymachine.errors import UsageFault
from pymachine.model import Machine

if TYPE_CHECKING:
    from pymachine.steps.preview import Preview


@command()
@with_options(engine_options(new=False))
@click.option(
    "--reset", multiple=True, metavar="OPTION",
    help="Put an option of the engine back to its default, engine-label say; a list is empty then.",
)  # fmt: skip
@click.option(
    "--new-certificates", is_flag=True,
    help="Replace the machine's authority and all its certificates, so that client keys of before are refused.",
)  # fmt: skip
@click.option("--ssh-host-key", metavar="KEY", help="The new host key of a host that was installed again: SHA256:…")
@FORCE_UNLOCK
@DRY_RUN
@JSON
@NAMES
@click.pass_obj
def provision(app: App, /, names: tuple[str, ...], dry_run: bool, as_json: bool, **given: Any) -> None:
    """Set the engine of machines up again, with options changed where they are given.

    An option that is left out keeps what is on record. Renews certificates that are about to end.
    """
    options = _options(given)
    from pymachine import provision as verbs

    tools = app.tools
    if dry_run:
        _plan(app, names, lambda name: verbs.preview_provision(name, tools, **options), as_json)
    else:
        _work(app, names, lambda name: verbs.provision(name, tools, **options), as_json)


@command()
@VERSION
@FORCE_UNLOCK
@DRY_RUN
@JSON
@NAMES
@click.pass_obj
def upgrade(app: App, names: tuple[str, ...], version: str | None, dry_run: bool, as_json: bool) -> None:
    """Upgrade the engines of machines, to the newest their source offers or to a version."""
    wanted = spec_changes({"version": version}).get("version")
    from pymachine import provision as verbs

    tools = app.tools
    if dry_run:
        _plan(app, names, lambda name: verbs.preview_upgrade(name, tools, version=wanted), as_json)
    else:
        _work(app, names, lambda name: verbs.upgrade(name, tools, version=wanted), as_json)


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the verb takes, checked. Raises ``UsageFault``."""
    host_key = given["ssh_host_key"]
    if host_key is not None:
        from pymachine.transport.hostkeys import parse_pin

        parse_pin(host_key)
    return {
        "spec_changes": _changes(given, given["reset"]),
        "host_key": host_key,
        "new_certificates": given["new_certificates"],
    }


def _changes(given: Mapping[str, Any], reset: Sequence[str]) -> dict[str, Any]:
    """Return what is given and what goes back to its default. Raises ``UsageFault`` for an option that is both."""
    changes = spec_changes(given)
    defaults = defaults_of(click.get_current_context(), reset)
    if both := sorted(changes.keys() & defaults.keys()):
        raise UsageFault(
            f"an option is given and reset at once ({both[0].replace('_', ' ')})",
            hint="an option that is given replaces what was on record: leave --reset out",
        )
    return changes | defaults


def _plan(app: App, names: Sequence[str], preview: Callable[[str], Preview], as_json: bool) -> None:
    found: dict[str, Preview] = {}
    wanted = existing(app, names)
    for_each(wanted, preview, found.__setitem__)
    app.settle()
    show_plans([found[name] for name in wanted], as_json=as_json)


def _work(app: App, names: Sequence[str], verb: Callable[[str], Machine], as_json: bool) -> None:
    began = app.wiring.now()
    done: list[Machine] = []

    def tell(name: str, machine: Machine) -> None:
        done.append(machine)
        if not as_json:
            say(ready_line(machine, app.wiring.now() - began))

    wanted = existing(app, names)
    unlock(app, wanted)
    try:
        for_each(wanted, verb, tell)
    finally:
        if as_json:
            dump([to_document(machine) for machine in done])
