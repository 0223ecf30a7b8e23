"""``attach``: take a host that was set up from another computer into this store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.options import DRY_RUN, JSON, NO_DRAIN, YES, command
from pymachine.cli.output import dump, note, say
from pymachine.errors import UsageFault

if TYPE_CHECKING:
    from pymachine.steps.preview import Preview


@command()
@click.argument("host", metavar="USER@HOST")
@click.argument("name", required=False)
@click.option("--ssh-port", type=int, metavar="PORT", help="Port of its SSH server.")
@click.option("--ssh-key", metavar="FILE", help="Private key file to log in with.")
@click.option("--ssh-jump", metavar="[USER@]HOST[:PORT]", help="Jump hosts to connect through.")
@click.option("--ssh-host-key", metavar="KEY", help="Expected host key: SHA256:…")
@NO_DRAIN
@DRY_RUN
@YES
@JSON
@click.pass_obj
def attach(app: App, /, host: str, name: str | None, dry_run: bool, **given: Any) -> None:
    """Take a host that was set up from another computer into this store as well.

    The host was set up by pymachine or docker-machine. An authority of this store is appended to those whose clients
    its engine accepts, and the engine restarts once; the clients of the other computer keep their access.

    \b
    Examples:
      pymachine attach root@192.0.2.7 --dry-run
      pymachine attach ann@web1.example.org web1 -y
    """
    from pymachine import attach as verbs
    from pymachine.cli.plan_output import next_line, ready_line, show_plans
    from pymachine.redaction import machine_document

    tools, began = app.tools, app.wiring.now()
    request = verbs.AttachRequest(_options(app, host, given), name or "", given["no_drain"])
    if dry_run:
        preview = verbs.preview_attach(request, tools)
        app.settle()
        show_plans([preview], as_json=given["as_json"])
        return
    machine = verbs.attach(request, tools, lambda preview: given["yes"] or _agreed(app, preview))
    app.settle()
    if machine is not None and given["as_json"]:
        dump(machine_document(machine))
    elif machine is not None:
        say(ready_line(machine, app.wiring.now() - began))
        say(next_line(app, machine))


def _options(app: App, host: str, given: dict[str, Any]) -> Any:
    """Return the options of the ssh driver. Raises ``UsageFault``."""
    user, at, place = host.rpartition("@")
    if at and not user:
        raise UsageFault(
            f"{host!r} has no user", hint="write USER@HOST, or HOST if your SSH configuration has the user"
        )
    ways = {key: given[key] for key in ("ssh_port", "ssh_key", "ssh_jump", "ssh_host_key")}
    return app.tools.load_driver("ssh").options(ssh_host=place, ssh_user=user or None, **ways)


def _agreed(app: App, preview: Preview) -> bool:
    for change in preview.changes:
        note(f"{change.what}: {change.reason}")
    for announcement in preview.announcements:
        note(f"note: {announcement}")
    return app.asker.confirm(
        f"Attach {preview.machine.name}, and restart its engine?", instead="use -y to attach without confirmation"
    )
