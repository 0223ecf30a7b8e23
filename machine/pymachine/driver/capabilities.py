"""Optional capabilities of drivers: each is a small protocol, recognised by its methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from pymachine.driver.protocol import NOBODY, Handle, Instance, Listener, Remember, Request
from pymachine.model import Endpoint, SshAddress, State


@runtime_checkable
class Locates(Protocol):
    """A driver that can tell which host ``create`` would take, so that a dry run can survey it."""

    def locate(self, request: Request) -> Instance:
        """Return what ``create`` would return, without taking or changing anything."""


@dataclass(frozen=True, slots=True)
class PlannedInstance:
    """An instance before it is made. ``ssh`` is None if its address is known only when it runs.

    ``os_release`` is the text of its /etc/os-release if the image tells it, else empty; ``arch`` uses Debian's names
    (``amd64``, ``arm64``). ``engine`` is the version of the engine inside the image, which is not started yet; empty
    without one.
    """

    handle: Handle
    ssh: SshAddress | None = None
    endpoint: Endpoint | None = None
    addresses: tuple[str, ...] = ()
    os_release: str = ""
    arch: str = "amd64"
    engine: str = ""


@runtime_checkable
class PlansBeforeBoot(Protocol):
    """A driver that knows its instance before the boot, and gives it keys and the engine's set-up.

    The core then issues certificates first, and ``create`` gets ``Request.login`` and ``Request.first_boot``.
    """

    def foresee(self, request: Request, remember: Remember) -> PlannedInstance:
        """Decide where the instance will be and what it contains; ``create`` then continues with its handle.

        Calls ``remember`` before anything exists that must be cleaned up. Repeatable. Raises as ``create``.
        """


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A saved state of an instance. ``created`` is ISO 8601, UTC; ``state`` is the instance's state at that time."""

    name: str
    created: str
    state: State
    current: bool = False


@runtime_checkable
class Snapshots(Protocol):
    """A driver that can create and restore snapshots of an instance. Unknown names raise ``DriverError``."""

    def snapshot(self, handle: Handle, name: str) -> None:
        """Save the current state under an unused name."""

    def restore(self, handle: Handle, name: str) -> State:
        """Restore a snapshot; return the instance's state afterwards."""

    def snapshots(self, handle: Handle) -> tuple[Snapshot, ...]:
        """Return the snapshots, oldest first."""

    def drop_snapshot(self, handle: Handle, name: str) -> None:
        """Delete a snapshot."""


@runtime_checkable
class Console(Protocol):
    """A driver that can show the console output of its instances."""

    def console_log(self, handle: Handle) -> bytes:
        """Return the stored console output, oldest first; empty if there is none."""

    def attach(self, handle: Handle, keys: int, screen: int) -> None:
        """Connect two file descriptors to the console until its input sends Ctrl-] or the console ends."""


@runtime_checkable
class Clones(Protocol):
    """A driver that plans before the boot and can copy another instance's disk (``Request.source``).

    The copy is complete when ``foresee`` returns. The core gives the new host its own identity.
    """

    def check_source(self, handle: Handle) -> None:
        """Raise ``CheckFailed`` if the instance cannot be copied now, e.g. because it runs."""


@runtime_checkable
class KeepsImages(Protocol):
    """A driver that keeps copies of images on the hosts of its instances."""

    def drop_image(self, digest: str, handles: Sequence[Handle]) -> tuple[str, ...]:
        """Remove the copies of the image with this SHA-256 from the default place and from the places of ``handles``.

        Returns the names of the instances that use it; nothing is removed while there are any.
        """


@runtime_checkable
class Resizes(Protocol):
    """A driver that can change the size of an instance that is powered off. Disks only grow."""

    def resize(self, handle: Handle, *, cpus: int | None, memory: int | None, disk: int | None) -> None:
        """Set virtual processors, memory and disk (bytes) if given. Raises ``CheckFailed`` for a running instance."""


@runtime_checkable
class Alters(Protocol):
    """A driver whose existing instances can get new values of some options.

    ``alters`` maps an option's name to what a change means: ``cpus``, ``memory`` or ``disk`` (see ``Resizes``),
    ``refit`` (see ``UpdatesInPlace``), ``reach`` (how to log in; see ``Locates``), ``move`` (the address of an
    existing host; see ``Locates``) or ``record`` (nothing on the instance). Any other option needs another instance.
    """

    alters: ClassVar[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class InPlaceUpdate:
    """New options of an instance: the former ones, the wanted ones, and the names of those that differ."""

    before: Any
    after: Any
    names: tuple[str, ...]
    engine_port: int


@runtime_checkable
class UpdatesInPlace(Protocol):
    """A driver that can change those options of an instance that ``alters`` calls ``refit``."""

    def needs_power_off(self, handle: Handle, change: InPlaceUpdate) -> bool:
        """Return whether the instance has to be powered off for the change.

        Changes nothing. Raises ``CheckFailed`` for a change that is not possible for this instance.
        """

    def refit(self, handle: Handle, change: InPlaceUpdate, listener: Listener = NOBODY) -> None:
        """Make the change; it is not an error if a part of it is already in place. Raises ``DriverError``."""


@dataclass(frozen=True, slots=True)
class Baking:
    """An image to bake: its name, and the options of the instance from which it is made."""

    image: str
    options: Any


@dataclass(frozen=True, slots=True)
class Baked:
    """The contents of an instance that becomes an image: engine version, and the text of its /etc/os-release."""

    image: str
    engine: str
    os_release: str


@runtime_checkable
class Bakes(Protocol):
    """A driver that can keep an instance's disk as an image with the engine inside.

    The core creates an instance with ``Baking.options``, removes what identifies it, has the disk kept and removes
    the instance. Later requests for the same image use the kept one.
    """

    def baking(self, request: Request) -> Baking | None:
        """Return what to bake before the request is executed; None if it is not requested or already done.

        May download the image. Raises ``CheckFailed`` if the name belongs to an image of another kind.
        """

    def keep(self, handle: Handle, baked: Baked, listener: Listener = NOBODY) -> None:
        """Shut the instance down and keep its whole disk, or nothing, as image ``baked.image``. Repeatable."""


@runtime_checkable
class UsesCredentials(Protocol):
    """A driver whose machines may have credentials of their own: the values of its ``secret`` options.

    The core keeps them among the machine's secrets, and gives them before it asks anything about the machine.
    """

    def use_credentials(self, machine_id: str, credentials: Mapping[str, str]) -> None:
        """Use these for the machine from now on, in all objects of this process; they are by the option's name."""


@runtime_checkable
class PowerControl(Protocol):
    """A driver that controls the power of its instances. Each method returns when the state is reached.

    It is not an error if the state is already reached. The listener gets the progress of a boot, and a notice if a
    guest did not shut down and was powered off.
    """

    def start(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Power on; resume a paused instance and restore a saved one."""

    def stop(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Shut down; power off if the instance does not shut down in time."""

    def kill(self, handle: Handle) -> None:
        """Power off."""

    def restart(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Shut down and power on."""
