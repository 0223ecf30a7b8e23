"""A machine as the programs of this computer log in to it: with the path of its key, and its host's key pinned."""

from __future__ import annotations

from dataclasses import replace

from pymachine import ssh_client
from pymachine.cli.app import App
from pymachine.model import Machine, Phase
from pymachine.store.client_files import located


def with_login(app: App, machine: Machine) -> Machine:
    """Return the record with the path of its SSH key.

    The host of an imported machine is met here for the first time: its key is pinned, as ``create`` pins one. Raises
    ``TransportError``.
    """
    ready = located(app.store, machine)
    if ready.ssh is None or ready.ssh.host_key is not None or ready.phase is not Phase.READY:
        return ready
    with app.tools.log_in(machine.name, ready.ssh, deadline=ssh_client.CONNECT_DEADLINE) as transport:
        seen = transport.address.host_key
    assert machine.ssh is not None
    return located(app.store, app.store.put(machine.with_(ssh=replace(machine.ssh, host_key=seen))))
