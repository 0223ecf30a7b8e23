"""``fleet status``, ``fleet run``, ``fleet docker``: many machines, looked at and spoken to together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.fleet_options import FILES, LIMIT, WIDE, Opened, opened
from pymachine.cli.options import JSON, command
from pymachine.cli.output import columns, dump, note, say
from pymachine.cli.table import Layout
from pymachine.errors import PymachineError, QuorumLost, SeveralFailed, UsageFault
from pymachine.events import Reporter, looking
from pymachine.model import Machine

if TYPE_CHECKING:
    from pymachine.fleet.apply.remote_commands import CommandOutput
    from pymachine.fleet.apply.status import Overview

STATUS_DEADLINE = 10.0
MACHINES = Layout(("DRIVER", "ENGINE", "SWARM"), below="")
SERVICES = Layout(below="")
RUN_DEADLINE = 600.0
DEADLINE = click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=RUN_DEADLINE, show_default=True, metavar="SECONDS",
    help="Time limit for each machine.",
)  # fmt: skip
WORDS = click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- WORD...")


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def fleet(ctx: click.Context) -> None:
    """Show the status of an inventory's machines, and run commands on all of them."""
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


@command()
@FILES
@LIMIT
@JSON
@click.pass_obj
def status(app: App, files: tuple[str, ...], limit: tuple[str, ...], as_json: bool) -> None:
    """List the machines of a fleet: how they are, their engines, their places in the Swarm, the services there.

    Ends with 1 where the Swarm has lost its quorum.
    """
    from pymachine.documents import to_document
    from pymachine.fleet.apply.status import overview

    with opened(app, files, limit) as opened_fleet:
        found = overview(opened_fleet.work.fleet, opened_fleet.names, app.tools, STATUS_DEADLINE)
    app.settle()
    if as_json:
        dump(to_document(found))
    else:
        _show(found)
    if found.quorum_lost:
        raise QuorumLost(found.swarm, hint="`pymachine swarm status` shows which managers do not answer")


def _show(found: Overview) -> None:
    headers = ("MACHINE", "DRIVER", "STATE", "ENGINE", "SWARM", "ADDRESS", "")
    columns(
        headers,
        [(r.name, r.driver, r.state, r.engine, r.seat, r.address, r.remark) for r in found.machines],
        MACHINES,
    )
    if found.swarm:
        say(found.swarm)
    if found.services:
        columns(("SERVICE", "REPLICAS", ""), [(s.name, s.replicas, s.remark) for s in found.services], SERVICES)


@command()
@FILES
@LIMIT
@WIDE
@DEADLINE
@click.option("--root", is_flag=True, help="Run it as root.")
@JSON
@WORDS
@click.pass_obj
def run(app: App, /, files: tuple[str, ...], limit: tuple[str, ...], **given: Any) -> None:
    """Run a command on machines of a fleet over SSH: pymachine fleet run -- uptime.

    The words are joined by blanks for the shell over there, as ssh does. Machines that answer the same are shown
    together. Ends with 5 if the command failed on any of them.
    """
    from pymachine.fleet.apply.remote_commands import run_on

    line = " ".join(_words(given["words"], "fleet run -- COMMAND"))
    timeout, root = given["timeout"], given["root"]
    with opened(app, files, limit) as opened_fleet:
        machines = _reachable(opened_fleet)
        tools = opened_fleet.work.tools
        said, failures = _asked(
            machines, lambda m: run_on(m, line, tools, deadline=timeout, root=root), given, app.reporter
        )
    _told(app, said, failures, as_json=given["as_json"])


@command()
@FILES
@LIMIT
@WIDE
@DEADLINE
@JSON
@WORDS
@click.pass_obj
def docker(app: App, /, files: tuple[str, ...], limit: tuple[str, ...], **given: Any) -> None:
    """Run the docker client against machines of a fleet: pymachine fleet docker -- ps.

    Ends with 5 if it failed on any of them.
    """
    from pymachine.fleet.apply.deploy import Docker
    from pymachine.fleet.apply.remote_commands import docker_on

    words = _words(given["words"], "fleet docker -- ARGUMENTS")
    client = Docker(app.tools, app.environ, app.wiring.run)
    with opened(app, files, limit) as opened_fleet:
        machines = [m for m in _recorded(opened_fleet) if m.endpoint is not None]
        said, failures = _asked(
            machines, lambda m: docker_on(m, words, client, deadline=given["timeout"]), given, app.reporter
        )
    _told(app, said, failures, as_json=given["as_json"])


def _words(words: Sequence[str], usage: str) -> list[str]:
    if not words:
        raise UsageFault("no command given", hint=f"pymachine {usage}")
    return list(words)


def _recorded(opened_fleet: Opened) -> list[Machine]:
    """Return the records of the machines meant; say which are not created yet."""
    from pymachine.fleet.apply.survey import records_of

    records = records_of(opened_fleet.work.tools)
    names = [spec.name for spec in opened_fleet.work.fleet.machines if spec.name in opened_fleet.names]
    missing = [name for name in names if name not in records]
    if missing:
        note(f"note: not created yet: {', '.join(missing)}")
    return [records[name] for name in names if name in records]


def _reachable(opened_fleet: Opened) -> list[Machine]:
    return [machine for machine in _recorded(opened_fleet) if machine.ssh is not None]


def _asked(
    machines: Sequence[Machine], ask: Callable[[Machine], CommandOutput], given: Mapping[str, Any], reporter: Reporter
) -> tuple[dict[str, CommandOutput], dict[str, PymachineError]]:
    from pymachine.fleet.apply.parallel import spread

    said: dict[str, CommandOutput] = {}
    failures: dict[str, PymachineError] = {}
    with looking(reporter, "waiting for machines", [machine.name for machine in machines]) as seen:
        for machine, answer in spread(machines, ask, given["parallel"]):
            seen(machine.name)
            if isinstance(answer, PymachineError):
                failures[machine.name] = answer
            else:
                said[machine.name] = answer
    order = [machine.name for machine in machines]
    return {name: said[name] for name in order if name in said}, failures


def _told(app: App, said: Mapping[str, CommandOutput], failures: dict[str, PymachineError], *, as_json: bool) -> None:
    from pymachine.fleet.apply.remote_commands import grouped

    app.settle()
    if as_json:
        answers = [{"machine": name, "code": answer.code, "output": answer.text} for name, answer in said.items()]
        dump([*answers, *({"machine": n, "code": None, "error": e.message} for n, e in failures.items())])
    else:
        for names, answer in grouped(said):
            code = f" (exit code {answer.code})" if answer.code else ""
            say(f"== {', '.join(names)}{code}")
            if answer.text:
                say(answer.text)
    ended = {name: PymachineError(f"it exited with code {a.code}") for name, a in said.items() if a.code}
    if failures or ended:
        raise SeveralFailed({**ended, **failures})


for _command in (status, run, docker):
    fleet.add_command(_command)
