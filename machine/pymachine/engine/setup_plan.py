"""The values that a set-up is rendered from."""

from __future__ import annotations

from dataclasses import dataclass, field

from pymachine.engine.configuration import ConfigPlan
from pymachine.engine.effects import Change
from pymachine.engine.firewall import FirewallPlan
from pymachine.engine.manifest import Manifest
from pymachine.engine.os_family import Family
from pymachine.engine.sources import EngineSource
from pymachine.model import Machine


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """The values from which the set-up script is rendered.

    ``family`` is None if nothing is installed on a system without a known package manager. ``environment`` is for the
    daemon, ``proxies`` for it and for what installs it. ``hostname`` and ``group_user`` (the account to add to group
    docker) are None if they do not change. ``unfinished`` are packages whose installation is finished first.
    ``recovery`` is the manifest that remains if the set-up fails and is undone.
    """

    machine: Machine
    source: EngineSource
    config: ConfigPlan
    manifest: Manifest
    recovery: Manifest
    family: Family | None
    init: str
    fresh: bool
    rhel10: bool = False
    environment: tuple[tuple[str, str], ...] = ()
    proxies: tuple[tuple[str, str], ...] = ()
    hostname: str | None = None
    group_user: str | None = None
    firewall: FirewallPlan = field(default_factory=FirewallPlan)
    take_over: bool = False
    unfinished: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    announcements: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """The daemon's variables; later ones win."""
        return (*self.proxies, *self.environment)

    @property
    def version(self) -> str | None:
        """The requested engine version."""
        return self.machine.engine.version

    @property
    def channel(self) -> str:
        """The channel of Docker's repository."""
        return self.machine.engine.channel
