"""Runs the user's programs at certain events of a fleet."""

from __future__ import annotations

from pymachine.events import Reporter
from pymachine.fleet.apply.subprocesses import Computer
from pymachine.fleet.inventory.model import Fleet
from pymachine.model import Machine

DEADLINE = 300.0


def run_hook(
    event: str, fleet: Fleet, reporter: Reporter, computer: Computer, name: str = "", machine: Machine | None = None
) -> None:
    """Run the program that the inventory names for an event, if it names one. Raises ``PymachineError``.

    The program gets PYMACHINE_EVENT, PYMACHINE_FLEET and, for a machine, PYMACHINE_MACHINE and PYMACHINE_IP.
    """
    program = fleet.hooks.get(event)
    if program is None:
        return
    ended = computer.run(
        [program],
        {**computer.environ, **_told(event, fleet.name, name, machine)},
        deadline=DEADLINE,
        on_line=lambda line: reporter.progressed(name or fleet.name, f"hook {event}", line),
    )
    ended.require(f"hook {event} ({program})")


def _told(event: str, fleet: str, name: str, machine: Machine | None) -> dict[str, str]:
    reached = machine.endpoint.host if machine and machine.endpoint else ""
    return {
        "PYMACHINE_EVENT": event,
        "PYMACHINE_FLEET": fleet,
        "PYMACHINE_MACHINE": name,
        "PYMACHINE_IP": reached or (machine.ssh.host if machine and machine.ssh else ""),
    }
