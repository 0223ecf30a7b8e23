"""``pymachine swarm``: machines join a Swarm, change their role in it, and leave it.

Each operation is for one machine, holds its lease, is recorded in the journal, and can be repeated at any time: it
continues from the state of the cluster. ``via`` names machines that are managers of the Swarm; without it those on
record as managers of the machine's own Swarm are asked. All raise ``CheckFailed`` before anything was changed if a
rule of the Swarm forbids it (a last manager, a majority, another cluster), ``QuorumLost`` if nothing can be changed
at all, and ``Unreachable``, ``TlsError``, ``EngineError`` as engines do.
"""

from pymachine.swarm.absence import refuse_outage
from pymachine.swarm.drain import drained
from pymachine.swarm.init import init
from pymachine.swarm.join import join
from pymachine.swarm.leave import leave, remove_node
from pymachine.swarm.maintenance import (
    drained_in,
    kill_node,
    provision_node,
    restart_node,
    restore_node,
    snapshot_node,
    stop_node,
    turns,
    upgrade_node,
)
from pymachine.swarm.nodes import adjust, change, label
from pymachine.swarm.recover import recover, survey_loss
from pymachine.swarm.removal import losses, preview_removal, remove_machine
from pymachine.swarm.rotate import rotate
from pymachine.swarm.settings import update
from pymachine.swarm.status import status
from pymachine.swarm.unlock import unlock
from pymachine.swarm.upgrade import next_manager, upgrade

__all__ = [
    "adjust",
    "change",
    "drained",
    "drained_in",
    "init",
    "join",
    "kill_node",
    "label",
    "leave",
    "losses",
    "next_manager",
    "preview_removal",
    "provision_node",
    "recover",
    "refuse_outage",
    "remove_machine",
    "remove_node",
    "restart_node",
    "restore_node",
    "rotate",
    "snapshot_node",
    "status",
    "stop_node",
    "survey_loss",
    "turns",
    "unlock",
    "update",
    "upgrade",
    "upgrade_node",
]
