"""``provision``, ``upgrade``: the engine again, on machines that exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.engine_options import VERSION, defaults_of, engine_options, spec_changes
from pymachine.cli.lookup import existing, unlock
from pymachine.cli.options import DRY_RUN, FORCE_UNLOCK, JSON, NAMES, NO_DRAIN, command, with_options
from pymachine.cli.output import dump, say
from pymachine.cli.parallel import for_each, stoppable
from pymachine.cli.plan_output import ready_line, show_plans
from pymachine.errors import UsageFault
from pymachine.model import Machine
from pymachine.redaction import machine_document

if TYPE_CHECKING:
    from pymachine.steps.preview import Preview
    from pymachine.steps.services import Services

WAYS = ("ssh_host", "ssh_port", "ssh_user", "ssh_key", "ssh_jump")  # as drivers call these options


@command()
@with_options(engine_options(new=False))
@click.option(
    "--reset", multiple=True, metavar="OPTION",
    help="Reset an engine option to its default, e.g. engine-label; a list becomes empty.",
)  # fmt: skip
@click.option(
    "--new-certificates", is_flag=True,
    help="Replace the machine's certificate authority and all its certificates; previous client keys are refused.",
)  # fmt: skip
@click.option("--ssh-host", metavar="HOST", help="New address of the host; its host key must match.")
@click.option("--ssh-port", type=int, metavar="PORT", help="New port of its SSH server.")
@click.option("--ssh-user", metavar="USER", help="New account to log in to.")
@click.option("--ssh-key", metavar="FILE", help="New private key file to log in with.")
@click.option("--ssh-jump", metavar="[USER@]HOST[:PORT]", help="New jump hosts to connect through, or none.")
@click.option("--ssh-host-key", metavar="KEY", help="New host key of a reinstalled host: SHA256:…")
@NO_DRAIN
@FORCE_UNLOCK
@DRY_RUN
@JSON
@NAMES
@click.pass_obj
def provision(app: App, /, names: tuple[str, ...], dry_run: bool, as_json: bool, **given: Any) -> None:
    """Configure the engines of machines again, with changed options if given.

    An option that is left out keeps what is on record. Renews certificates that expire soon. Nodes of a Swarm
    whose engines restart for it are drained meanwhile, one after another.
    """
    options, drain = _options(given, names), not given["no_drain"]
    from pymachine import provision as verbs
    from pymachine.swarm import provision_node

    tools = app.tools
    if dry_run:
        _plan(app, names, lambda name: verbs.preview_provision(name, tools, **options), as_json, drain=drain)
    else:
        _work(app, names, lambda name, tools: provision_node(name, tools, drain=drain, **options), as_json)


@command()
@VERSION
@NO_DRAIN
@FORCE_UNLOCK
@DRY_RUN
@JSON
@NAMES
@click.pass_obj
def upgrade(app: App, /, names: tuple[str, ...], dry_run: bool, as_json: bool, **given: Any) -> None:
    """Upgrade the engines of machines to the newest available or a given version.

    Nodes of a Swarm are drained meanwhile, one after another.
    """
    wanted, drain = spec_changes({"version": given["version"]}).get("version"), not given["no_drain"]
    from pymachine import provision as verbs
    from pymachine.swarm import upgrade_node

    tools = app.tools
    if dry_run:
        _plan(app, names, lambda name: verbs.preview_upgrade(name, tools, version=wanted), as_json, drain=drain)
    else:
        _work(app, names, lambda name, tools: upgrade_node(name, tools, drain=drain, version=wanted), as_json)


def _options(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return what the verb takes, checked. Raises ``UsageFault``."""
    host_key = given["ssh_host_key"]
    if host_key is not None:
        from pymachine.transport.host_keys import parse_pin

        parse_pin(host_key)
    reach = {name: given[name] for name in WAYS if given[name] is not None}
    if len(names) > 1 and "ssh_host" in reach:
        raise UsageFault(
            "--ssh-host is the address of one machine", hint="run the command for each machine separately"
        )
    return {
        "reach": reach,
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
            f"an option is both set and reset ({both[0].replace('_', ' ')})",
            hint="an option that is set replaces the value on record: omit --reset",
        )
    return changes | defaults


def _plan(app: App, names: Sequence[str], preview: Callable[[str], Preview], as_json: bool, *, drain: bool) -> None:
    from pymachine.swarm import drained_in

    def look(name: str) -> Preview:
        return drained_in(preview(name), app.tools) if drain else preview(name)

    found: dict[str, Preview] = {}
    wanted = existing(app, names)
    for_each(wanted, look, found.__setitem__)
    app.settle()
    show_plans([found[name] for name in wanted], as_json=as_json)


def _work(app: App, names: Sequence[str], verb: Callable[[str, Services], Machine], as_json: bool) -> None:
    from pymachine.swarm import turns

    began = app.wiring.now()
    done: list[Machine] = []

    def tell(name: str, machine: Machine) -> None:
        done.append(machine)
        if not as_json:
            say(ready_line(machine, app.wiring.now() - began))

    wanted = existing(app, names)
    unlock(app, wanted)
    tools, stop = stoppable(app.tools)
    try:
        for_each(wanted, lambda name: verb(name, tools), tell, turns=turns(wanted, tools), stop=stop)
    finally:
        if as_json:
            dump([machine_document(machine) for machine in done])
