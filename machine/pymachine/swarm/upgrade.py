"""Upgrades the engines of a Swarm's nodes, each drained meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from pymachine import provision
from pymachine.engine.checks import matches_version
from pymachine.model import Machine
from pymachine.steps.power import await_engine
from pymachine.steps.services import Services
from pymachine.swarm.drain import BACK_PATIENCE, drained, give_back
from pymachine.swarm_api.view import ClusterView


def upgrade(name: str, tools: Services, *, version: str | None = None, via: Sequence[str] = ()) -> Machine:
    """Upgrade the engine of one node, drained meanwhile; return the machine's record. Leaders are to come last.

    A node whose engine is of that version already is only given back its availability, if an earlier call died.
    Which version is the newest is found on the host, by the upgrade itself: without ``version`` each is drained.
    """
    if version is None or not _is_there(name, version, tools):
        with drained(name, tools, via=via):
            return provision.upgrade(name, tools, version=version)
    give_back(name, tools, via, patience=BACK_PATIENCE)
    return tools.store.get(name)


def _is_there(name: str, version: str, tools: Services) -> bool:
    answer = await_engine(tools.store.get(name), tools)
    return answer is not None and matches_version(answer.version, version)


def next_manager(view: ClusterView, left: Sequence[str]) -> str | None:
    """Return which of the managers ``left`` is upgraded next: the current leader last."""
    return min(left, key=lambda name: (name == view.leader, list(left).index(name)), default=None)
