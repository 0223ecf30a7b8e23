"""The step that collects the facts of the host and plans its set-up."""

from __future__ import annotations

from dataclasses import replace

from pymachine.driver import Driver
from pymachine.engine.facts import FACTS_DEADLINE, HostFacts, facts_command, parse_facts
from pymachine.engine.progress import ProgressReader
from pymachine.engine.setup import SetupPlan, plan_setup
from pymachine.engine.survey import SILENCE, SurveyReader
from pymachine.errors import DeadlineExceeded, RemoteCommandFailed
from pymachine.fleet.plan.renewals import renewals
from pymachine.model import Machine
from pymachine.steps.authority import told_of_authority
from pymachine.steps.certificates import Certify
from pymachine.steps.session import Session
from pymachine.tls import check_clock


class Survey:
    """Look at the host in one command, and plan the set-up; refuse what cannot work before touching anything."""

    title = "surveying the host"

    def __init__(self, certify: Certify | None = None, *, moved: bool = False) -> None:
        self.plan: SetupPlan | None = None
        self._certify = certify
        self._moved = moved

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Collect facts, compare clocks, plan, and announce what the plan will do to what runs there.

        The certificates that ``certify`` will issue are part of the set-up's plan. ``moved``: the engine's address
        differs from the previous one.
        """
        before = session.tools.now()
        facts = collect_facts(machine, session)
        check_clock(facts.clock, before, session.tools.now())
        machine = machine.with_(addresses=known_addresses(machine, facts, session.driver) or machine.addresses)
        due = self._certify.due(machine, session) if self._certify else ()
        plan = plan_setup(
            machine,
            facts,
            own_host=not session.driver.preexisting,
            former=session.former.engine if session.former else None,
            renewals=renewals(due),
        )
        authority = told_of_authority(machine, facts, plan, due, session.tools.store)
        self.plan = replace(plan, announcements=(*plan.announcements, *authority))
        if self._moved and (told := _left_behind(machine, facts)):
            session.tools.reporter.notice(machine.name, told)
        for announcement in self.plan.announcements:
            session.tools.reporter.notice(machine.name, announcement)
        return machine


def _left_behind(machine: Machine, facts: HostFacts) -> str:
    """Say what another address means for a node of a Swarm: the one it joined with is its own for life."""
    node = (facts.engine.info.get("Swarm") if facts.engine else None) or {}
    advertised = str(node.get("NodeAddr") or "")
    if not advertised or advertised in facts.addresses:
        return ""
    return (
        f"the other nodes of its Swarm know it by {advertised}, which it no longer has: let it leave and join again "
        f"(`pymachine swarm leave {machine.name}`, `pymachine swarm join`)"
    )


def known_addresses(machine: Machine, facts: HostFacts, driver: Driver) -> tuple[str, ...]:
    """Return where the host can be found: as it knows itself, and as the driver told of it.

    A cloud's public address and its names in the DNS are on no interface of the host. What was told of bare metal is
    what somebody typed: there the host knows better.
    """
    reported = machine.reported_addresses if machine.adopted or not driver.preexisting else ()
    return tuple(dict.fromkeys((*facts.addresses, *reported)))


def collect_facts(machine: Machine, session: Session) -> HostFacts:
    """Return the host's facts, found by one command. Raises ``RemoteCommandFailed``, ``EngineError``."""
    transport = session.transport(machine)
    # The command waits for a set-up that still runs on the host, and reports that.
    notes = ProgressReader(session.tools.reporter, machine.name, Survey.title)
    command = facts_command(machine.engine)
    reader = SurveyReader(notes, session.tools.now)
    try:
        result = transport.run(command, root=True, deadline=FACTS_DEADLINE, on_line=reader.line, silence=SILENCE)
    except DeadlineExceeded as error:
        raise reader.late() from error
    if result.exit_code:
        lines = tuple(result.error_text.strip().splitlines()[-5:])
        raise RemoteCommandFailed("look at the host", result.exit_code, lines)
    return parse_facts(result.text)
