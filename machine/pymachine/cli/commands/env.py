"""``env``: print the environment for using a machine with the docker client."""

from __future__ import annotations

from collections.abc import Mapping

import click

from pymachine import proxies
from pymachine.cli import client_env, shells
from pymachine.cli.app import App
from pymachine.cli.docker_client import CHECK, checked, document_of, environment_of, warn_of_expiry
from pymachine.cli.lookup import ready
from pymachine.cli.options import JSON, NAME, command
from pymachine.cli.output import dump_plain
from pymachine.errors import PymachineError, UsageFault


@command()
@click.option(
    "--shell", metavar="SHELL", help="bash, zsh, sh, fish, powershell, cmd, tcsh, emacs.  [default: detected]"
)
@click.option("-u", "--unset", is_flag=True, help="Print commands that unset the variables.")
@click.option("--no-proxy", is_flag=True, help="Add the machine to NO_PROXY; with -u, remove it.")
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


def _values(app: App, name: str | None, given: Mapping[str, bool]) -> client_env.Values:
    machine = checked(app, ready(app, name), given["check"])
    values = environment_of(app, machine)
    warn_of_expiry(app, machine)
    if given["no_proxy"]:
        values += proxies.no_proxy(client_env.host_of(document_of(machine)), app.environ)
    return values


def _former(app: App, no_proxy: bool) -> client_env.Values:
    """Return the commands that unset the variables; DOCKER_CONTEXT cannot be restored."""
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
        raise UsageFault(f"{shell} is not a supported shell", hint="use one of: " + ", ".join(shells.NAMES))
    return shell


def _again(app: App, name: str | None, shell: str | None, unset: bool, no_proxy: bool) -> list[str]:
    """Return the command line that produced this output."""
    options = ({"-u": ""} if unset else {}) | ({"--shell": shell} if shell else {})
    options |= {"--no-proxy": ""} if no_proxy else {}
    storage = ["-s", app.storage] if app.storage else []
    return [*app.start_words(), *storage, "env", *client_env.repeated(options), *([] if name is None else [name])]
