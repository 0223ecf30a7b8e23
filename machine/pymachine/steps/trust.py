"""The list of authorities on a host: reading it, and taking an authority of this store from it."""

from __future__ import annotations

from pymachine import tls
from pymachine.engine.host_facts import HostFacts
from pymachine.engine.trust import (
    SIZE_LIMIT,
    EngineAccess,
    TrustPlan,
    access_of,
    plan_trust,
    trust_bundle,
    without_authority,
)
from pymachine.errors import CheckFailed, TlsError
from pymachine.model import Machine
from pymachine.steps.engine import run_bundle
from pymachine.steps.session import Session
from pymachine.steps.survey import collect_facts
from pymachine.transport import Command

READ_DEADLINE = 30.0  # seconds
REMOVE = "remove the authority of this store"


def read_list(machine: Machine, session: Session, path: str) -> bytes:
    """Return the certificates in the file at ``path`` on the host. Raises ``CheckFailed`` for what has none."""
    result = session.transport(machine).run(
        Command.script('head -c "$2" -- "$1"', path, str(SIZE_LIMIT + 1)), root=True, deadline=READ_DEADLINE
    )
    if result.exit_code:
        raise CheckFailed(f"{path} on the host cannot be read: {result.error_text.strip()[-200:]}")
    if len(result.stdout) > SIZE_LIMIT:
        raise CheckFailed(f"{path} on the host has more than {SIZE_LIMIT >> 10} KiB")
    try:
        tls.first_authority(result.stdout)
    except TlsError as error:
        raise CheckFailed(f"{path} on the host: {error.message}") from None
    return result.stdout


def check_named(machine: Machine, session: Session, access: EngineAccess, host: str) -> None:
    """Raise ``CheckFailed`` if the engine's certificate does not name ``host``, so that clients would refuse it."""
    if not access.certificate:
        return
    names = tls.summary({"server.pem": read_list(machine, session, access.certificate)}).sans
    name = tls.normal_name(host)
    if not {name, f"*.{name.partition('.')[2]}"} & set(names):
        raise CheckFailed(
            f"the certificate of the engine does not name {host}, only {', '.join(names) or 'nothing'}",
            hint="attach the host by one of these, or run `pymachine provision --tls-san` where it was created",
        )


def refuse_member(facts: HostFacts) -> None:
    """Raise ``CheckFailed`` for a node of a Swarm: only the store that manages the Swarm can drain it."""
    if facts.engine is not None and facts.engine.swarm:
        raise CheckFailed(
            "the host is a node of a Swarm, and its engine would restart without a drain",
            hint="drain it where the Swarm is managed; `attach --no-drain` restarts it as it is",
        )


def is_attached(machine: Machine, session: Session) -> bool:
    """Whether the engine of the machine may accept an authority of this store beside that of another."""
    return machine.guest and machine.ssh is not None and "ca-key.pem" in session.secrets(machine)


def plan_withdrawal(machine: Machine, session: Session) -> TrustPlan | None:
    """Plan to take the authority of this store from an attached host; None if it is not there.

    Raises ``CheckFailed`` for a host that is not known well enough.
    """
    facts = collect_facts(machine, session)
    access = access_of(facts)
    listed = read_list(machine, session, access.path)
    final = without_authority(listed, session.tools.store.identity)
    if final == listed:
        return None
    refuse_member(facts)
    return plan_trust(facts, access, listed, final, REMOVE)


def place_list(plan: TrustPlan, machine: Machine, session: Session, step: str) -> None:
    """Announce what a plan does to what runs there, and execute it. Raises ``EngineError``."""
    for announcement in plan.announcements:
        session.tools.reporter.notice(machine.name, announcement)
    run_bundle(machine, session, trust_bundle(plan), step)


class WithdrawAuthority:
    """Have the engine of an attached host accept the clients of this store no longer."""

    title = "removing the authority"

    def __init__(self, *, attached: bool) -> None:
        self._attached = attached

    def needs(self, machine: Machine) -> bool:
        """Every attached host."""
        return self._attached

    def run(self, machine: Machine, session: Session) -> Machine:
        """Survey, announce, upload and run."""
        plan = plan_withdrawal(machine, session)
        if plan is not None:
            place_list(plan, machine, session, self.title)
        return machine
