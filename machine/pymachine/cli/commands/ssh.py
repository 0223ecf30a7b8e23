"""``ssh``, ``scp``, ``docker``: this side's own programs, pointed at a machine. They take this process's place, so
standard input, the terminal, signals and exit codes are theirs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence

import click

from pymachine import shell
from pymachine.cli.app import App
from pymachine.cli.commands.env import environment_of, warn_of_expiry
from pymachine.cli.lookup import one, ready
from pymachine.cli.options import NAME, command, complete_names
from pymachine.errors import PymachineError, UsageFault
from pymachine.model import Machine
from pymachine.store.client_files import located

ARGUMENTS = click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENT]...")
RUN_DEADLINE = 86_400.0


@command(allow_interspersed_args=False)
@NAME
@ARGUMENTS
@click.pass_obj
def ssh(app: App, name: str | None, arguments: tuple[str, ...]) -> int | None:
    """Log in to a machine, or run a command there and return its exit code.

    The arguments are ssh's: options of ssh come first, -- ends them, and the words of the command are joined by
    blanks for the shell over there.
    """
    machine = located(app.store, one(app, name))
    config = shell.write_ssh_config(app.folder, [machine])
    if shutil.which("ssh") is None:
        return _without_ssh(app, machine, arguments)
    _become(app, config.ssh(machine.name, arguments), app.environ)
    return None


@command()
@click.option("-r", "--recursive", is_flag=True, help="Copy folders recursively.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show progress.")
@click.option("-p", "--preserve", is_flag=True, help="Preserve times and modes.")
@click.argument("places", nargs=-1, metavar="FROM... TO", shell_complete=complete_names)
@click.pass_obj
def scp(app: App, /, places: tuple[str, ...], **flags: bool) -> None:
    """Copy files to and from machines: NAME:PATH is remote, PATH or localhost:PATH is local."""
    if len(places) < 2:
        raise UsageFault(
            "scp needs a source and a destination", hint="pymachine scp FROM... TO, with NAME:PATH for a machine"
        )
    ends = [shell.parse_place(place) for place in places]
    names = list(dict.fromkeys(end.machine for end in ends if end.machine is not None))
    if not names:
        raise UsageFault("scp needs a machine at one end", hint="write NAME:PATH for a path on a machine")
    machines = {name: located(app.store, one(app, name)) for name in names}
    ends = [shell.CopyEnd(end.path, machines[end.machine].name, end.user) if end.machine else end for end in ends]
    config = shell.write_ssh_config(app.folder, list({m.name: m for m in machines.values()}.values()))
    letters = {"recursive": "-r", "quiet": "-q", "preserve": "-p"}
    words = shell.scp_words(config, [letter for flag, letter in letters.items() if flags[flag]], ends)
    _become(app, words, app.environ)


@command(allow_interspersed_args=False)
@NAME
@ARGUMENTS
@click.pass_obj
def docker(app: App, name: str | None, arguments: tuple[str, ...]) -> None:
    """Run this computer's docker client against a machine: pymachine docker NAME ps."""
    machine = ready(app, name)
    rest = arguments[1:] if arguments[:1] == ("--",) else arguments
    warn_of_expiry(app, machine)
    assert machine.endpoint is not None
    environ = shell.docker_environ(app.environ, environment_of(app, machine), host=machine.endpoint.host)
    _become(app, ["docker", *rest], environ)


_INSTALL = {
    "ssh": "install OpenSSH's client (openssh-client or openssh-clients)",
    "scp": "install OpenSSH's client (openssh-client or openssh-clients)",
    "docker": "install the docker client (docker-ce-cli, docker-cli or docker.io)",
}


def _become(app: App, words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Replace this process by a program. Raises ``PymachineError`` if it is not installed."""
    app.close()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        app.wiring.replace(words[0], list(words), environ)
    except FileNotFoundError:
        raise PymachineError(f"there is no {words[0]} on this computer", hint=_INSTALL[words[0]]) from None


def _without_ssh(app: App, machine: Machine, arguments: Sequence[str]) -> int:
    """Run a command over our own connection. Its output comes at its end; there is no terminal over there."""
    from pymachine.transport import Command

    words = list(arguments[1:] if arguments[:1] == ("--",) else arguments)
    if not words or words[0].startswith("-"):
        raise PymachineError(
            "ssh is not installed on this computer; only commands work without it", hint=_INSTALL["ssh"]
        )
    assert machine.ssh is not None
    notice = app.reporter.notice
    with app.tools.connect(
        machine.ssh, asker=app.asker, notice=lambda text: notice(machine.name, text), deadline=shell.CONNECT_DEADLINE
    ) as transport:
        given = b"" if os.isatty(0) else sys.stdin.buffer.read()
        result = transport.run(Command.script(" ".join(words)), stdin=given, deadline=RUN_DEADLINE)
    sys.stdout.buffer.write(result.stdout)
    sys.stderr.buffer.write(result.stderr)
    return result.exit_code
