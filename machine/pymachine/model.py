"""The values that everything else passes round: frozen, JSON-able, without I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from pymachine.errors import ValueFault
from pymachine.options.engine import ENGINE_PORT as ENGINE_PORT
from pymachine.options.engine import EngineSpec as EngineSpec  # a field of the record

SCHEMA = 1

# One DNS label: letters, digits and inner hyphens (RFC 1123). Underscores are left out on purpose:
# the name becomes the host name and a name in the certificate.
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
NAME_LIMIT = 63  # Linux takes 64 bytes; 63 keeps a name usable as one DNS label


def check_name(name: str) -> str:
    """Return the machine name if it can serve as host name, certificate name and folder name.

    Raises ``ValueFault`` otherwise.
    """
    if not name:
        raise ValueFault(None, "a machine name must not be empty", hint="give a name such as node1")
    if len(name) > NAME_LIMIT:
        raise ValueFault(
            None,
            f"machine name {name[:20]}… has {len(name)} characters, {NAME_LIMIT} are allowed",
            hint="choose a shorter name",
        )
    if not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueFault(
            name,
            "is not a valid machine name",
            hint="use letters, digits, hyphens and dots; each part begins and ends with a letter or digit",
        )
    return name


class Phase(StrEnum):
    """How far a machine has come. Saved after every step, so that a create can continue where it stopped."""

    REQUESTED = "requested"
    ALLOCATED = "allocated"
    REACHABLE = "reachable"
    ENGINE = "engine"
    READY = "ready"
    REMOVING = "removing"


class State(StrEnum):
    """What a machine is found to be when it is looked at."""

    RUNNING = "Running"
    PAUSED = "Paused"
    SAVED = "Saved"
    STOPPED = "Stopped"
    STOPPING = "Stopping"
    STARTING = "Starting"
    ERROR = "Error"
    TIMEOUT = "Timeout"
    UNREACHABLE = "Unreachable"
    MISSING = "Missing"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class SshAddress:
    """Where and as whom to log in.

    ``port`` and ``user`` are None where the user gave none: the SSH configuration then decides (22, root).
    ``host_key`` is an OpenSSH public key line (``ssh-ed25519 AAAA…``) or a fingerprint (``SHA256:…``);
    None until the first contact pins it. ``jump`` is ``[user@]bastion[:port]``. ``proxy`` is a program and its words
    whose input and output are the connection, in place of TCP; ``%h`` is the host, ``%p`` the port, ``%%`` a %.
    A program named without a folder is one that was installed together with pymachine.
    """

    host: str
    port: int | None = None
    user: str | None = None
    key_path: str | None = None
    jump: str | None = None
    host_key: str | None = None
    proxy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the engine listens."""

    host: str
    port: int = ENGINE_PORT

    @property
    def url(self) -> str:
        """The address for DOCKER_HOST; IPv6 literals are bracketed."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Certificates:
    """SHA-256 fingerprints (hex) and ends of life (ISO 8601, UTC) of one generation of certificates."""

    ca: str
    server: str
    client: str
    ca_expires: str
    server_expires: str
    client_expires: str
    sans: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for end in (self.ca_expires, self.server_expires, self.client_expires):
            # A ValueError here costs one record; later it would cost a whole list.
            _ = end and datetime.fromisoformat(end)


@dataclass(frozen=True, slots=True)
class Fault:
    """Where and why the last operation on a machine stopped."""

    step: str
    message: str
    at: str
    verb: str = ""  # create, provision, …; empty in records of before it was noted


@dataclass(frozen=True, slots=True)
class Membership:
    """A machine's place in a Swarm as it is on record: ids of cluster and node, ``manager`` or ``worker``."""

    cluster: str
    node: str
    role: str


@dataclass(frozen=True, slots=True)
class Machine:
    """The record of one machine. Changed only by ``with_``; ``rev`` counts the writes to the store.

    ``handle`` belongs to the driver: JSON-able, opaque here, never a secret. ``options`` are the driver
    options as given. ``adopted`` is what the driver calls an instance that it did not make, empty for one that it
    did. ``reported_addresses`` are those that the driver told of last. ``fleet`` names the inventory that the machine
    belongs to, empty for one made by hand; ``swarm`` is where it was last known to be a member. ``guest`` says that
    the host was set up from another store, which gave access to it: what is set up there is not changed from here.
    ``extra`` keeps document keys that this version does not know.
    """

    name: str
    id: str
    driver: str
    phase: Phase = Phase.REQUESTED
    handle: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    ssh: SshAddress | None = None
    endpoint: Endpoint | None = None
    engine: EngineSpec = field(default_factory=EngineSpec)
    engine_version: str | None = None
    addresses: tuple[str, ...] = ()
    reported_addresses: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    adopted: str = ""
    fleet: str = ""
    swarm: Membership | None = None
    certificates: Certificates | None = None
    fault: Fault | None = None
    guest: bool = False
    created: str = ""
    rev: int = 0
    schema: int = SCHEMA
    extra: Mapping[str, Any] = field(default_factory=dict)

    def with_(self, **changes: Any) -> Machine:
        """Return a copy with these fields changed."""
        return replace(self, **changes)
