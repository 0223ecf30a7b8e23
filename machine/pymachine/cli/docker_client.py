"""What the docker client needs for a machine: variables, files, and warnings about certificates that it refuses."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from pymachine.cli import client_env
from pymachine.cli.app import App
from pymachine.cli.output import note
from pymachine.documents import to_document
from pymachine.model import Machine
from pymachine.steps.renewal import client_folder

CHECK_DEADLINE = 20.0
CHECK = click.option("--check", is_flag=True, help="Ask the engine over TLS first, and fail if it does not answer.")


def environment_of(app: App, machine: Machine) -> client_env.Values:
    """Return the docker client's variables for a machine; missing client files are restored."""
    return client_env.variables(document_of(machine), certificates_of(app, machine))


def certificates_of(app: App, machine: Machine) -> str:
    """Return the folder of the client's files, with missing ones restored.

    Empty for a machine without certificates.
    """
    return str(client_folder(machine, app) or "")


def checked(app: App, machine: Machine, check: bool) -> Machine:
    """Return the machine; with ``check``, first ask its engine and raise its errors."""
    if check:
        assert machine.endpoint is not None
        app.ask_engine(machine.endpoint, client_folder(machine, app), deadline=CHECK_DEADLINE)
    return machine


def document_of(machine: Machine) -> Mapping[str, Any]:
    """Return the record as JSON, the form that ``cli.client_env`` reads."""
    document: Mapping[str, Any] = to_document(machine)
    return document


def warn_of_expiry(app: App, machine: Machine) -> None:
    """Warn if engine and docker client will refuse each other; the client's own message is hard to understand."""
    now = app.wiring.now()
    if client_env.has_expired(document_of(machine), now):
        note(f"warning: {_first_end(machine)}: `pymachine provision {machine.name}` renews it")
        return
    folder = certificates_of(app, machine)
    for fault in client_env.file_faults(folder, machine.name, now) if folder else ():
        note(f"warning: {fault}: {_mend(machine, now)}")


def _first_end(machine: Machine) -> str:
    found = machine.certificates
    assert found is not None
    ends = {"client": found.client_expires, "ca": found.ca_expires, "server": found.server_expires}
    end, part = min((end, part) for part, end in ends.items() if end)
    return f"the {client_env.PARTS[part]} of {machine.name} expired on {end[:10]}"


def _mend(machine: Machine, now: float) -> str:
    """Return a hint for dates that are not on record: other engine files, or a correct clock."""
    if machine.certificates is not None:
        return f"this computer's clock says {time.strftime('%Y-%m-%d %H:%M', time.gmtime(now))} UTC: check it"
    return f"`pymachine rm {machine.name}`, then create it again with files that its engine accepts now"
