"""What an action does: one class for each kind, with what it needs besides the inventory.

``effects`` say what it does to what runs there. They are fixed for a kind, or come from the set-up that was planned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pymachine.engine.effects import Effect, interrupt
from pymachine.fleet.plan.action_kinds import ActionKind
from pymachine.override import override


@dataclass(frozen=True, slots=True)
class Payload:
    """What all have in common."""

    kind: ClassVar[ActionKind]
    always: ClassVar[tuple[Effect, ...]] = ()

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What the action does to what runs there."""
        return self.always


@dataclass(frozen=True, slots=True)
class Create(Payload):
    """Make a machine."""

    kind = ActionKind.CREATE


@dataclass(frozen=True, slots=True)
class Resume(Payload):
    """Go on with a create that stopped."""

    kind = ActionKind.RESUME


@dataclass(frozen=True, slots=True)
class Adopt(Payload):
    """Take a machine on record into the fleet."""

    kind = ActionKind.ADOPT


@dataclass(frozen=True, slots=True)
class Remake(Payload):
    """Clear away what is left of a machine whose host is gone, and make it again."""

    kind = ActionKind.REMAKE


@dataclass(frozen=True, slots=True)
class Replace(Payload):
    """Remove a machine and make another one in its place. ``lost``: the one that goes does not answer."""

    kind = ActionKind.REPLACE
    always = (Effect.REPLACE_HOST,)
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Start(Payload):
    """Switch a machine on."""

    kind = ActionKind.START


@dataclass(frozen=True, slots=True)
class ChangeLogin(Payload):
    """Log in another way; ``options`` of the driver say which."""

    kind = ActionKind.REACH
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move(Payload):
    """Follow a host to another address, with new certificates for it; ``options`` of the driver say where it is.

    ``lost``: it does not answer where it was.
    """

    kind = ActionKind.MOVE
    always = (Effect.CHANGE_ADDRESS, Effect.MAY_RESTART_ENGINE)
    options: Mapping[str, Any] = field(default_factory=dict)
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Resize(Payload):
    """Give a machine other sizes; ``memory`` and ``disk`` are bytes, None stays. ``options`` go on record."""

    kind = ActionKind.RESIZE
    always = (Effect.SWITCH_OFF,)
    cpus: int | None = None
    memory: int | None = None
    disk: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refit(Payload):
    """Have the driver change the instance. Whether it has to be off for that only the driver can tell."""

    kind = ActionKind.REFIT
    always = (Effect.MAY_SWITCH_OFF,)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstallEngine(Payload):
    """Set a host up again that has lost its engine, with ``changes``; nothing runs there that it could interrupt.

    ``found`` are the effects that the set-up has.
    """

    kind = ActionKind.INSTALL
    changes: Mapping[str, Any] = field(default_factory=dict)
    found: tuple[Effect, ...] = ()

    @property
    @override
    def effects(self) -> tuple[Effect, ...]:
        """As the set-up was planned, without what it would do to an engine that runs."""
        return tuple(effect for effect in self.found if not interrupt((effect,)))


@dataclass(frozen=True, slots=True)
class Configure(Payload):
    """Set the engine up with ``changes``, fields of its ``EngineSpec``; ``found`` are the effects that this has."""

    kind = ActionKind.CONFIGURE
    changes: Mapping[str, Any] = field(default_factory=dict)
    found: tuple[Effect, ...] = ()

    @property
    @override
    def effects(self) -> tuple[Effect, ...]:
        """As the set-up was planned."""
        return self.found


@dataclass(frozen=True, slots=True)
class Renew(Payload):
    """Set the engine up with new certificates; ``found`` are the effects that this has."""

    kind = ActionKind.RENEW
    found: tuple[Effect, ...] = ()

    @property
    @override
    def effects(self) -> tuple[Effect, ...]:
        """As the set-up was planned."""
        return self.found


@dataclass(frozen=True, slots=True)
class UpgradeEngine(Payload):
    """Bring the engine to ``version``."""

    kind = ActionKind.UPGRADE
    always = (Effect.RESTART_ENGINE,)
    version: str = ""


@dataclass(frozen=True, slots=True)
class Relabel(Payload):
    """Change the record: its labels, and those ``options`` that concern nothing but the record."""

    kind = ActionKind.RELABEL
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unlock(Payload):
    """Unlock a manager that restarted."""

    kind = ActionKind.UNLOCK


@dataclass(frozen=True, slots=True)
class Init(Payload):
    """Found the Swarm."""

    kind = ActionKind.INIT


@dataclass(frozen=True, slots=True)
class UpdateSwarm(Payload):
    """Give the Swarm its settings."""

    kind = ActionKind.SETTINGS


@dataclass(frozen=True, slots=True)
class Join(Payload):
    """Join the Swarm as ``role``."""

    kind = ActionKind.JOIN
    role: str


@dataclass(frozen=True, slots=True)
class Promote(Payload):
    """Make a worker a manager."""

    kind = ActionKind.PROMOTE


@dataclass(frozen=True, slots=True)
class Demote(Payload):
    """Make a manager a worker."""

    kind = ActionKind.DEMOTE


@dataclass(frozen=True, slots=True)
class Adjust(Payload):
    """Change a node's labels or its availability."""

    kind = ActionKind.ADJUST


@dataclass(frozen=True, slots=True)
class Leave(Payload):
    """Leave the Swarm."""

    kind = ActionKind.LEAVE


@dataclass(frozen=True, slots=True)
class Forget(Payload):
    """Take a node off the list whose machine is gone."""

    kind = ActionKind.FORGET


@dataclass(frozen=True, slots=True)
class Remove(Payload):
    """Remove a machine.

    ``member`` of a Swarm, which it ``dissolve``s as its last manager; ``lost``: its host does not answer. A host that
    was there before its machine stays, with ``keeps_host``.
    """

    kind = ActionKind.REMOVE
    member: bool = False
    dissolve: bool = False
    lost: bool = False
    keeps_host: bool = False

    @property
    @override
    def effects(self) -> tuple[Effect, ...]:
        """A host of ours goes with everything on it."""
        return () if self.keeps_host else (Effect.DELETE_HOST,)


@dataclass(frozen=True, slots=True)
class Deploy(Payload):
    """Deploy a stack ``on`` a machine, or in the Swarm where that is empty; ``digest`` is of what goes into it."""

    kind = ActionKind.DEPLOY
    digest: str
    on: str = ""


@dataclass(frozen=True, slots=True)
class Withdraw(Payload):
    """Remove a stack from where it is: ``on`` a machine, or where that is empty in the Swarm."""

    kind = ActionKind.WITHDRAW
    always = (Effect.STOP_CONTAINERS,)
    on: str = ""
