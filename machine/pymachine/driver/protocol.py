"""The driver protocol: its methods, and the values that pass between a driver and the core."""

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

    The flag is ``--field-name`` unless given; ``env`` names a variable that sets the default; ``aliases`` are further
    flags, e.g. docker-machine's. The field's type (str, int, bool, tuple[str, ...] or one of them with ``| None``)
    determines how the value is parsed.
    """
    return {
        "help": help,
        "flag": flag,
        "env": env,
        "metavar": metavar,
        "aliases": aliases,
        "required": required,
    }


def credential(help: str, *, flag: str, metavar: str) -> dict[str, Any]:
    """Return the metadata of an option that is a secret: it is kept among the machine's secrets, and in no record.

    The field is a ``str | None``, None by default, with ``repr=False``. See ``UsesCredentials``.
    """
    return {**option(help, flag=flag, metavar=metavar), "secret": True}


def refused(flag: str, why: str, *aliases: str) -> dict[str, Any]:
    """Return the metadata of an option of another tool that this driver does not support.

    The help does not show it; using it prints ``why``, a sentence that says what to do instead. The field is a ``str
    | None``, None by default, and the value never reaches the driver.
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
    """How the core logs in to a host that does not exist yet; the driver installs these keys on it.

    ``public_key`` is the OpenSSH line of the key to authorise. ``host_public`` and ``host_private`` are the SSH
    host's own key (OpenSSH line, OpenSSH PEM), so that the first connection can be verified; the private one is empty
    if the host already has it, and both are empty if the host generates its own (see ``AuthorisesKey``).
    """

    public_key: str
    host_public: str
    host_private: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CarriedFile:
    """A file that the host must have at its first boot; its owner is root, ``path`` is absolute."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class FirstBoot:
    """What the host runs by itself at its first boot. Secret: it contains the engine's key.

    ``command`` is a line of POSIX sh to run once as root when ``files`` and the login account exist. ``early`` says
    that it needs no network, so it may run in parallel to the rest of the boot instead of after it.
    """

    files: tuple[CarriedFile, ...]
    command: str
    early: bool = False


def _ignore(text: str) -> None:
    """The default listener, which does nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a driver is asked to create. ``options`` is an instance of the driver's own options class.

    ``resume`` is the last remembered handle of a create that stopped half-way, or None; the driver then continues
    with what exists instead of making a second instance. ``owner`` is the name of the store, so that a cloud can tell
    later whose an instance is; ``home`` is where that store is, for ``Search.lives``. ``login`` and ``first_boot``
    are given to drivers that plan before the boot, the former also to those that authorise a key. ``source``, for
    drivers that clone, is the instance whose disk is copied. ``adopted``, for drivers that adopt, is the driver's
    name of the instance. ``progress`` takes a line of live output, ``notice`` a fact that is worth keeping.
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

    ``ssh`` is None if there is no host to set up (the ``none`` driver); ``endpoint`` None means the SSH host and the
    requested engine port. ``certificates`` are client files (``ca.pem``, ``cert.pem``, ``key.pem``) that came with
    the endpoint and not from pymachine. ``own_key`` says that the host does not know ``Request.login``; the keys that
    ``ssh`` or the user's SSH configuration names are used instead.
    """

    handle: Handle
    ssh: SshAddress | None = None
    endpoint: Endpoint | None = None
    addresses: tuple[str, ...] = ()
    certificates: Mapping[str, bytes] = field(default_factory=dict)
    own_key: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """The state of an instance; ``detail`` is a short reason if the state alone is not enough."""

    state: State
    addresses: tuple[str, ...] = ()
    detail: str = ""


class Driver(Protocol):
    """Creates, finds and removes hosts.

    ``api`` is the version of this interface for which the driver was written. ``options`` is a dataclass whose fields
    carry ``option(...)`` metadata. ``preexisting`` says that the host exists before ``create`` and after ``destroy``
    (bare metal): the core then surveys the host before it makes anything, releases it (with ``destroy``) if it
    refuses, and takes its set-up off the host when the machine is removed.
    """

    api: ClassVar[int]
    options: ClassVar[type]
    preexisting: ClassVar[bool]

    def check(self, request: Request) -> None:
        """Refuse with ``UsageFault`` or ``CheckFailed`` what cannot work, before anything is made.

        Must not change anything; may use the network for a few seconds.
        """

    def create(self, request: Request, remember: Remember) -> Instance:
        """Make the instance, or continue with ``request.resume``.

        Call ``remember(handle)`` before anything that must be cleaned up exists: it is saved before it returns, and
        ``destroy`` finds by it what was made since. Raises ``DriverError``; here as everywhere, ``CheckFailed`` and
        ``UsageFault`` say that this call changed nothing.
        """

    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """Say how the instance is now, within ``deadline`` seconds. A vanished one is ``State.MISSING``."""

    def destroy(self, handle: Handle) -> None:
        """Remove what ``create`` made.

        Takes any handle that was ever remembered; it is not an error if it is already gone.
        """


@dataclass(frozen=True, slots=True)
class Listener:
    """Receives messages of a driver: ``progress`` a line of live output, ``notice`` a fact that is worth keeping."""

    progress: Callable[[str], None] = _ignore
    notice: Callable[[str], None] = _ignore


NOBODY = Listener()
