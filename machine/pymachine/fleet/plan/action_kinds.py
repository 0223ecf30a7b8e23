"""The kinds of actions, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Kind(StrEnum):
    """What an action does."""

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


IN_WORDS: Mapping[Kind, str] = {
    Kind.RESUME: "go on with the create",
    Kind.ADOPT: "take into the fleet",
    Kind.REMAKE: "make anew",
    Kind.REACH: "change how it is reached",
    Kind.MOVE: "follow the host to where it is now",
    Kind.REFIT: "change the instance",
    Kind.INSTALL: "install the engine again",
    Kind.CONFIGURE: "configure the engine",
    Kind.RENEW: "renew certificates",
    Kind.UPGRADE: "upgrade the engine",
    Kind.RELABEL: "label the machine",
    Kind.INIT: "found the Swarm",
    Kind.SETTINGS: "change the Swarm",
    Kind.JOIN: "join the Swarm",
    Kind.ADJUST: "change the node",
    Kind.LEAVE: "leave the Swarm",
    Kind.FORGET: "forget the node",
    Kind.DEPLOY: "deploy the stack",
    Kind.WITHDRAW: "remove the stack",
}
