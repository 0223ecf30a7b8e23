"""The seam that drivers are written against. Third parties import this module and nothing else of the core.

A driver is a class with four methods and a dataclass of options; ``docs/drivers.md`` has a complete example
and ``pymachine.testing.contract`` the suite that proves one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from pymachine.model import Endpoint, SshAddress, State

API = 1

Handle = Mapping[str, Any]
Remember = Callable[[Handle], None]


def option(
    help: str,
    *,
    flag: str | None = None,
    env: str | None = None,
    metavar: str | None = None,
    aliases: tuple[str, ...] = (),
    required: bool = False,
) -> dict[str, Any]:
    """Return the metadata of an option field, for ``dataclasses.field(metadata=option(...))``.

    The flag is ``--field-name`` unless given; ``env`` names a variable that sets the default; ``aliases`` are
    further flags (docker-machine's, say). The field's type (str, int, bool, tuple[str, ...] or one of them
    with ``| None``) says how the value is read.
    """
    return {
        "help": help,
        "flag": flag,
        "env": env,
        "metavar": metavar,
        "aliases": aliases,
        "required": required,
    }


@dataclass(frozen=True, slots=True)
class Request:
    """What a driver is asked to make. ``options`` is an instance of the driver's own options class.

    ``resume`` is the last remembered handle of a create that stopped half-way, or None: the driver then goes
    on with what exists instead of making a second one.
    """

    name: str
    machine_id: str
    options: Any
    engine_port: int
    resume: Handle | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """What a driver made or found.

    ``ssh`` None means that there is no host to set up (the ``none`` driver); ``endpoint`` None means the SSH
    host and the wanted engine port. ``certificates`` are client files (``ca.pem``, ``cert.pem``, ``key.pem``) that
    came with the endpoint rather than from us.
    """

    handle: Handle
    ssh: SshAddress | None = None
    endpoint: Endpoint | None = None
    addresses: tuple[str, ...] = ()
    certificates: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """What the driver sees of an instance; ``detail`` is a short reason where the state alone says too little."""

    state: State
    addresses: tuple[str, ...] = ()
    detail: str = ""


class Driver(Protocol):
    """Makes, finds and removes hosts.

    ``api`` is the version of this seam the driver was written for. ``options`` is a dataclass whose fields
    carry ``option(...)`` metadata. ``preexisting`` says that the host is there before ``create`` and stays after
    ``destroy`` (bare metal): the core then looks at the host before it makes anything, gives it back (with
    ``destroy``) when it refuses, and takes its set-up off the host when the machine is removed.
    """

    api: ClassVar[int]
    options: ClassVar[type]
    preexisting: ClassVar[bool]

    def check(self, request: Request) -> None:
        """Refuse with ``UsageFault`` or ``CheckFailed`` what cannot work, before anything is made.

        Must not change anything; may look at the network within a few seconds.
        """

    def create(self, request: Request, remember: Remember) -> Instance:
        """Make the instance, or go on with ``request.resume``.

        Call ``remember(handle)`` the moment anything that must be cleaned up exists: it is saved before it
        returns. Raises ``DriverError``.
        """

    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """Say how the instance is now, within ``deadline`` seconds. A vanished one is ``State.MISSING``."""

    def destroy(self, handle: Handle) -> None:
        """Remove what ``create`` made. Takes any handle ever remembered; what is gone already is no error."""


@runtime_checkable
class Locates(Protocol):
    """A driver that can tell which host ``create`` would take, so that a dry run can look at it."""

    def locate(self, request: Request) -> Instance:
        """Return what ``create`` would, without taking or changing anything."""


@runtime_checkable
class PowerControl(Protocol):
    """A driver that can switch its instances on and off. Each returns when the state is reached."""

    def start(self, handle: Handle) -> None:
        """Switch on."""

    def stop(self, handle: Handle) -> None:
        """Shut down in order."""

    def kill(self, handle: Handle) -> None:
        """Cut the power."""

    def restart(self, handle: Handle) -> None:
        """Shut down and switch on."""
