"""What a plan is made from, besides the inventory and the records: how machines were found. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pymachine.engine.effects import Aspect, Change, Effect, effects_of
from pymachine.model import State
from pymachine.swarm_api.containers import Container
from pymachine.swarm_api.protocol import NodeStatus
from pymachine.swarm_api.services import Replicas, Service
from pymachine.swarm_api.view import ClusterView

# What changing an option of a driver means on a machine that exists.
CPUS, MEMORY, DISK = "cpus", "memory", "disk"  # another size, while it is off
SIZES = (CPUS, MEMORY, DISK)
SIZE = "size"  # one of these three
REFIT = "refit"  # the driver gives it to the instance
REACH = "reach"  # only how it is logged in to
MOVE = "move"  # where the host is
RECORD = "record"  # nothing on the machine itself
REPLACE = "replace"  # another machine: what is said of no option


@dataclass(frozen=True, slots=True)
class ObservedMachine:
    """How a machine on record was found.

    Only one in state ``RUNNING`` was looked at; of others ``reason`` says why not. ``engine`` is the version found.
    ``addresses`` are the host's, ``bridges`` the networks of its engine's own. ``changes`` are what the set-up
    would do to the host to make it as the inventory says, ``refusal`` why it could not. ``containers`` run there
    besides the tasks of ``services``, None where that could not be asked; ``restart_stops`` says that a restart of
    the engine stops them. ``bare`` is a host without an engine, ``vacant`` one that is in no Swarm for certain.
    ``another`` says that the inventory has a new address for it, and that another host answers there.
    """

    state: State
    reason: str = ""
    engine: str = ""
    changes: tuple[Change, ...] = ()
    refusal: str = ""
    refusal_hint: str = ""
    node: NodeStatus = field(default_factory=NodeStatus)
    addresses: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    containers: tuple[str, ...] | None = None
    services: tuple[str, ...] = ()
    restart_stops: bool = False
    bare: bool = False
    vacant: bool = False
    another: bool = False

    @property
    def seen(self) -> bool:
        """Whether the host was looked at."""
        return self.state is State.RUNNING

    @property
    def renewals(self) -> tuple[Change, ...]:
        """The certificates that are to be issued again."""
        return tuple(change for change in self.changes if change.aspect is Aspect.CERTIFICATES)

    @property
    def differences(self) -> tuple[Change, ...]:
        """What on the host is not as it should be, certificates left aside."""
        apart = (Aspect.CERTIFICATES, Aspect.RESTART)
        return tuple(change for change in self.changes if change.aspect not in apart)

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What the set-up would do to what runs there."""
        return effects_of(self.changes)


@dataclass(frozen=True, slots=True)
class Traits:
    """A driver as far as plans go: its class of options, and what changing one means (``MEMORY``, ``REACH`` …).

    ``preexisting`` hosts are there before their machine and stay after it.
    """

    options: type
    preexisting: bool = False
    alters: Mapping[str, str] = field(default_factory=dict)


class Why(StrEnum):
    """Why it is not known what a stack's files come to."""

    NO_CLIENT = "no client"  # there is no docker client on this computer
    NO_COMPOSE = "no compose"  # it has no Compose, or one that is too old
    NOT_ASKED = "not asked"  # it could not be asked, or its answer could not be read
    REFUSED = "refused"  # it says what is wrong with them


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A stack whose files came to nothing that could be deployed."""

    why: Why
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack as it was deployed last: ``digest`` of everything that went into it, ``on`` which machine (empty for
    the Swarm), and ``place``, the id of that machine or Swarm. ``specs`` are digests of its services on a Swarm then,
    by name; without those that could not be asked for."""

    digest: str
    on: str = ""
    place: str = ""
    specs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetState:
    """What is remembered of a fleet besides its machines: its stacks, and the settings its Swarm was given last.

    ``unreadable`` says why that is not known, empty where it is.
    """

    stacks: Mapping[str, Deployed] = field(default_factory=dict)
    swarm: Mapping[str, Any] = field(default_factory=dict)
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that was found: machines by name, the Swarm, the drivers by name, the digests of stacks by name.

    ``wanted`` are the services of stacks with their replicas, by stack, ``services`` how those on the Swarm are; None
    where that could not be asked, or nothing was deployed. ``projects`` are the containers of stacks that were
    deployed on machines which answer, by stack, None where they could not be asked for. Stacks without a digest are
    ``unresolved``. ``no_compose`` says why Compose cannot be used, None where it was not asked for or is there.
    """

    findings: Mapping[str, ObservedMachine] = field(default_factory=dict)
    view: ClusterView | None = None
    traits: Mapping[str, Traits] = field(default_factory=dict)
    memory: FleetState = field(default_factory=FleetState)
    digests: Mapping[str, str] = field(default_factory=dict)
    wanted: Mapping[str, Mapping[str, Replicas]] = field(default_factory=dict)
    services: tuple[Service, ...] | None = None
    projects: Mapping[str, tuple[Container, ...] | None] = field(default_factory=dict)
    unresolved: Mapping[str, Unresolved] = field(default_factory=dict)
    no_compose: Unresolved | None = None
