"""What every driver is, and what it is asked: the values that pass between it and the core."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

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


def refused(flag: str, why: str, *aliases: str) -> dict[str, Any]:
    """Return the metadata of an option that another tool has and this driver will not follow.

    Help does not show it; whoever gives it reads ``why``, a sentence that says what to do instead. The field is a
    ``str | None``, None by default, and the value never gets as far as the driver.
    """
    return {
        "help": "",
        "flag": flag,
        "env": None,
        "metavar": None,
        "aliases": aliases,
        "required": False,
        "refused": why,
    }


@dataclass(frozen=True, slots=True)
class Login:
    """How the core will log in to a host that is not there yet: the driver puts these on it.

    ``public_key`` is the OpenSSH line of the key that must be let in. ``host_public`` and ``host_private`` are
    the SSH host's own key (OpenSSH line, OpenSSH PEM), so that its first connection is no leap of faith; the private
    one is empty where the host has it already, both where the host makes its own (see ``AuthorisesKey``).
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
    on with what exists instead of making a second one. ``owner`` names the store that asks, so that a cloud can tell
    later whose an instance is; ``home`` says where that store is, for ``Search.lives``. ``login`` and ``first_boot``
    are given to drivers that foresee their instances, the former also to those that authorise a key; ``source``, to
    those that clone, is the instance whose disk the new one starts with. ``adopted``, to those that adopt, is what
    the driver calls the instance.
    ``progress`` takes a line of live output, ``notice`` a fact that is worth keeping.
    """

    name: str
    machine_id: str
    options: Any
    engine_port: int
    resume: Handle | None = None
    owner: str = ""
    home: str = ""
    adopted: str = ""
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
    came with the endpoint rather than from us. ``own_key`` says that the host does not know ``Request.login``: it is
    logged in to by the keys that ``ssh`` or the user's SSH configuration names.
    """

    handle: Handle
    ssh: SshAddress | None = None
    endpoint: Endpoint | None = None
    addresses: tuple[str, ...] = ()
    certificates: Mapping[str, bytes] = field(default_factory=dict)
    own_key: bool = False


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
    ``destroy`` (bare metal): the core then looks at the host before it makes anything, releases it (with
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

        Call ``remember(handle)`` before anything that must be cleaned up exists: it is saved before it returns, and
        ``destroy`` finds by it what was made since. Raises ``DriverError``; here as everywhere, ``CheckFailed`` and
        ``UsageFault`` say that this call changed nothing.
        """

    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """Say how the instance is now, within ``deadline`` seconds. A vanished one is ``State.MISSING``."""

    def destroy(self, handle: Handle) -> None:
        """Remove what ``create`` made. Takes any handle ever remembered; what is gone already is no error."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears what a driver has to say while it works.

    ``progress`` takes a line of live output, ``notice`` a fact that is worth keeping.
    """

    progress: Callable[[str], None] = _ignore
    notice: Callable[[str], None] = _ignore


NOBODY = Listener()
