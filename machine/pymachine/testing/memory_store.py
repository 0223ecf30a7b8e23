"""A store in memory for tests: the same promises as ``store.sqlite``, proved by the same contract suite."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pymachine.documents import from_document, to_document
from pymachine.errors import LeaseHeld
from pymachine.model import Machine, check_name
from pymachine.store import Broken, Holder, Lease, Operation, client_files, journal, notes, records
from pymachine.store.leases import held_by, lost
from pymachine.store.names import natural_key


class MemoryStore:
    """Records in a dictionary; only the client's certificates become files, below ``folder``.

    Documents pass through JSON, so that a test finds out what would not survive a real store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._identity = uuid.uuid4().hex
        self._lock = threading.RLock()
        self._documents: dict[str, str] = {}
        self._secrets: dict[str, dict[str, bytes]] = {}
        self._leases: dict[str, _Lease] = {}
        self._operations: list[Operation] = []
        self._notes: dict[str, str] = {}

    @property
    def folder(self) -> Path:
        """The folder that holds the client's certificates."""
        return self._folder

    @property
    def identity(self) -> str:
        """The random name of this store."""
        return self._identity

    def get(self, name: str) -> Machine:
        """Return the record."""
        machine = self.find(name)
        if machine is None:
            raise records.no_such(name)
        return machine

    def find(self, name: str) -> Machine | None:
        """Return the record, or None."""
        with self._lock:
            document = self._documents.get(name.lower())
        return from_document(Machine, json.loads(document)) if document else None

    def records(self) -> list[Machine | Broken]:
        """Return all records, in natural order of their names."""
        with self._lock:
            found = [from_document(Machine, json.loads(document)) for document in self._documents.values()]
        return [*sorted(found, key=lambda machine: natural_key(machine.name))]

    def put(self, machine: Machine, *, secrets: Mapping[str, bytes] | None = None) -> Machine:
        """Write the record if it still is as it was read, and its secrets with it."""
        check_name(machine.name)
        with self._lock:
            current = self.find(machine.name)
            if machine.rev == 0 and current is not None:
                raise records.already_there(machine.name)
            if machine.rev and (current is None or (current.id, current.rev) != (machine.id, machine.rev)):
                raise records.changed_meanwhile(machine.name)
            saved = replace(machine, rev=machine.rev + 1)
            former = self._documents.get(machine.name.lower(), "{}")
            self._documents[machine.name.lower()] = json.dumps(records.with_unknown_keys(saved, former))
            kept = {**self._secrets.get(machine.name.lower(), {}), **(secrets or {})}
            self._secrets[machine.name.lower()] = {file: content for file, content in kept.items() if content}
        return saved

    def secrets(self, name: str) -> dict[str, bytes]:
        """Return the machine's certificates and keys by file name."""
        with self._lock:
            return dict(self._secrets.get(name.lower(), {}))

    def remove(self, name: str, *, rev: int | None = None) -> None:
        """Forget the machine, its secrets and its client files."""
        with self._lock:
            current = self.find(name)
            if current is not None and rev is not None and current.rev != rev:
                raise records.changed_meanwhile(name)
            client_files.remove(self.client_folder(name))
            client_files.remove(client_files.trial_folder(self._folder, self.client_folder(name).name))
            self._documents.pop(name.lower(), None)
            self._secrets.pop(name.lower(), None)

    def client_folder(self, name: str) -> Path:
        """The folder for DOCKER_CERT_PATH, spelled as the record spells the name."""
        found = self.find(name)
        return client_files.client_folder(self._folder, found.name if found else name)

    def materialise(self, name: str) -> Path:
        """Write the docker client's files, unless they are as they should be, and return their folder."""
        with self._lock:
            self.get(name)
            path = self.client_folder(name)
            files = client_files.wanted_files(name, self.secrets(name))
            if not client_files.is_current(path, files):
                client_files.write(path, files)
        return path

    def note(self, name: str) -> dict[str, Any]:
        """Return the note kept under a name that no machine has."""
        with self._lock:
            return notes.parsed(name, self._notes.get(name, "{}"))

    def keep(self, name: str, document: Mapping[str, Any]) -> None:
        """Keep a document under that name; an empty one forgets it."""
        with self._lock:
            self._notes[name] = notes.dumped(document)
            if not document:
                del self._notes[name]

    def noted(self, start: str) -> list[str]:
        """Return the names that begin like this and have a document."""
        with self._lock:
            return sorted(name for name in self._notes if name.startswith(start))

    def lease(self, name: str, purpose: str, *, wait: float = 0.0) -> AbstractContextManager[Lease]:
        """Hold the right to work on the machine."""
        return self._hold(name, purpose, wait)

    def holder(self, name: str) -> Holder | None:
        """Who works on the machine now, or None."""
        with self._lock:
            lease = self._leases.get(name.lower())
        return lease.holder if lease else None

    def break_lease(self, name: str) -> Holder | None:
        """Take the lease away from its holder, and return that holder."""
        with self._lock:
            lease = self._leases.pop(name.lower(), None)
        return lease.holder if lease else None

    def begin(self, machine: Machine, kind: str, payload: Mapping[str, Any] | None = None) -> int:
        """Open an entry in the journal and return its number."""
        now = journal.timestamp()
        kept = json.loads(json.dumps(to_document(payload or {})))
        with self._lock:
            number = len(self._operations) + 1
            self._operations.append(Operation(number, machine.id, machine.name, kind, "", now, now, None, "", kept))
        return number

    def advance(self, operation: int, step: str) -> None:
        """Note the step that begins now."""
        self._change(operation, step=step)

    def finish(self, operation: int, outcome: str, message: str = "") -> None:
        """Close the entry with ``done`` or ``failed``."""
        journal.check_outcome(outcome)
        self._change(operation, outcome=outcome, message=message)

    def operations(self, name: str | None = None, *, unfinished: bool = False) -> list[Operation]:
        """Return journal entries, newest first."""
        with self._lock:
            found = self._operations[::-1]
        return [
            entry
            for entry in found
            if (name is None or entry.machine.lower() == name.lower()) and not (unfinished and entry.outcome)
        ]

    def _change(self, operation: int, **changes: Any) -> None:
        with self._lock:
            journal.require(0 < operation <= len(self._operations), operation)
            entry = self._operations[operation - 1]
            self._operations[operation - 1] = replace(entry, changed=journal.timestamp(), **changes)

    @contextmanager
    def _hold(self, name: str, purpose: str, wait: float) -> Iterator[Lease]:
        lease = self._taken(name, purpose, time.monotonic() + wait)
        try:
            yield lease
        finally:
            with self._lock:
                if self._leases.get(name.lower()) is lease:
                    del self._leases[name.lower()]

    def _taken(self, name: str, purpose: str, end: float) -> _Lease:
        while True:
            try:
                return self._take(name, purpose)
            except LeaseHeld:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.01)

    def _take(self, name: str, purpose: str) -> _Lease:
        holder = Holder(name, purpose, "tester", socket.gethostname(), os.getpid(), journal.timestamp())
        with self._lock:
            if name.lower() in self._leases:
                raise held_by(self._leases[name.lower()].holder)
            lease = self._leases[name.lower()] = _Lease(self._leases, holder)
        return lease


class _Lease:
    """A lease that a test holds; it ends by release or by being broken, never by time."""

    def __init__(self, leases: Mapping[str, _Lease], holder: Holder) -> None:
        self._leases = leases
        self._holder = holder

    @property
    def holder(self) -> Holder:
        """Who holds it."""
        return self._holder

    def check(self) -> None:
        """Raise ``LeaseHeld`` if the lease was broken."""
        if self._leases.get(self._holder.name.lower()) is not self:
            raise lost(self._holder)
