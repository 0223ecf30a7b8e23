"""Certificates to be reissued, as changes of a host. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pymachine.engine.effects import RESTARTING, Aspect, Change
from pymachine.tls.validity import Need, Part

CALLED: Mapping[Part, str] = {
    "ca": "certificate authority",
    "server": "server certificate",
    "client": "client certificate",
}


def renewals(needs: Iterable[Need]) -> tuple[Change, ...]:
    """Return the changes for these certificates: the engine reads its own at its start, and no client's."""
    return tuple(
        Change(
            f"issue a new {CALLED[need.part]}",
            need.reason,
            Aspect.CERTIFICATES,
            () if need.part == "client" else RESTARTING,
        )
        for need in needs
    )
