"""Runs the user's programs at certain events of a fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pymachine.errors import PymachineError
from pymachine.events import Reporter
from pymachine.fleet.apply.subprocesses import RunProgram, run_program
from pymachine.fleet.inventory.model import Fleet
from pymachine.model import Machine

DEADLINE = 300.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """Runs the program that the inventory names for an event.

    The program gets PYMACHINE_EVENT, PYMACHINE_FLEET and, for a machine, PYMACHINE_MACHINE and PYMACHINE_IP.
    """

    fleet: Fleet
    reporter: Reporter
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    run: RunProgram = run_program

    def before(self, event: str, name: str = "", machine: Machine | None = None) -> None:
        """Run it; its failure prevents the operation. Raises ``PymachineError``."""
        self._call(f"before_{event}", name, machine)

    def after(self, event: str, name: str = "", machine: Machine | None = None) -> None:
        """Run it; its failure is only reported, because the operation is done."""
        try:
            self._call(f"after_{event}", name, machine)
        except PymachineError as error:
            self.reporter.notice(name or self.fleet.name, error.message)

    def _call(self, event: str, name: str, machine: Machine | None) -> None:
        program = self.fleet.hooks.get(event)
        if program is None:
            return
        subject = name or self.fleet.name
        ended = self.run(
            [program],
            {**self.environ, **_told(event, self.fleet.name, name, machine)},
            deadline=DEADLINE,
            on_line=lambda line: self.reporter.progressed(subject, f"hook {event}", line),
        )
        if ended.code:
            last = "".join(f"\n  {line}" for line in ended.lines[-5:])
            raise PymachineError(f"hook {event} ({program}) ended with code {ended.code}{last}")


def _told(event: str, fleet: str, name: str, machine: Machine | None) -> dict[str, str]:
    reached = machine.endpoint.host if machine and machine.endpoint else ""
    return {
        "PYMACHINE_EVENT": event,
        "PYMACHINE_FLEET": fleet,
        "PYMACHINE_MACHINE": name,
        "PYMACHINE_IP": reached or (machine.ssh.host if machine and machine.ssh else ""),
    }
