"""The kinds of actions and their titles."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ActionKind(StrEnum):
    """The kind of an action."""

    CREATE = "create"
    RESUME = "resume"
    ADOPT = "adopt"
    REMAKE = "remake"
    REPLACE = "replace"
    START = "start"
    REACH = "reach"
    MOVE = "move"
    RESIZE = "resize"
    REFIT = "refit"
    INSTALL = "install"
    CONFIGURE = "configure"
    RENEW = "renew"
    UPGRADE = "upgrade"
    RELABEL = "relabel"
    UNLOCK = "unlock"
    INIT = "init"
    SETTINGS = "settings"
    JOIN = "join"
    PROMOTE = "promote"
    DEMOTE = "demote"
    ADJUST = "adjust"
    LEAVE = "leave"
    FORGET = "forget"
    REMOVE = "remove"
    DEPLOY = "deploy"
    WITHDRAW = "withdraw"


IN_WORDS: Mapping[ActionKind, str] = {
    ActionKind.RESUME: "resume the create",
    ActionKind.ADOPT: "add to the fleet",
    ActionKind.REMAKE: "replace the machine",
    ActionKind.REACH: "change the SSH access",
    ActionKind.MOVE: "update the host's address",
    ActionKind.REFIT: "change the instance",
    ActionKind.INSTALL: "install the engine again",
    ActionKind.CONFIGURE: "configure the engine",
    ActionKind.RENEW: "renew certificates",
    ActionKind.UPGRADE: "upgrade the engine",
    ActionKind.RELABEL: "label the machine",
    ActionKind.INIT: "initialise the Swarm",
    ActionKind.SETTINGS: "change the Swarm",
    ActionKind.JOIN: "join the Swarm",
    ActionKind.ADJUST: "change the node",
    ActionKind.LEAVE: "leave the Swarm",
    ActionKind.FORGET: "forget the node",
    ActionKind.DEPLOY: "deploy the stack",
    ActionKind.WITHDRAW: "remove the stack",
}
