"""Runs the same command on many machines and groups their output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pymachine.errors import CheckFailed
from pymachine.fleet.apply.deploy import client_environ
from pymachine.fleet.apply.subprocesses import Computer
from pymachine.model import Machine
from pymachine.steps.services import Services
from pymachine.steps.session import Session
from pymachine.transport import Command


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """What a command printed on both outputs, and its exit code."""

    code: int
    text: str


def run_on(machine: Machine, line: str, tools: Services, *, deadline: float, root: bool = False) -> CommandOutput:
    """Run a shell command on the machine's host. Raises ``TransportError`` if it cannot be reached."""
    session = Session(tools, tools.driver_of(machine), recorded=False)
    try:
        result = session.transport(machine).run(Command.script(line), deadline=deadline, root=root)
    finally:
        session.disconnect()
    return CommandOutput(
        result.exit_code, "\n".join(filter(None, (result.text.rstrip(), result.error_text.rstrip())))
    )


def docker_on(
    machine: Machine, words: Sequence[str], tools: Services, computer: Computer, *, deadline: float
) -> CommandOutput:
    """Run the docker client against the machine's engine."""
    if machine.endpoint is None:
        raise CheckFailed(f"machine {machine.name} is not ready ({machine.phase})")
    environ = client_environ(machine, tools, computer.environ)
    ended = computer.run(["docker", *words], environ, deadline=deadline)
    return CommandOutput(ended.code, "\n".join(ended.lines).rstrip())


def grouped(said: Mapping[str, CommandOutput]) -> list[tuple[list[str], CommandOutput]]:
    """Return the distinct outputs, each with its machines, in the order in which they first came."""
    groups: dict[CommandOutput, list[str]] = {}
    for name, answer in said.items():
        groups.setdefault(answer, []).append(name)
    return [(names, answer) for answer, names in groups.items()]
