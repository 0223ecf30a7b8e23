"""The seam that drivers are written against. Third parties import this module and nothing else of the core.

A driver is a class with four methods and a dataclass of options; ``docs/drivers.md`` has a complete example
and ``pymachine.testing.contract`` the suite that proves one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
class Login:
    """How the core will log in to a host that is not there yet: the driver puts these on it (see ``Foresees``).

    ``public_key`` is the OpenSSH line of the key that must be let in. ``host_public`` and ``host_private`` are
    the SSH host's own key (OpenSSH line, OpenSSH PEM), so that its first connection is no leap of faith; the private
    one is empty where the host has it already.
    """

    public_key: str
    host_public: str
    host_private: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CarriedFile:
    """A file that the host must have at its first boot; owner root, ``path`` absolute."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class FirstBoot:
    """What the host is to do by itself when it boots for the first time. Secret: the engine's key is in it.

    ``command`` is a line of POSIX sh to run once as root when ``files`` are there and the login account exists.
    ``early`` says that it needs no network: it may run beside the rest of the boot instead of after it.
    """

    files: tuple[CarriedFile, ...]
    command: str
    early: bool = False


def _ignore(text: str) -> None:
    """The default listener."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a driver is asked to make. ``options`` is an instance of the driver's own options class.

    ``resume`` is the last remembered handle of a create that stopped half-way, or None: the driver then goes
    on with what exists instead of making a second one. ``login`` and ``first_boot`` are given to drivers that
    foresee their instances; ``source``, to those that clone, is the instance whose disk the new one starts with.
    ``progress`` takes a line of live output, ``notice`` a fact that is worth keeping.
    """

    name: str
    machine_id: str
    options: Any
    engine_port: int
    resume: Handle | None = None
    login: Login | None = None
    first_boot: FirstBoot | None = None
    source: Handle | None = None
    progress: Callable[[str], None] = field(default=_ignore, compare=False)
    notice: Callable[[str], None] = field(default=_ignore, compare=False)


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


@dataclass(frozen=True, slots=True)
class Prospect:
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
class Foresees(Protocol):
    """A driver that knows its instance before it boots, and carries keys and the engine's set-up to it.

    The core then issues certificates first, and ``create`` gets ``Request.login`` and ``Request.first_boot``.
    """

    def foresee(self, request: Request, remember: Remember) -> Prospect:
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


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears what a driver has to say while it works.

    ``progress`` takes a line of live output, ``notice`` a fact that is worth keeping.
    """

    progress: Callable[[str], None] = _ignore
    notice: Callable[[str], None] = _ignore


NOBODY = Listener()


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
