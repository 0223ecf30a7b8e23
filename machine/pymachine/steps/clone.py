"""The steps that make a copy of a host a host of its own."""

from __future__ import annotations

from pymachine.engine.setup import SetupPlan, plan_setup
from pymachine.errors import RemoteCommandFailed
from pymachine.model import Machine
from pymachine.steps.session import Session
from pymachine.steps.survey import collect_facts, known_addresses
from pymachine.store.client_files import LOGIN_KEY
from pymachine.templates import render
from pymachine.transport import Command
from pymachine.transport.key_pair import public_line

DEADLINE = 120.0


class OwnIdentity:
    """Take from the host what told the other one from the rest of the world."""

    title = "giving it a new identity"

    def __init__(self, source: Machine) -> None:
        self._source = source

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Remove the engine's id and its place in a Swarm, the machine id, and the key that leads into the other one.

        Whoever may log in there by a key of their own still may here. The machine id is in force from the next boot.
        """
        script = render("engine/own-identity.sh.j2")
        result = session.transport(machine).run(
            Command.script(script, _key_of(self._source, session)), root=True, deadline=DEADLINE
        )
        if result.exit_code:
            lines = tuple(result.error_text.strip().splitlines()[-5:])
            raise RemoteCommandFailed("set up the host's identity", result.exit_code, lines)
        return machine


class TakeOver:
    """Look at the host and plan its set-up as if the other machine had handed it over."""

    title = "surveying the host"

    def __init__(self) -> None:
        self.plan: SetupPlan | None = None

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """What the set-up left there for the other machine counts as ours."""
        facts = collect_facts(machine, session)
        self.plan = plan_setup(machine, facts, take_over=True, own_host=True)
        return machine.with_(addresses=known_addresses(machine, facts, session.driver) or machine.addresses)


def _key_of(source: Machine, session: Session) -> str:
    """Return the base64 part of the public key that leads into the source; empty where it is the user's own."""
    private = session.tools.store.secrets(source.name).get(LOGIN_KEY)
    return public_line(private).split()[1] if private else ""
