"""What another authority of a machine means for clients of docker-machine, and for machines that share it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pymachine.engine.host_facts import HostFacts
from pymachine.engine.setup_plan import SetupPlan
from pymachine.model import Machine
from pymachine.store import Store, readable
from pymachine.tls import Need

CLIENTS = "clients of docker-machine's store"


def told_of_authority(
    machine: Machine, facts: HostFacts, plan: SetupPlan, due: Iterable[Need], store: Store
) -> Iterator[str]:
    """Yield sentences on the authority: whether it is a new one (``due``), and who uses the one that was there."""
    before = machine.certificates
    renewed = before is None or any(need.part == "ca" for need in due)
    if plan.config.drop_in and facts.engine:
        trusted = facts.engine.trusted
        if not trusted:
            yield f"the authority that the engine trusts is not known: {CLIENTS} may no longer be able to connect"
        elif renewed or before is None or before.ca != trusted:
            yield f"the engine gets another authority: {CLIENTS} can no longer connect"
        else:
            yield f"the engine keeps its authority: {CLIENTS} can still connect"
    if renewed and before is not None and (others := sharing(machine, store)):
        names = ", ".join(others)
        yield f"{names} share the former authority, and still accept the client certificate of {machine.name}"


def sharing(machine: Machine, store: Store) -> list[str]:
    """Return the names of the other machines with the same authority, as far as their records can be read."""
    authority = machine.certificates.ca if machine.certificates else ""
    return [
        other.name
        for other in readable(store)
        if authority and other.id != machine.id and other.certificates and other.certificates.ca == authority
    ]
