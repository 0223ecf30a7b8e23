"""Capabilities of cloud drivers, whose instances are found and billed through an API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from pymachine.driver.protocol import NOBODY, Driver, Handle, Instance, Status


@runtime_checkable
class AuthorisesKey(Protocol):
    """A driver whose new hosts authorise ``Request.login``; their addresses and host keys are known when they run."""

    authorises_key: ClassVar[bool]


@runtime_checkable
class InspectsTogether(Protocol):
    """A driver that can inspect many instances with one request."""

    def inspect_all(self, handles: Sequence[Handle], *, deadline: float) -> Sequence[Status]:
        """Return what ``inspect`` would return for each, in their order, all within ``deadline`` seconds.

        An instance that cannot be asked is ``State.UNKNOWN`` or ``State.TIMEOUT`` with the reason as its detail.
        """


@runtime_checkable
class TracksAddress(Protocol):
    """A driver whose instances may have another address after a stop."""

    def whereabouts(self, handle: Handle) -> Instance:
        """Return the instance with its current address, and the same handle and login as from ``create``."""


@runtime_checkable
class Adopts(Protocol):
    """A driver that can adopt existing instances: they are set up like bare-metal hosts, and outlive ``rm``."""

    def adopting(self) -> Driver:
        """Return the driver for adopted instances, which is ``preexisting``; ``Request.adopted`` is the instance."""


@dataclass(frozen=True, slots=True)
class NodePort:
    """A port between nodes: ``tcp`` or ``udp`` and a port number, or another IP protocol (``esp``) without one."""

    protocol: str
    port: int = 0


@runtime_checkable
class Interconnects(Protocol):
    """A driver whose instances are separated by a firewall of the cloud."""

    def interconnect(self, handle: Handle, openings: Sequence[NodePort]) -> None:
        """Open these ports between the instance and its neighbours of this driver only. Repeatable.

        Firewalls that pymachine did not make stay unchanged. Raises ``DriverError``.
        """


def _untold(_owner: str, _home: str) -> bool | None:
    """Report that nothing is known of another store."""
    return None


@dataclass(frozen=True, slots=True)
class Leftover:
    """A resource that carries pymachine's marks and that no machine of the store needs.

    ``kind`` is ``instance``, ``volume``, ``security group``, ``key pair`` or ``virtual machine``; ``name`` is its
    owner's name for it, ``id`` the cloud's; ``created`` is ISO 8601 or empty; ``detail`` helps to decide, e.g. its
    price. ``handle`` is the driver's own. ``ours`` is false if another store made it.
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
    """Where to look for leftovers: ``options`` as for ``create``; ``owner`` is the store that asks.

    ``known`` maps machine ids to handles; a machine without a handle maps to an empty one. ``notice`` takes what the
    user should know, e.g. a region that could not be searched. ``lives`` tells whether another store, or another copy
    of this one, still exists, by ``Request.owner`` and ``Request.home``; None if unknown.
    """

    options: Any
    owner: str
    known: Mapping[str, Handle]
    notice: Callable[[str], None] = NOBODY.notice
    lives: Callable[[str, str], bool | None] = _untold


@runtime_checkable
class FindsLeftovers(Protocol):
    """A driver that can find resources of machines that no store knows, which the cloud still bills."""

    def leftovers(self, search: Search) -> Sequence[Leftover]:
        """List them in the order in which they have to be removed. Changes nothing. Raises ``DriverError``."""

    def discard(self, leftover: Leftover) -> None:
        """Remove one; it is not an error if it is already gone."""
