"""What a driver may be able to do besides: each power is a small protocol, found by its methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from pymachine.driver.protocol import NOBODY, Handle, Instance, Listener, Remember, Request
from pymachine.model import Endpoint, SshAddress, State


@runtime_checkable
class Locates(Protocol):
    """A driver that can tell which host ``create`` would take, so that a dry run can look at it."""

    def locate(self, request: Request) -> Instance:
        """Return what ``create`` would, without taking or changing anything."""


@dataclass(frozen=True, slots=True)
class PlannedInstance:
    """An instance as it will be.

    ``ssh`` is None where its address shows only once it runs. ``os_release`` is the text of its /etc/os-release
    where the image tells, else empty; ``arch`` is in Debian's words (``amd64``, ``arm64``). ``engine`` is the version
    of the engine inside the image, not yet started, empty for none.
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
    """A driver that knows its instance before it boots, and carries keys and the engine's set-up to it.

    The core then issues certificates first, and ``create`` gets ``Request.login`` and ``Request.first_boot``.
    """

    def foresee(self, request: Request, remember: Remember) -> PlannedInstance:
        """Settle where the instance will be and what it will hold; ``create`` follows, to go on with its handle.

        Calls ``remember`` before anything that must be cleaned up exists. Repeatable. Raises as ``create``.
        """


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of an instance to go back to. ``created`` is ISO 8601, UTC; ``state`` is how the instance was then."""

    name: str
    created: str
    state: State
    current: bool = False


@runtime_checkable
class Snapshots(Protocol):
    """A driver that can keep states of an instance and go back to them. Unknown names raise ``DriverError``."""

    def snapshot(self, handle: Handle, name: str) -> None:
        """Keep the state of now under a name that is not taken yet."""

    def restore(self, handle: Handle, name: str) -> State:
        """Go back; return how the instance is then."""

    def snapshots(self, handle: Handle) -> tuple[Snapshot, ...]:
        """Return what was kept, oldest first."""

    def drop_snapshot(self, handle: Handle, name: str) -> None:
        """Forget one."""


@runtime_checkable
class Console(Protocol):
    """A driver that shows what its instances print."""

    def console_log(self, handle: Handle) -> bytes:
        """Return what is kept of the console's output, oldest first; empty where nothing was."""

    def attach(self, handle: Handle, keys: int, screen: int) -> None:
        """Connect two file descriptors to the console until its input sends Ctrl-] or the console ends."""


@runtime_checkable
class Clones(Protocol):
    """A driver that foresees, and can begin an instance with a copy of another's disk: ``Request.source`` names it.

    The copy is complete when ``foresee`` returns. The core gives the new host an identity of its own.
    """

    def check_source(self, handle: Handle) -> None:
        """Raise ``CheckFailed`` for an instance that cannot be copied now, because it runs for one."""


@runtime_checkable
class KeepsImages(Protocol):
    """A driver that keeps copies of images where its instances run."""

    def drop_image(self, digest: str, handles: Sequence[Handle]) -> tuple[str, ...]:
        """Remove the copies of the image with this SHA-256 from the default place and from where ``handles`` are.

        Returns the names of the instances that stand on it; nothing is removed while there are any.
        """


@runtime_checkable
class Resizes(Protocol):
    """A driver that can change the size of an instance that is switched off. Disks only grow."""

    def resize(self, handle: Handle, *, cpus: int | None, memory: int | None, disk: int | None) -> None:
        """Set virtual processors, memory and disk (bytes) where given. Raises ``CheckFailed`` for one that runs."""


@runtime_checkable
class Alters(Protocol):
    """A driver of whose options some can be other ones on an instance that exists.

    ``alters`` says by an option's name what a change means: ``cpus``, ``memory`` or ``disk`` (see ``Resizes``),
    ``refit`` (see ``UpdatesInPlace``), ``reach`` (how it is logged in to; see ``Locates``), ``move`` (where a host is
    that was there before; see ``Locates``) or ``record`` (nothing on the
    instance). Any other option makes another instance.
    """

    alters: ClassVar[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class InPlaceUpdate:
    """Other options for an instance: as they were, as they are to be, and the names of those that differ."""

    before: Any
    after: Any
    names: tuple[str, ...]
    engine_port: int


@runtime_checkable
class UpdatesInPlace(Protocol):
    """A driver that can give an instance those of its options another value that ``alters`` calls ``refit``."""

    def needs_power_off(self, handle: Handle, change: InPlaceUpdate) -> bool:
        """Return whether the instance has to be switched off meanwhile. Changes nothing.

        Raises ``CheckFailed`` for a change that cannot be made to this instance.
        """

    def refit(self, handle: Handle, change: InPlaceUpdate, listener: Listener = NOBODY) -> None:
        """Make the change; what is so already is no error. Raises ``DriverError``."""


@dataclass(frozen=True, slots=True)
class Baking:
    """An image that is to be baked: the name it gets, and the options of the instance that it is made of."""

    image: str
    options: Any


@dataclass(frozen=True, slots=True)
class Baked:
    """What an instance that becomes an image holds: version of its engine, text of its /etc/os-release."""

    image: str
    engine: str
    os_release: str


@runtime_checkable
class Bakes(Protocol):
    """A driver that can keep an instance's disk as an image with the engine inside.

    The core makes an instance by ``Baking.options``, takes off it what makes it this one and not another, has it
    kept and removes it. A request for the same image afterwards begins with the one that was kept.
    """

    def baking(self, request: Request) -> Baking | None:
        """Return what to bake before the request is carried out; None where nobody asked for it, or it is done.

        May fetch the image. Raises ``CheckFailed`` where the name is taken by an image of another kind.
        """

    def keep(self, handle: Handle, baked: Baked, listener: Listener = NOBODY) -> None:
        """Shut the instance down and keep its disk as image ``baked.image``, whole or not at all. Repeatable."""


@runtime_checkable
class PowerControl(Protocol):
    """A driver that can switch its instances on and off. Each returns when the state is reached.

    What is in that state already is no error. The listener hears how a boot goes on, and of a guest that had to be
    cut off because it did not follow.
    """

    def start(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Switch on; one that is paused or saved goes on from there."""

    def stop(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Shut down in order; cut the power of one that does not follow in time."""

    def kill(self, handle: Handle) -> None:
        """Cut the power."""

    def restart(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Shut down and switch on."""
