"""The engine's port in the host's firewall: where to open it, and what to close again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pymachine.engine.host_facts import Asked, Firewall
from pymachine.engine.manifest import FirewalldPort, Manifest
from pymachine.errors import CheckFailed


@dataclass(frozen=True, slots=True)
class FirewallPlan:
    """Changes of firewalld by the set-up. ``opens`` and ``closes`` are done now; ``ours`` is recorded afterwards."""

    opens: FirewalldPort | None = None
    closes: FirewalldPort | None = None
    ours: FirewalldPort | None = None


def plan_firewall(firewall: Firewall, port: int, previous: Manifest | None) -> FirewallPlan:
    """Plan the opening of a port in the zone of the interface that has the machine's address.

    An opening that already exists does not count as pymachine's. Raises ``CheckFailed`` if firewalld could not be
    asked: a port that is opened in a guessed zone may be open to the wrong network.
    """
    before = previous.opening if previous else None
    if firewall.firewalld is Asked.ABSENT:
        return FirewallPlan(ours=before)
    if firewall.firewalld is Asked.UNANSWERED or not firewall.zone:
        raise CheckFailed(
            f"firewalld on the host could not be asked for the zone of {firewall.interface or 'its interfaces'}",
            hint=f"see what `firewall-cmd --get-zone-of-interface={firewall.interface or 'NAME'}` says on the host",
        )
    wanted = FirewalldPort(port, firewall.zone)
    if before is not None and before.port == port and before.zone in (firewall.zone, None) and firewall.is_open:
        return FirewallPlan(ours=before)
    opens = None if firewall.is_open else wanted
    closes = before if before != wanted else None
    return FirewallPlan(opens, closes, opens or (wanted if before == wanted else None))


def told_of_ufw(firewall: Firewall, port: int) -> Sequence[str]:
    """Return what the owner of a host with ufw has to do; pymachine does not change its rules."""
    way = f"allow clients with `ufw allow {port}/tcp`"
    if firewall.ufw is Asked.UNANSWERED:
        return [f"ufw could not be asked whether it is on: if it is, {way}"]
    return [f"ufw is on: {way}"] if firewall.ufw is Asked.ANSWERED and not firewall.ufw_allows else []
