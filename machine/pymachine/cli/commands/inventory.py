"""``init`` and ``inventory schema``, ``check``, ``export``, ``import``: the file that describes a fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.inventory_files import DEFAULT_FILES, FILES, SUFFIXES, read_inventory, surroundings_of
from pymachine.cli.options import command, with_options
from pymachine.cli.output import columns, dump, dump_plain, note, say
from pymachine.errors import CheckFailed, UsageFault
from pymachine.user_path import user_path

if TYPE_CHECKING:
    from pymachine.fleet.inventory import Fleet
    from pymachine.model import Machine, SshAddress

FORMATS = ("ansible", "ssh-config", "json")
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


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def inventory(ctx: click.Context) -> None:
    """Check, describe, export and create inventories: files that describe a fleet."""
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


@command()
@click.pass_obj
def schema(app: App) -> None:
    """Print the JSON Schema of inventories, with the drivers that are installed; editors complete by it."""
    from pymachine.fleet.inventory.driver_keys import Drivers
    from pymachine.fleet.inventory.json_schema import schema_of

    dump_plain(schema_of(Drivers(surroundings_of(app))))


@command()
@FILES
@click.pass_obj
def check(app: App, files: tuple[str, ...]) -> None:
    """Say how an inventory is understood, or everything that is wrong with it.

    Compose is asked whether it can read the files of stacks. Secrets are not read, and no machine is looked at.
    """
    understood = read_inventory(app, files)
    understood.check_secrets()
    fleet = understood.fleet
    if fleet.stacks:
        _check_stacks(app, fleet)
    say(f"fleet {fleet.name}: {_count(len(fleet.machines), 'machine')}")
    if fleet.machines:
        columns(("DRIVER", "MACHINES", "MANAGERS", "WORKERS", "NOT IN THE SWARM"), _rows(fleet))
    for stack in fleet.stacks:
        say(f"stack {stack.name}: {f'on {stack.on}' if stack.on else 'on the Swarm'}")
    for event, path in fleet.hooks.items():
        say(f"hook {event}: {path}")


def _check_stacks(app: App, fleet: Fleet) -> None:
    """Raise ``CheckFailed`` for stacks whose files Compose refuses; note where it could not be asked."""
    from dataclasses import replace

    from pymachine.fleet.apply.compose import Compose
    from pymachine.fleet.plan import Unresolved, Why

    compose = Compose(app.environ, app.wiring.run)
    # A secret has no value here, which is as good as any.
    given = [replace(one, environment={k: v or "unread" for k, v in one.environment.items()}) for one in fleet.stacks]
    answers = [answer for answer in map(compose.resolve, given) if isinstance(answer, Unresolved)]
    refused = [answer for answer in answers if answer.why is Why.REFUSED]
    if refused:
        told = "\n  ".join(answer.message for answer in refused)
        raise UsageFault(told, hint=refused[0].hint or None)
    for message in dict.fromkeys(answer.message for answer in answers):
        note(f"warning: the files of stacks were not read: {message}")


@command()
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="Output format.")
@FILES
@click.pass_obj
def export(app: App, form: str, files: tuple[str, ...]) -> None:
    """Print an inventory for Ansible or ssh, or as JSON with every range expanded.

    Addresses that the inventory does not have are those of the machines on record.
    """
    from pymachine.fleet.inventory import export as fleet_export

    fleet = read_inventory(app, files).fleet
    if form == "json":
        dump(fleet_export.document(fleet))
        return
    addresses = _addresses(app, fleet)
    missing = [machine.name for machine in fleet.machines if machine.name not in addresses]
    if missing:
        note(f"note: {_count(len(missing), 'machine')} left out, without an address yet: {_some(missing)}")
    written = fleet_export.ansible if form == "ansible" else fleet_export.ssh_config
    click.echo(written(fleet, addresses), nl=False)


@command()
@with_options(ORIGINS)
@click.argument("hosts", nargs=-1, metavar="[USER@HOST[:PORT]]...")
@click.pass_obj
def import_(app: App, /, hosts: tuple[str, ...], **origin: Any) -> None:
    """Print an inventory made of hosts or of a docker-machine store; `pymachine init` writes it to a file."""
    text = _made(hosts, **origin)
    if text is None:
        raise UsageFault(
            "nothing to import", hint="give user@host[:port], --from-hosts FILE or --from-docker-machine [FOLDER]"
        )
    click.echo(text, nl=False)


import_.name = "import"
for _command in (schema, check, export, import_):
    inventory.add_command(_command)


@command()
@with_options(ORIGINS)
@click.argument("words", nargs=-1, metavar="[FILE] [USER@HOST[:PORT]]...")
@click.pass_obj
def init(app: App, /, words: tuple[str, ...], **origin: Any) -> None:
    """Write a starter inventory to FILE (pymachine.yaml by default), which must not exist yet.

    With hosts, the first of them becomes the manager of the Swarm. A FILE ends in .yaml or .yml.
    """
    named = [word for word in words if word.endswith(SUFFIXES)]
    if len(named) > 1:
        raise UsageFault(f"two files: {named[0]} and {named[1]}", hint="give one; hosts do not end in .yaml")
    path = Path(named[0] if named else DEFAULT_FILES[0])
    if path.exists():  # before anything else is read; what counts is the exclusive open
        raise _there(path)
    text = _made([word for word in words if word not in named], **origin)
    _write(path, text if text is not None else _starter(origin["fleet"]))
    say(f"{path} is written")
    say(f"  pymachine inventory check -f {path}" if str(path) not in DEFAULT_FILES else "  pymachine inventory check")


def _rows(fleet: Fleet) -> list[tuple[str, ...]]:
    counts = Counter((machine.driver, machine.swarm.role if machine.swarm else "") for machine in fleet.machines)
    drivers = dict.fromkeys(machine.driver for machine in fleet.machines)
    roles = ("manager", "worker", "")
    return [
        (driver, str(sum(counts[driver, role] for role in roles)), *(str(counts[driver, role]) for role in roles))
        for driver in drivers
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _some(names: Sequence[str], limit: int = 8) -> str:
    return ", ".join(names[:limit]) + (" …" if len(names) > limit else "")


def _addresses(app: App, fleet: Fleet) -> dict[str, SshAddress]:
    """Return where the machines are: as the inventory says, else as is on record."""
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


def _made(
    hosts: Sequence[str], *, fleet: str | None, their_store: str | None, host_lists: Sequence[str]
) -> str | None:
    """Return the inventory made of what is given, None if nothing is. Raises ``UsageFault``."""
    from pymachine.fleet.inventory import starter

    if their_store is not None and (hosts or host_lists):
        raise UsageFault("hosts and a docker-machine store cannot be combined", hint="make two inventories")
    if their_store is not None:
        return starter.from_docker_machine(_fleet_name(fleet), _configs(user_path(their_store)))
    listed = [host for name in host_lists for host in starter.hosts_of(_text(name))]
    if not hosts and not host_lists:
        return None
    return starter.from_hosts(_fleet_name(fleet), [*hosts, *listed])


def _starter(fleet: str | None) -> str:
    from pymachine.fleet.inventory.starter import starter

    return starter(_fleet_name(fleet))


def _fleet_name(given: str | None) -> str:
    """Return the name given, checked, else one made of the current folder's."""
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
    import json

    folder = store / "machines"
    if not folder.is_dir():
        raise UsageFault(
            f"{store} is not a docker-machine store: it has no folder `machines`", hint="give its folder"
        )
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*/config.json")):
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            config = {"DriverName": None, "unreadable": str(error)}
        found[path.parent.name] = config if isinstance(config, dict) else {}
    return found


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _there(path) from None
    except OSError as error:
        raise UsageFault(f"{path}: {(error.strerror or str(error)).lower()}", hint="name another file") from None


def _there(path: Path) -> CheckFailed:
    return CheckFailed(f"{path} already exists", hint="choose another file; this one is not changed")
