"""``env``, ``config``, ``url``, ``ip``: how to reach a machine. From the store alone, unless asked to check.

Their plain forms are answered by ``cli.quick``, with the same functions.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from pymachine import proxies
from pymachine.cli import client_env, shells
from pymachine.cli.app import App
from pymachine.cli.lookup import existing, one, ready
from pymachine.cli.options import JSON, NAME, NAMES, command
from pymachine.cli.output import dump, dump_plain, note, say
from pymachine.documents import to_document
from pymachine.errors import PymachineError, UsageFault
from pymachine.model import Machine
from pymachine.store.client_files import materialised

CHECK_DEADLINE = 20.0
CHECK = click.option("--check", is_flag=True, help="Ask the engine over TLS first, and fail if it does not answer.")


@command()
@click.option(
    "--shell", metavar="SHELL", help="bash, zsh, sh, fish, powershell, cmd, tcsh, emacs.  [default: detected]"
)
@click.option("-u", "--unset", is_flag=True, help="Print commands that unset the variables.")
@click.option("--no-proxy", is_flag=True, help="Add the machine to NO_PROXY; with -u, take it out.")
@CHECK
@JSON
@NAME
@click.pass_obj
def env(app: App, /, name: str | None, shell: str | None, unset: bool, **given: bool) -> None:
    """Print the environment for using a machine with the docker client.

    For eval: eval "$(pymachine env NAME)"
    """
    kind = _shell(app, shell)
    if unset and name is not None:
        raise UsageFault(
            "env -u accepts no machine name", hint="`pymachine env -u` unsets the variables of any machine"
        )
    values = _former(app, given["no_proxy"]) if unset else _values(app, name, given)
    if given["as_json"]:
        dump_plain(dict(values))
        return
    try:
        click.echo(shells.text(kind, values, _again(app, name, shell, unset, given["no_proxy"])), nl=False)
    except ValueError as error:
        raise PymachineError(str(error), hint="choose a storage path without line breaks") from None


@command()
@CHECK
@JSON
@NAME
@click.pass_obj
def config(app: App, name: str | None, check: bool, as_json: bool) -> None:
    """Print the docker client's options: docker $(pymachine config NAME) ps."""
    machine = _checked(app, ready(app, name), check)
    certificates = _certificates(app, machine)
    warn_of_expiry(app, machine)
    if as_json:
        dump(client_env.config_words(_document(machine), certificates))
        return
    if client_env.has_blank(certificates):
        note(f"note: {certificates} has blanks, which $(…) splits: use `pymachine docker {machine.name}` instead")
    click.echo(client_env.config_text(_document(machine), certificates), nl=False)


@command()
@JSON
@NAME
@click.pass_obj
def url(app: App, name: str | None, as_json: bool) -> None:
    """Print the address of a machine's engine, for DOCKER_HOST."""
    machine = ready(app, name)
    found = client_env.url_of(_document(machine))
    dump({"name": machine.name, "url": found}) if as_json else say(found)


@command()
@JSON
@NAMES
@click.pass_obj
def ip(app: App, names: tuple[str, ...], as_json: bool) -> None:
    """Print the addresses of machines, one per line."""
    found = {name: client_env.address_of(_document(one(app, name))) for name in existing(app, names)}
    unknown = [name for name, address in found.items() if not address]
    if unknown:
        raise PymachineError(
            f"no address is known of {', '.join(unknown)}", hint="its create did not get that far: run it again"
        )
    if as_json:
        dump_plain(found)
        return
    for address in found.values():
        say(address)


def environment_of(app: App, machine: Machine) -> client_env.Values:
    """Return the docker client's variables for a machine, its files restored where they are gone."""
    return client_env.variables(_document(machine), _certificates(app, machine))


def warn_of_expiry(app: App, machine: Machine) -> None:
    """Say that engine and docker client will refuse each other, for which the client has words of its own alone."""
    now = app.wiring.now()
    if client_env.has_expired(_document(machine), now):
        note(f"warning: {_first_end(machine)}: `pymachine provision {machine.name}` renews it")
        return
    folder = _certificates(app, machine)
    for fault in client_env.file_faults(folder, machine.name, now) if folder else ():
        note(f"warning: {fault}: {_mend(machine, now)}")


def _first_end(machine: Machine) -> str:
    found = machine.certificates
    assert found is not None
    ends = {"client": found.client_expires, "ca": found.ca_expires, "server": found.server_expires}
    end, part = min((end, part) for part, end in ends.items() if end)
    return f"the {client_env.PARTS[part]} of {machine.name} expired on {end[:10]}"


def _mend(machine: Machine, now: float) -> str:
    """Say what to do about dates that are not on record: other files of the engine's, or a clock that is right."""
    if machine.certificates is not None:
        return f"this computer's clock says {time.strftime('%Y-%m-%d %H:%M', time.gmtime(now))} UTC: check it"
    return f"`pymachine rm {machine.name}`, then create it again with files that its engine accepts now"


def _values(app: App, name: str | None, given: Mapping[str, bool]) -> client_env.Values:
    machine = _checked(app, ready(app, name), given["check"])
    values = environment_of(app, machine)
    warn_of_expiry(app, machine)
    if given["no_proxy"]:
        values += proxies.no_proxy(client_env.host_of(_document(machine)), app.environ)
    return values


def _former(app: App, no_proxy: bool) -> client_env.Values:
    """Return what takes the variables back; DOCKER_CONTEXT is not ours to restore."""
    values: client_env.Values = [(name, None) for name in client_env.VARIABLES]
    host = _host_in(app.environ.get("DOCKER_HOST", ""))
    return values + (proxies.no_proxy(host, app.environ, remove=True) if no_proxy else [])


def _host_in(docker_host: str) -> str:
    from urllib.parse import urlsplit

    try:
        return urlsplit(docker_host).hostname or ""
    except ValueError:
        return ""


def _shell(app: App, wanted: str | None) -> str:
    shell = wanted or shells.detect(app.environ)
    if shell not in shells.NAMES:
        raise UsageFault(f"no such shell: {shell}", hint="use one of: " + ", ".join(shells.NAMES))
    return shell


def _again(app: App, name: str | None, shell: str | None, unset: bool, no_proxy: bool) -> list[str]:
    """Return the command line that printed this."""
    options = ({"-u": ""} if unset else {}) | ({"--shell": shell} if shell else {})
    options |= {"--no-proxy": ""} if no_proxy else {}
    storage = ["-s", app.storage] if app.storage else []
    start = client_env.program(app.environ, sys.argv[0], sys.executable)
    return [*start, *storage, "env", *client_env.repeated(options), *([] if name is None else [name])]


def _certificates(app: App, machine: Machine) -> str:
    return str(materialised(app.store, machine.name) or "")


def _checked(app: App, machine: Machine, check: bool) -> Machine:
    if check:
        assert machine.endpoint is not None
        app.ask_engine(machine.endpoint, materialised(app.store, machine.name), deadline=CHECK_DEADLINE)
    return machine


def _document(machine: Machine) -> Mapping[str, Any]:
    document: Mapping[str, Any] = to_document(machine)
    return document
