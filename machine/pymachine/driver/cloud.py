"""Powers of drivers whose instances live in somebody else's house, found and paid for through an API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from pymachine.driver.protocol import NOBODY, Driver, Handle, Instance, Status


@runtime_checkable
class AuthorisesKey(Protocol):
    """A driver whose new hosts let in ``Request.login``; their addresses, and their host keys, show once they run."""

    authorises_key: ClassVar[bool]


@runtime_checkable
class InspectsTogether(Protocol):
    """A driver that sees many instances at the cost of one."""

    def inspect_all(self, handles: Sequence[Handle], *, deadline: float) -> Sequence[Status]:
        """Return what ``inspect`` would of each, in their order, all within ``deadline`` seconds.

        What cannot be asked is ``State.UNKNOWN`` or ``State.TIMEOUT`` with the reason as its detail.
        """


@runtime_checkable
class TracksAddress(Protocol):
    """A driver whose instances may come back at another address when they are switched on."""

    def whereabouts(self, handle: Handle) -> Instance:
        """Return where the instance is now, with the same handle and login as from ``create``."""


@runtime_checkable
class Adopts(Protocol):
    """A driver that takes over instances it did not make: they are set up as bare metal is, and outlive ``rm``."""

    def adopting(self) -> Driver:
        """Return the driver as it is towards what it adopts: ``preexisting``, and ``Request.adopted`` says which."""


@dataclass(frozen=True, slots=True)
class NodePort:
    """A way between hosts: ``tcp`` or ``udp`` and a port, or another IP protocol (``esp``), which has none."""

    protocol: str
    port: int = 0


@runtime_checkable
class Interconnects(Protocol):
    """A driver whose instances are kept apart by a firewall of the cloud's until it is told otherwise."""

    def interconnect(self, handle: Handle, openings: Sequence[NodePort]) -> None:
        """Open these ways between the instance and its neighbours of this driver, to nobody else. Repeatable.

        What others guard stays as they have it. Raises ``DriverError``.
        """


def _untold(_owner: str, _home: str) -> bool | None:
    """Tell nothing of another store."""
    return None


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that carries our marks and that no machine of the store needs.

    ``kind`` is ``instance``, ``volume``, ``security group``, ``key pair`` or ``virtual machine``; ``name`` is what
    its owner calls it, ``id`` what the cloud does; ``created`` is ISO 8601 or empty; ``detail`` is what helps to
    decide, its price say. ``handle`` is the driver's own. ``ours`` is false for what another store made.
    """

    kind: str
    id: str
    name: str
    place: str
    created: str = ""
    detail: str = ""
    ours: bool = True
    handle: Handle = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Search:
    """Where to look for leftovers: ``options`` as for ``create``, ``owner`` is the store that asks.

    ``known`` maps machine ids to handles; a machine that has none yet maps to an empty one. ``notice`` takes what the
    user should know: a place that could not be looked at, say. ``lives`` tells of another store, or of
    another copy of this one, by ``Request.owner`` and ``Request.home``, whether it is still there; None where nobody
    can tell.
    """

    options: Any
    owner: str
    known: Mapping[str, Handle]
    notice: Callable[[str], None] = NOBODY.notice
    lives: Callable[[str, str], bool | None] = _untold


@runtime_checkable
class FindsLeftovers(Protocol):
    """A driver that finds what is left of machines that no store knows: a cloud goes on billing for it."""

    def leftovers(self, search: Search) -> Sequence[Leftover]:
        """List them, in the order in which they are to be removed. Changes nothing. Raises ``DriverError``."""

    def discard(self, leftover: Leftover) -> None:
        """Remove one; what is gone already is no error."""
