"""``inventory export``: print an inventory for Ansible or ssh, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pymachine.cli.app import App
from pymachine.cli.inventory_files import FILES, read_inventory
from pymachine.cli.options import command
from pymachine.cli.output import counted, dump, note

if TYPE_CHECKING:
    from pymachine.fleet.inventory import Fleet
    from pymachine.model import Machine, SshAddress

FORMATS = ("ansible", "ssh-config", "json")


@command()
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="Output format.")
@FILES
@click.pass_obj
def export(app: App, form: str, files: tuple[str, ...]) -> None:
    """Print an inventory for Ansible or ssh, or as JSON with every range expanded.

    Addresses that are not in the inventory come from the machines on record.
    """
    from pymachine.fleet.inventory import export as fleet_export

    fleet = read_inventory(app, files).fleet
    if form == "json":
        dump(fleet_export.document(fleet))
        return
    addresses = _addresses(app, fleet)
    missing = [machine.name for machine in fleet.machines if machine.name not in addresses]
    if missing:
        note(f"note: {counted(len(missing), 'machine')} left out, without an address yet: {_some(missing)}")
    written = fleet_export.ansible if form == "ansible" else fleet_export.ssh_config
    click.echo(written(fleet, addresses), nl=False)


def _some(names: Sequence[str], limit: int = 8) -> str:
    return ", ".join(names[:limit]) + (" …" if len(names) > limit else "")


def _addresses(app: App, fleet: Fleet) -> dict[str, SshAddress]:
    """Return the addresses of the machines, from the inventory, else from the records."""
    from pymachine.fleet.inventory.export import declared

    declarations = {machine.name: declared(machine) for machine in fleet.machines}
    records = _records(app, fleet) if None in declarations.values() else {}
    found = {name: address or _recorded(app, records.get(name.lower())) for name, address in declarations.items()}
    return {name: address for name, address in found.items() if address is not None}


def _records(app: App, fleet: Fleet) -> Mapping[str, Machine]:
    from pymachine.store import readable

    ours = ("", fleet.name)
    return {record.name.lower(): record for record in readable(app.store) if record.fleet in ours}


def _recorded(app: App, record: Machine | None) -> SshAddress | None:
    if record is None or record.ssh is None:
        return None
    from dataclasses import replace

    key = record.ssh.key_path
    if key is None or Path(key).is_absolute():
        return record.ssh
    return replace(record.ssh, key_path=str(app.store.client_folder(record.name) / key))
