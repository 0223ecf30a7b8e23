"""``import``: machines of an export or of a docker-machine store become machines of this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.inventory_origins import THEIR_STORE
from pymachine.cli.options import DRY_RUN, JSON, YES, command
from pymachine.cli.output import columns, dump, note, say
from pymachine.cli.passphrase import PASSPHRASE_FILE
from pymachine.errors import CheckFailed, DriverMissing, PymachineError, SeveralFailed, UsageFault
from pymachine.user_path import user_path

if TYPE_CHECKING:
    from pymachine.docker_machine.takeover import LeftOut, Takeover
    from pymachine.driver import Driver

SOURCE = "docker-machine"
VARIABLE = "MACHINE_STORAGE_PATH"
HEADERS = ("NAME", "DRIVER", "BECOMES", "URL", "NOTES")
USAGE = f"pymachine import FILE, or pymachine import {SOURCE} [PATH] [NAME]..."


@command()
@click.argument("source", required=False, metavar=f"{SOURCE}|FILE")
@click.argument("words", nargs=-1, metavar="[PATH] [NAME]...")
@click.option(
    "--rename", "renames", multiple=True, metavar="OLD=NEW", help="Import a machine of FILE under another name."
)
@click.option("--identity", metavar="FILE", help="age identity or private SSH key that FILE was encrypted for.")
@PASSPHRASE_FILE
@DRY_RUN
@YES
@JSON
@click.pass_obj
def import_(app: App, /, source: str | None, words: tuple[str, ...], **given: Any) -> None:
    """Import machines of an export, or of a docker-machine store.

    FILE is what `pymachine export` wrote. All of it is checked before anything is written.

    PATH is the folder of a docker-machine store, or a zip of machine-share; ~/.docker/machine unless
    MACHINE_STORAGE_PATH names another. All machines are imported unless names are given. Certificates and keys are
    copied: the machines answer at once, and neither their hosts nor the other store are touched. A machine that
    cannot be imported is listed with the reason.

    \b
    Examples:
      pymachine import fleet.pymachine --rename web1=their-web1
      pymachine import docker-machine ~/old/.docker/machine --dry-run
    """
    if source is None:
        raise UsageFault("what to import is not given", hint=USAGE)
    if source == SOURCE:
        _import_store(app, words, given)
        return
    from pymachine.cli.import_file import import_file

    if words:
        raise UsageFault(f"{source} is imported as a whole, so it takes no names", hint=USAGE)
    import_file(app, source, _drivers(app), given)


def _import_store(app: App, words: Sequence[str], given: Mapping[str, Any]) -> None:
    from pymachine.docker_machine.files import open_store
    from pymachine.docker_machine.takeover import take_over

    if given["renames"] or given["identity"] or given["passphrase_file"]:
        raise UsageFault(f"--rename, --identity and --passphrase-file are for a FILE, not for {SOURCE}", hint=USAGE)
    path, names = _path_and_names(app, words)
    files = open_store(path)
    wanted = _wanted(files.machines(), names, files.place)
    found = take_over(wanted, files, _drivers(app), app.store, app.wiring.now())
    _conclude(app, found, named=bool(names), dry_run=given["dry_run"], yes=given["yes"], as_json=given["as_json"])


def _path_and_names(app: App, words: Sequence[str]) -> tuple[Path, Sequence[str]]:
    """Tell a path from a name: it has a slash or a dot in front, or ends in .zip."""
    if words and ("/" in words[0] or words[0].startswith((".", "~")) or words[0].endswith(".zip")):
        return user_path(words[0]), words[1:]
    from pymachine.docker_machine.files import MACHINES

    named = app.environ.get(VARIABLE)
    return Path(named) if named and (Path(named) / MACHINES).is_dir() else user_path(THEIR_STORE), words


def _wanted(there: Sequence[str], names: Sequence[str], place: str) -> Sequence[str]:
    missing = [name for name in names if name not in there]
    if missing:
        raise UsageFault(f"{place} has no machine {missing[0]}", hint="it has: " + (", ".join(there) or "none"))
    if not there:
        raise CheckFailed(f"{place} has no machines")
    return list(dict.fromkeys(names)) or there


def _drivers(app: App) -> dict[str, Driver]:
    """Return the drivers that can be loaded; one whose package is not installed takes nothing over."""
    from pymachine.registry import names

    found: dict[str, Driver] = {}
    for name in names():
        try:
            found[name] = app.tools.driver(name)
        except DriverMissing as error:
            note(f"note: {error.message}")
    return found


def _conclude(
    app: App, found: Sequence[Takeover | LeftOut], *, named: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    from pymachine.docker_machine.takeover import LeftOut, keep

    taken = [one for one in found if not isinstance(one, LeftOut)]
    left = [one for one in found if isinstance(one, LeftOut)]
    if as_json and (dry_run or not taken):
        dump([*map(_document, taken), *map(_reason, left)])
    elif not as_json:
        columns(HEADERS, [_cells(one) for one in taken])
        for skipped in left:
            note(f"skipped {skipped.name}: {skipped.reason}")
    if not taken:
        raise CheckFailed("no machine can be imported", hint="the reason for each is above")
    if not dry_run and (yes or _agreed(app, taken)):
        for one in taken:
            keep(one, app.store)
        _tell(taken, left, as_json=as_json)
    if named and left:
        raise SeveralFailed({one.name: PymachineError(one.reason) for one in left})


def _agreed(app: App, taken: Sequence[Takeover]) -> bool:
    what = taken[0].machine.name if len(taken) == 1 else f"these {len(taken)} machines"
    return app.asker.confirm(f"Import {what}?", instead="use -y to import without confirmation")


def _tell(taken: Sequence[Takeover], left: Sequence[LeftOut], *, as_json: bool) -> None:
    if as_json:
        dump([*map(_document, taken), *map(_reason, left)])
        return
    say(f"{len(taken)} imported, {len(left)} skipped")
    authorities = [one.machine.certificates.ca for one in taken if one.machine.certificates]
    if len(set(authorities)) < len(authorities):
        say("they share an authority: the client certificate of one opens all of them")
        say(f"  pymachine provision --new-certificates {taken[0].machine.name}   # an authority of its own")
    say(f'  eval "$(pymachine env {taken[0].machine.name})"')


def _cells(one: Takeover) -> tuple[str, ...]:
    url = one.machine.endpoint.url if one.machine.endpoint else ""
    return one.machine.name, one.before, one.machine.driver, url, "; ".join(one.notes)


def _document(one: Takeover) -> dict[str, Any]:
    machine = one.machine
    return {
        "name": machine.name, "was": one.before, "driver": machine.driver,
        "url": machine.endpoint.url if machine.endpoint else None, "notes": list(one.notes),
    }  # fmt: skip


def _reason(one: LeftOut) -> dict[str, Any]:
    return {"name": one.name, "skipped": one.reason}
