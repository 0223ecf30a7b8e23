"""A fleet as its inventory describes it: every range expanded, every default filled in, every value checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymachine.model import EngineSpec


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a file; ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A machine's place in the Swarm as it is wanted.

    ``role`` is ``manager`` or ``worker``, ``availability`` ``active``, ``pause`` or ``drain``. ``advertise`` is the
    address that it tells the others, None for the one it is reached by there.
    """

    role: str
    labels: Mapping[str, str] = field(default_factory=dict)
    availability: str = "active"
    advertise: str | None = None


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """One machine: ``options`` are fields of the driver's options class, as values of these fields.

    ``order`` is its position among all, ``groups`` the names by which `--limit` finds it besides its own: the
    entry's pattern and its Swarm role, and the groups that the entry lists.
    """

    name: str
    driver: str
    options: Mapping[str, Any]
    engine: EngineSpec
    labels: Mapping[str, str]
    swarm: NodeSpec | None
    groups: tuple[str, ...]
    order: int
    spot: Spot = field(compare=False)


@dataclass(frozen=True, slots=True)
class SwarmSpec:
    """The Swarm itself. Ports are TCP and UDP numbers, durations are seconds; None leaves it to the engine.

    ``address_pools`` are networks from which overlay networks are taken, in subnets of ``subnet_size`` bits;
    these and ``data_path_port`` cannot be changed once the Swarm is there.
    """

    autolock: bool = False
    address_pools: tuple[str, ...] = ()
    subnet_size: int = 24
    data_path_port: int | None = None
    task_history: int | None = None
    certificate_life: int | None = None
    heartbeat: int | None = None


@dataclass(frozen=True, slots=True)
class StackSpec:
    """A Compose project: deployed to the Swarm, or brought up on the machine ``on``.

    ``files`` are absolute paths, ``env_files`` too; ``environment`` holds values for the files' variables. ``build``
    builds on the target what the files say to build, ``prune`` to remove services that they no longer have.
    ``wait`` is how many seconds a deploy may take until its services run; 0 does not wait.
    """

    name: str
    files: tuple[str, ...]
    on: str | None = None
    env_files: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    build: bool = True
    prune: bool = True
    wait: int = 300
    spot: Spot | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything an inventory says. ``hooks`` maps an event (``after_create``, …) to an absolute path of a program.

    ``folder`` is where relative paths of the first file begin.
    """

    name: str
    machines: tuple[MachineSpec, ...]
    swarm: SwarmSpec | None = None
    stacks: tuple[StackSpec, ...] = ()
    hooks: Mapping[str, str] = field(default_factory=dict)
    folder: str = "."

    @property
    def managers(self) -> tuple[MachineSpec, ...]:
        """The machines that are to be managers of the Swarm, in the file's order."""
        return tuple(machine for machine in self.machines if machine.swarm and machine.swarm.role == "manager")
