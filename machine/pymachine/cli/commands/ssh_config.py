"""``ssh-config``: entries for the user's SSH configuration, printed or kept in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from pymachine.cli.app import App
from pymachine.cli.login import with_login
from pymachine.cli.lookup import existing, known_names
from pymachine.cli.options import NAMES, command
from pymachine.cli.output import counted, note
from pymachine.errors import CheckFailed, NotSupported, PymachineError, SeveralFailed, UsageFault
from pymachine.model import Machine, Phase
from pymachine.parallel import spread
from pymachine.ssh_entries import USERS_FILE, Marks, configured_by_user, entry, with_section, without_section
from pymachine.store import readable
from pymachine.user_files import read_user_file, replace_user_file
from pymachine.user_path import user_path

WIDTH = 16
USERS = f"~/{USERS_FILE}"


@command()
@NAMES
@click.option(
    "--write", "file", is_flag=False, flag_value=USERS, metavar="[FILE]",
    help=f"Keep the entries in a section of FILE, {USERS} by default.",
)  # fmt: skip
@click.option("--remove", is_flag=True, help="Remove the section from that file.")
@click.pass_obj
def ssh_config(app: App, names: tuple[str, ...], file: str | None, remove: bool) -> None:
    """Print entries by which ssh, scp, rsync and editors reach machines, or keep them in a file.

    Each machine gets an entry under its name; without names, each machine that has a host. The section of the file is
    replaced as a whole, and nothing else in it changes.

    \b
    Examples:
      pymachine ssh-config --write && rsync -a site/ web1:/srv/site/
      pymachine ssh-config web1 > web1.conf && ssh -F web1.conf web1
    """
    marks = Marks(app.store.identity, app.folder)
    place = user_path(_checked(app, file) or USERS)
    if remove:
        if names:
            raise UsageFault("--remove removes the whole section, so it takes no names")
        _remove(place, marks)
        return
    entries, failures = _entries(app, _wanted(app, names), marks)
    if file is None:
        click.echo("\n".join(entries.values()), nl=False)
    elif entries or not failures:
        read = read_user_file(place)
        content = with_section(read.content, "".join(entries.values()), marks, place)
        if content != read.content:
            replace_user_file(read, content)
        note(f"{place}: {counted(len(entries), 'machine')}")
    if failures:
        raise next(iter(failures.values())) if len(failures) == len(names) == 1 else SeveralFailed(failures)


def _checked(app: App, file: str | None) -> str | None:
    """Refuse the name of a machine where the path of a file can stand."""
    if file is not None and "/" not in file and not Path(file).exists() and file in known_names(app.store):
        raise UsageFault(
            f"--write {file}: this is the name of a machine",
            hint=f"write the names first: pymachine ssh-config {file} --write; a file of this name is ./{file}",
        )
    return file


def _remove(place: Path, marks: Marks) -> None:
    read = read_user_file(place)
    content = without_section(read.content, marks, place)
    if content == read.content:
        note(f"{place} has no section of this store")
    else:
        replace_user_file(read, content)


def _wanted(app: App, names: Sequence[str]) -> list[Machine]:
    if names:
        return [app.store.get(name) for name in existing(app, names)]
    return [machine for machine in readable(app.store) if machine.ssh is not None and machine.phase is Phase.READY]


def _entries(
    app: App, machines: Sequence[Machine], marks: Marks
) -> tuple[Mapping[str, str], dict[str, PymachineError]]:
    """Return the entries by machine, and why others have none."""
    entries: dict[str, str] = {}
    failures: dict[str, PymachineError] = {}
    taken = _aliases(readable(app.store))
    users = Path.home() / USERS_FILE
    theirs = without_section(read_user_file(users).content, marks, users)

    def made(machine: Machine) -> str:
        _refuse_alias(machine, taken)
        return _entry(app, machine, theirs)

    for machine, answer in spread(machines, made, WIDTH):
        if isinstance(answer, PymachineError):
            failures[machine.name] = answer
        else:
            entries[machine.name] = answer
    return {each.name: entries[each.name] for each in machines if each.name in entries}, failures


def _entry(app: App, machine: Machine, theirs: bytes) -> str:
    if machine.ssh is None:
        raise NotSupported(
            f"machine {machine.name} (driver {machine.driver}) has no host to log in to",
            hint="only the address of its engine is on record",
        )
    ready = with_login(app, machine)
    assert ready.ssh is not None
    configured = configured_by_user([machine.name], ready.ssh, theirs)
    own = configured[machine.name].host
    if own.lower() not in (machine.name.lower(), configured[ready.ssh.host].host.lower()):
        note(f"note: {machine.name} is {own} in your SSH configuration; the machine's entry counts instead")
    return entry(app.folder, ready, configured[ready.ssh.host])


def _aliases(machines: Sequence[Machine]) -> Mapping[str, str]:
    """Return which machine is reached under a word that may be an entry of the user's configuration."""
    return {machine.ssh.host.lower(): machine.name for machine in machines if machine.ssh is not None}


def _refuse_alias(machine: Machine, taken: Mapping[str, str]) -> None:
    other = taken.get(machine.name.lower(), machine.name)
    if other != machine.name and (machine.ssh is None or machine.ssh.host.lower() != machine.name.lower()):
        raise CheckFailed(
            f"machine {other} is reached as {machine.name!r}, so machine {machine.name} cannot have this entry",
            hint=f"name the other machines: pymachine ssh-config {other}",
        )
