"""Where the records of the machines live: the seam. Import its names from ``pymachine.store``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pymachine.model import Machine


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that cannot be read: one error row in a list, never an empty list."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Who works on a machine: shown when somebody else wants to. ``since`` is ISO 8601, UTC."""

    name: str
    purpose: str
    user: str
    host: str
    pid: int
    since: str


class Lease(Protocol):
    """The sole right to work on one machine, kept alive by its holder until released."""

    @property
    def holder(self) -> Holder:
        """Who holds it: this process."""

    def check(self) -> None:
        """Raise ``LeaseHeld`` if the lease was lost (this process slept through its end)."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of the journal: what was begun on a machine, how far it came, how it ended.

    ``outcome`` is None while it runs or after a crash, else ``done`` or ``failed``. Times are ISO 8601, UTC.
    """

    id: int
    machine_id: str
    machine: str
    kind: str
    step: str
    begun: str
    changed: str
    outcome: str | None
    message: str
    payload: Mapping[str, Any]


class StoreObserver(Protocol):
    """Hears of the records that this process writes, while it writes them."""

    def adding(self, machine: Machine) -> None:
        """A record is about to be made. What this raises prevents it."""

    def written(self, machine: Machine) -> None:
        """A record was made or changed."""

    def removed(self, name: str, machine_id: str) -> None:
        """A record was removed, also one that could not be read."""


class Store(Protocol):
    """Records, certificates, leases and the journal of one folder. Usable from several threads and processes.

    Names compare without regard to case. Every method may raise ``StoreError``; writers raise
    ``SchemaTooNew`` on a store of a newer version.
    """

    @property
    def folder(self) -> Path:
        """The folder that holds everything."""

    @property
    def identity(self) -> str:
        """A random name, 32 hex digits, that this store keeps for life: clouds know its machines by it.

        A copy of the folder has the same.
        """

    def get(self, name: str) -> Machine:
        """Return the record. Raises ``NoSuchMachine``."""

    def find(self, name: str) -> Machine | None:
        """Return the record, or None."""

    def records(self) -> list[Machine | Broken]:
        """Return all records, in natural order of their names."""

    def put(self, machine: Machine, *, secrets: Mapping[str, bytes] | None = None) -> Machine:
        """Write the record and return it with its new ``rev``.

        A record with ``rev`` 0 must not exist yet; any other must still have that rev in the store, else
        ``Conflict``. ``secrets`` (file name to content) are written in the same transaction and replace
        those of the same name; one without content is deleted.
        """

    def secrets(self, name: str) -> dict[str, bytes]:
        """Return the machine's certificates and keys by file name."""

    def remove(self, name: str, *, rev: int | None = None) -> None:
        """Forget the machine, its secrets and its client files. It may be gone already."""

    def client_folder(self, name: str) -> Path:
        """The folder for DOCKER_CERT_PATH: a path, computed, whether it exists or not."""

    def materialise(self, name: str) -> Path:
        """Write ``ca.pem``, ``cert.pem`` and ``key.pem`` for the docker client and return their folder.

        A new generation is written aside and swapped in by a symlink, so key and certificate always match.
        """

    def note(self, name: str) -> dict[str, Any]:
        """Return the note kept under a name that no machine has (``fleet:shop``); empty if there is none.

        Raises ``NoteUnreadable`` where something is there that cannot be read.
        """

    def keep(self, name: str, document: Mapping[str, Any]) -> None:
        """Keep a document under that name in place of the one before; an empty one forgets it. No secrets."""

    def noted(self, start: str) -> list[str]:
        """Return the names that begin like this and have a document, in order."""

    def lease(self, name: str, purpose: str, *, wait: float = 0.0) -> AbstractContextManager[Lease]:
        """Hold the right to work on the machine. Raises ``LeaseHeld`` after ``wait`` seconds."""

    def holder(self, name: str) -> Holder | None:
        """Who works on the machine now, or None."""

    def break_lease(self, name: str) -> Holder | None:
        """Take the lease away from its holder, and return that holder."""

    def begin(self, machine: Machine, kind: str, payload: Mapping[str, Any] | None = None) -> int:
        """Open an entry in the journal and return its number."""

    def advance(self, operation: int, step: str) -> None:
        """Note the step that begins now."""

    def finish(self, operation: int, outcome: str, message: str = "") -> None:
        """Close the entry with ``done`` or ``failed``."""

    def operations(self, name: str | None = None, *, unfinished: bool = False) -> list[Operation]:
        """Return journal entries, newest first."""


def readable(store: Store) -> list[Machine]:
    """Return the records that can be read, in natural order of their names."""
    return [record for record in store.records() if not isinstance(record, Broken)]
