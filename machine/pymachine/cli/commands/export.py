"""``export``: write a file that gives another person or computer access to machines."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.login import with_login
from pymachine.cli.lookup import existing
from pymachine.cli.options import JSON, command, complete_names
from pymachine.cli.output import dump, note
from pymachine.cli.passphrase import PASSPHRASE_FILE, new_passphrase
from pymachine.docker_contexts.client import DockerContext, context_archive
from pymachine.errors import PymachineError, UsageFault
from pymachine.exchange import archive, encryption
from pymachine.exchange.archive import ExportedMachine
from pymachine.exchange.export import MachineExport, until
from pymachine.model import Machine
from pymachine.user_path import user_path

STANDARD_OUTPUT = "-"
DAYS = 90
MOST_DAYS = 3650
SUFFIX = "pymachine"
CONTEXT_SUFFIX = "dockercontext"  # as docker's own export names it


@command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_names)
@click.option(
    "-o", "--output", metavar="FILE", help="File to write, - for standard output.  [default: NAME.pymachine]"
)
@click.option(
    "--days", type=click.IntRange(1, MOST_DAYS), default=DAYS, show_default=True, metavar="DAYS",
    help="Validity of the client certificate.",
)  # fmt: skip
@click.option("--login-key", is_flag=True, help="Add a new SSH login key, and authorise it on the host.")
@click.option(
    "--recipient", "recipients", multiple=True, metavar="KEY", help="Encrypt for an age1… or SSH public key."
)
@click.option("--passphrase", "ask", is_flag=True, help="Encrypt with a passphrase, which is asked for.")
@PASSPHRASE_FILE
@click.option("--docker-context", "context", is_flag=True, help="Write a file for `docker context import` instead.")
@JSON
@click.pass_obj
def export(app: App, /, names: tuple[str, ...], **given: Any) -> None:
    """Write a file that gives another person or computer access to machines.

    It has the address, a new client certificate, and the pinned host key of each machine, and no key of this store.
    `pymachine import FILE` takes it.

    \b
    Examples:
      pymachine export web1 web2 --recipient age1… -o fleet.pymachine
      pymachine export web1 --docker-context -o - | ssh ann@host docker context import web1 -
    """
    chosen = [app.store.get(name) for name in existing(app, names)]
    _check(given, chosen)
    place = _place(given, chosen)
    passphrase = new_passphrase(app, given["passphrase_file"], ask=given["ask"])
    machines = [_pinned(app, machine, given) for machine in chosen]
    work = MachineExport(app.tools, timedelta(days=given["days"]), given["login_key"])
    with work.machines(machines) as exported:
        _write(place, _content(app, exported, given, passphrase))
    app.settle()
    _tell(exported, place, given, is_encrypted=bool(passphrase or given["recipients"]))


def _check(given: dict[str, Any], chosen: Sequence[Machine]) -> None:
    """Refuse options that exclude each other."""
    ways = [flag for flag in ("recipients", "ask", "passphrase_file") if given[flag]]
    if len(ways) > 1:
        raise UsageFault("an export is encrypted in one way: --recipient, --passphrase or --passphrase-file")
    if given["context"] and (ways or given["login_key"]):
        raise UsageFault("--docker-context: docker reads neither encrypted files nor SSH keys")
    if given["context"] and len(chosen) != 1:
        raise UsageFault("--docker-context takes one machine: a file has one context")


def _place(given: dict[str, Any], chosen: Sequence[Machine]) -> Path | None:
    """Return the file to write, None for standard output. Raises ``UsageFault`` for one that exists."""
    if given["output"] == STANDARD_OUTPUT:
        if sys.stdout.isatty():
            raise UsageFault("-o -: standard output is a terminal", hint="name a file, or redirect the output")
        if given["as_json"]:
            raise UsageFault("-o - and --json both write to standard output")
        return None
    stem = chosen[0].name if len(chosen) == 1 else "machines"
    path = user_path(given["output"] or f"{stem}.{CONTEXT_SUFFIX if given['context'] else SUFFIX}")
    if path.exists() or path.is_symlink():
        raise UsageFault(f"{path} already exists", hint="name another file with -o, or remove it")
    return path


def _pinned(app: App, machine: Machine, given: dict[str, Any]) -> Machine:
    """Meet a host that was never reached, so that its key goes into the export. Only a login needs it."""
    if given["context"] or machine.ssh is None or machine.ssh.host_key is not None:
        return machine
    with_login(app, machine)
    return app.store.get(machine.name)


def _content(app: App, exported: Sequence[ExportedMachine], given: dict[str, Any], passphrase: str | None) -> bytes:
    if given["context"]:
        one = exported[0]
        context = DockerContext(one.name, one.endpoint.url, mark=None)
        return context_archive(context, f"pymachine: {one.name}", one.files)
    now = datetime.fromtimestamp(app.wiring.now(), UTC).isoformat(timespec="seconds")
    data = archive.pack(exported, now)
    if given["recipients"]:
        return encryption.encrypted_for(given["recipients"], data)
    return data if passphrase is None else encryption.encrypted_with(passphrase, data)


def _write(place: Path | None, content: bytes) -> None:
    """Write a new file that only this account can read."""
    if place is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        descriptor = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            place.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PymachineError(f"{place} cannot be written: {(error.strerror or str(error)).lower()}") from None


def _tell(
    exported: Sequence[ExportedMachine], place: Path | None, given: dict[str, Any], *, is_encrypted: bool
) -> None:
    if given["as_json"]:
        dump([_document(one, place, given) for one in exported])
        return
    for one in exported:
        end = until(dict(one.files))
        note(f"{one.name}: " + (f"client certificate until {end[:10]}" if end else "its engine has no certificates"))
    if place is not None:
        note(f"wrote {place}")
    if not is_encrypted:
        note("note: it is not encrypted, and everybody who has it is root on these hosts")


def _document(one: ExportedMachine, place: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": one.name, "file": str(place), "until": until(dict(one.files)) or None,
        "login": one.login is not None, "login_key": given["login_key"],
    }  # fmt: skip
