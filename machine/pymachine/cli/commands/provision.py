"""``provision``: configure the engine of existing machines again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.engine_changes import make_changes, show_changes
from pymachine.cli.engine_options import defaults_of, engine_options, spec_changes
from pymachine.cli.options import DRY_RUN, FORCE_UNLOCK, JSON, NAMES, NO_DRAIN, command, with_options
from pymachine.errors import UsageFault

WAYS = ("ssh_host", "ssh_port", "ssh_user", "ssh_key", "ssh_jump")  # as drivers call these options
LEAVES = ("server", "client")


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
@click.option(
    "--renew-certificates", is_flag=True,
    help="Issue the engine's and the client's certificate again; the authority and other client keys stay valid.",
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

    An option that is not given keeps its value on record. Certificates that expire soon are renewed. If the engines
    of Swarm nodes have to restart, the nodes are drained meanwhile, one after another.
    """
    options, drain = _options(given, names), not given["no_drain"]
    from pymachine import provision as verbs
    from pymachine.swarm import provision_node

    tools = app.tools
    if dry_run:
        show_changes(app, names, lambda name: verbs.preview_provision(name, tools, **options), as_json, drain=drain)
    else:
        make_changes(app, names, lambda name, tools: provision_node(name, tools, drain=drain, **options), as_json)


def _options(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the checked options of the command. Raises ``UsageFault``."""
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
        "renew": ("ca",) if given["new_certificates"] else LEAVES if given["renew_certificates"] else (),
    }


def _changes(given: Mapping[str, Any], reset: Sequence[str]) -> dict[str, Any]:
    """Return the options that are set and those that are reset. Raises ``UsageFault`` for an option that is both."""
    changes = spec_changes(given)
    defaults = defaults_of(click.get_current_context(), reset)
    if both := sorted(changes.keys() & defaults.keys()):
        raise UsageFault(
            f"an option is both set and reset ({both[0].replace('_', ' ')})",
            hint="an option that is set replaces the value on record: omit --reset",
        )
    return changes | defaults
