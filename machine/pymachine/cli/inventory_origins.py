"""Inventories made from hosts or a docker-machine store, for ``init`` and ``inventory import``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pymachine.errors import UsageFault
from pymachine.user_path import user_path

THEIR_STORE = "~/.docker/machine"
ORIGINS = (
    click.option("--fleet", metavar="NAME", help="Name of the fleet.  [default: the current folder's]"),
    click.option(
        "--from-docker-machine", "their_store", is_flag=False, flag_value=THEIR_STORE, metavar="[FOLDER]",
        help=f"Import the machines of a docker-machine store.  [default: {THEIR_STORE}]",
    ),
    click.option(
        "--from-hosts", "host_lists", multiple=True, metavar="FILE",
        help="Import the hosts listed in a file, one user@host[:port] per line; - reads standard input.",
    ),
)  # fmt: skip


def made_of(
    hosts: Sequence[str], *, fleet: str | None, their_store: str | None, host_lists: Sequence[str]
) -> str | None:
    """Return the inventory made from what is given, None if nothing is. Raises ``UsageFault``."""
    from pymachine.fleet.inventory import starter

    if their_store is not None and (hosts or host_lists):
        raise UsageFault("hosts and a docker-machine store cannot be combined", hint="make two inventories")
    if their_store is not None:
        return starter.from_docker_machine(fleet_name(fleet), _configs(user_path(their_store)))
    listed = [host for name in host_lists for host in starter.hosts_of(_text(name))]
    if not hosts and not host_lists:
        return None
    return starter.from_hosts(fleet_name(fleet), [*hosts, *listed])


def fleet_name(given: str | None) -> str:
    """Return the given name, checked, else one derived from the current folder's."""
    import re

    from pymachine.fleet.inventory.keys import check_fleet

    if given is not None:
        return check_fleet(given)
    return re.sub(r"[^A-Za-z0-9]+", "-", Path.cwd().name)[:63].strip("-") or "fleet"


def _text(name: str) -> str:
    from pymachine.cli.inventory_files import sources_of

    return sources_of([name])[0].text


def _configs(store: Path) -> dict[str, Any]:
    """Return the contents of each machine's config.json in a docker-machine store. Raises ``UsageFault``."""
    from pymachine.docker_machine.files import config_of, open_folder
    from pymachine.strict_json import parse_json

    files = open_folder(store)
    found: dict[str, Any] = {}
    for name in files.machines():
        try:
            data = config_of(files, name)
            config = parse_json(data) if data is not None else None
        except (OSError, ValueError) as error:
            config = {"DriverName": None, "unreadable": str(error)}
        if config is not None:
            found[name] = config if isinstance(config, dict) else {}
    return found
