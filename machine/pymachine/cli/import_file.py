"""``import FILE``: machines of an export become machines of this store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pymachine.cli.app import App
from pymachine.cli.output import columns, dump, note, say
from pymachine.cli.passphrase import known_passphrase
from pymachine.driver import Driver
from pymachine.errors import UsageFault
from pymachine.exchange import encryption
from pymachine.exchange.archive import SIZE_LIMIT, unpack
from pymachine.exchange.receive import Arrival, arrivals, keep_all
from pymachine.user_files import read_user_file
from pymachine.user_path import user_path

HEADERS = ("NAME", "DRIVER", "BECOMES", "URL", "CERTIFICATE")


def import_file(app: App, source: str, drivers: Mapping[str, Driver], given: Mapping[str, Any]) -> None:
    """Check the whole file, show what it has, ask, and write all machines or none."""
    exported = unpack(_decrypted(app, _content(user_path(source)), given))
    found = arrivals(exported, _renames(given["renames"]), drivers, app.store, app.wiring.now())
    if given["as_json"]:
        confirmed = not given["dry_run"] and _confirmed(app, found, given)
        if confirmed:
            keep_all(found, app.store)
        dump([_document(one) for one in found])
        return
    columns(HEADERS, [_cells(one) for one in found])
    note("note: only import files from people you trust: your docker client and ssh will connect to these hosts")
    if not given["dry_run"] and _confirmed(app, found, given):
        keep_all(found, app.store)
        say(f"{len(found)} imported")
        say(f'  eval "$(pymachine env {found[0].machine.name})"')


def _content(path: Path) -> bytes:
    read = read_user_file(path, SIZE_LIMIT)
    if read.found is None:
        raise UsageFault(f"{path}: no such file", hint="pymachine import FILE, or pymachine import docker-machine")
    return read.content


def _decrypted(app: App, data: bytes, given: Mapping[str, Any]) -> bytes:
    if not encryption.is_encrypted(data):
        if given["identity"] or given["passphrase_file"]:
            raise UsageFault("the export is not encrypted", hint="leave --identity and --passphrase-file out")
        return data
    if given["identity"]:
        return encryption.decrypted_by(_content(user_path(given["identity"])), data)
    return encryption.decrypted_with(known_passphrase(app, given["passphrase_file"]), data)


def _renames(pairs: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not equals or not old or not new or old in found:
            raise UsageFault(f"--rename {pair!r} is not a valid pair of names", hint="write --rename OLD=NEW")
        found[old] = new
    return found


def _confirmed(app: App, found: Sequence[Arrival], given: Mapping[str, Any]) -> bool:
    what = found[0].machine.name if len(found) == 1 else f"these {len(found)} machines"
    return bool(given["yes"]) or app.asker.confirm(f"Import {what}?", instead="use -y to import without confirmation")


def _cells(one: Arrival) -> tuple[str, ...]:
    machine = one.machine
    end = f"until {machine.certificates.client_expires[:10]}" if machine.certificates else "none"
    return machine.name, one.before, machine.driver, machine.endpoint.url if machine.endpoint else "", end


def _document(one: Arrival) -> dict[str, Any]:
    machine = one.machine
    return {
        "name": machine.name, "was": one.before, "driver": machine.driver,
        "url": machine.endpoint.url if machine.endpoint else None, "notes": [],
        "until": machine.certificates.client_expires if machine.certificates else None,
    }  # fmt: skip
