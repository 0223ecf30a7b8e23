"""What an action does: one class per kind, with the values that it needs besides the inventory.

``effects`` are the effects on running workloads. They are fixed for a kind, or come from the planned set-up.
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
    """The base of all payloads."""

    kind: ClassVar[ActionKind]
    always: ClassVar[tuple[Effect, ...]] = ()

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects on running workloads."""
        return self.always


@dataclass(frozen=True, slots=True)
class Create(Payload):
    """Create a machine."""

    kind = ActionKind.CREATE


@dataclass(frozen=True, slots=True)
class Resume(Payload):
    """Continue a create that stopped."""

    kind = ActionKind.RESUME


@dataclass(frozen=True, slots=True)
class Adopt(Payload):
    """Add a machine on record to the fleet."""

    kind = ActionKind.ADOPT


@dataclass(frozen=True, slots=True)
class Remake(Payload):
    """Remove what is left of a machine whose host is gone, and create it again."""

    kind = ActionKind.REMAKE


@dataclass(frozen=True, slots=True)
class Replace(Payload):
    """Remove a machine and create another one in its place. ``lost``: the former one does not answer."""

    kind = ActionKind.REPLACE
    always = (Effect.REPLACE_HOST,)
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Start(Payload):
    """Power a machine on."""

    kind = ActionKind.START


@dataclass(frozen=True, slots=True)
class ChangeLogin(Payload):
    """Change the SSH access; ``options`` of the driver have the new values."""

    kind = ActionKind.REACH
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move(Payload):
    """Follow a host to another address, with new certificates; ``options`` of the driver have the address.

    ``lost``: it does not answer at the former address.
    """

    kind = ActionKind.MOVE
    always = (Effect.CHANGE_ADDRESS, Effect.MAY_RESTART_ENGINE)
    options: Mapping[str, Any] = field(default_factory=dict)
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Resize(Payload):
    """Change the size of a machine; ``memory`` and ``disk`` are bytes, None does not change.

    ``options`` are recorded.
    """

    kind = ActionKind.RESIZE
    always = (Effect.SWITCH_OFF,)
    cpus: int | None = None
    memory: int | None = None
    disk: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refit(Payload):
    """Have the driver change the instance. Only the driver can tell whether it has to be powered off for that."""

    kind = ActionKind.REFIT
    always = (Effect.MAY_SWITCH_OFF,)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstallEngine(Payload):
    """Set up a host again that has lost its engine, with ``changes``; no workload runs there.

    ``found`` are the effects of the set-up.
    """

    kind = ActionKind.INSTALL
    changes: Mapping[str, Any] = field(default_factory=dict)
    found: tuple[Effect, ...] = ()

    @property
    @override
    def effects(self) -> tuple[Effect, ...]:
        """The planned effects, without those on a running engine."""
        return tuple(effect for effect in self.found if not interrupt((effect,)))


@dataclass(frozen=True, slots=True)
class Configure(Payload):
    """Set up the engine with ``changes``, fields of its ``EngineSpec``; ``found`` are the effects."""

    kind = ActionKind.CONFIGURE
    changes: Mapping[str, Any] = field(default_factory=dict)
    found: tuple[Effect, ...] = ()

    @property
    @override
    def effects(self) -> tuple[Effect, ...]:
        """The planned effects."""
        return self.found


@dataclass(frozen=True, slots=True)
class Renew(Payload):
    """Set up the engine with new certificates; ``found`` are the effects."""

    kind = ActionKind.RENEW
    found: tuple[Effect, ...] = ()

    @property
    @override
    def effects(self) -> tuple[Effect, ...]:
        """The planned effects."""
        return self.found


@dataclass(frozen=True, slots=True)
class UpgradeEngine(Payload):
    """Upgrade the engine to ``version``."""

    kind = ActionKind.UPGRADE
    always = (Effect.RESTART_ENGINE,)
    version: str = ""


@dataclass(frozen=True, slots=True)
class Relabel(Payload):
    """Change the record: its labels, and ``options`` that concern only the record."""

    kind = ActionKind.RELABEL
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unlock(Payload):
    """Unlock a manager after a restart."""

    kind = ActionKind.UNLOCK


@dataclass(frozen=True, slots=True)
class Init(Payload):
    """Initialise the Swarm."""

    kind = ActionKind.INIT


@dataclass(frozen=True, slots=True)
class UpdateSwarm(Payload):
    """Change the settings of the Swarm."""

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
    """Remove a node from the list whose machine is gone."""

    kind = ActionKind.FORGET


@dataclass(frozen=True, slots=True)
class Remove(Payload):
    """Remove a machine. A ``member`` leaves the Swarm, and as its last manager ``dissolve``s it.

    ``lost``: its host does not answer. With ``keeps_host`` the host existed before the machine and stays.
    """

    kind = ActionKind.REMOVE
    member: bool = False
    dissolve: bool = False
    lost: bool = False
    keeps_host: bool = False

    @property
    @override
    def effects(self) -> tuple[Effect, ...]:
        """A host that pymachine made is deleted with everything on it."""
        return () if self.keeps_host else (Effect.DELETE_HOST,)


@dataclass(frozen=True, slots=True)
class Deploy(Payload):
    """Deploy a stack ``on`` a machine, or on the Swarm if empty; ``digest`` is that of its content."""

    kind = ActionKind.DEPLOY
    digest: str
    on: str = ""


@dataclass(frozen=True, slots=True)
class Withdraw(Payload):
    """Remove a stack ``on`` a machine, or from the Swarm if empty."""

    kind = ActionKind.WITHDRAW
    always = (Effect.STOP_CONTAINERS,)
    on: str = ""
