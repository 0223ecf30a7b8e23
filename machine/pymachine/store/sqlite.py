"""The default store: one SQLite file in a folder of the user's, and the client's certificates beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pymachine.errors import StoreUnwritable
from pymachine.model import Machine
from pymachine.store import client_files, journal, notes, records
from pymachine.store.database import Database
from pymachine.store.errors import translated
from pymachine.store.folder import prepare_folder
from pymachine.store.leases import Leases, Terms
from pymachine.store.migrations import Migrations
from pymachine.store.processes import Process
from pymachine.store.protocol import Broken, Holder, Lease, Operation, StoreObserver
from pymachine.store.schema import DATABASE, IDENTITY, MIGRATIONS


class SqliteStore:
    """The ``Store`` of one folder. Make it with ``open``; ``pymachine.store.Store`` says what each method does."""

    def __init__(self, folder: Path, database: Database, leases: Leases) -> None:
        self._folder = folder
        self._database = database
        self._leases = leases
        self._observers: list[StoreObserver] = []

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        terms: Terms | None = None,
        process: Process | None = None,
        migrations: Migrations = MIGRATIONS,
    ) -> Self:
        """Open the store in ``folder``, making it first if need be. Raises ``StoreError``.

        ``process`` is the process that leases are taken for, by default this one.
        """
        folder = prepare_folder(folder)
        database = Database.open(folder / DATABASE, migrations)
        return cls(folder, database, Leases(database, terms or Terms(), process))

    def close(self) -> None:
        """Close the database; safe to call twice."""
        self._database.close()

    def observe(self, observer: StoreObserver) -> None:
        """Tell ``observer`` of all records that are written from now on."""
        self._observers.append(observer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """The folder that holds everything."""
        return self._folder

    @cached_property
    def identity(self) -> str:
        """The random name that this store has for life."""
        with self._database.reading() as connection:
            (value,) = connection.execute(IDENTITY).fetchone()
        return str(value)

    def get(self, name: str) -> Machine:
        """Return the record."""
        machine = self.find(name)
        if machine is None:
            raise records.no_such(name)
        return machine

    def find(self, name: str) -> Machine | None:
        """Return the record, or None."""
        with self._database.reading() as connection:
            return records.find(connection, name)

    def records(self) -> list[Machine | Broken]:
        """Return all records, in natural order of their names."""
        with self._database.reading() as connection:
            return records.listed(connection)

    def put(self, machine: Machine, *, secrets: Mapping[str, bytes] | None = None) -> Machine:
        """Write the record if it still is as it was read, and its secrets with it."""
        write = records.update if machine.rev else records.insert
        for observer in self._observers if not machine.rev else ():
            observer.adding(machine)
        with self._database.writing() as connection:
            saved = write(connection, machine)
            records.keep_secrets(connection, saved.name, secrets or {})
        for observer in self._observers:
            observer.written(saved)
        return saved

    def secrets(self, name: str) -> dict[str, bytes]:
        """Return the machine's certificates and keys by file name."""
        with self._database.reading() as connection:
            return records.secrets_of(connection, name)

    def remove(self, name: str, *, rev: int | None = None) -> None:
        """Forget the machine, its secrets and its client files.

        The files go first: after a crash in between, the record is still there to be removed again.
        """
        path = self.client_folder(name)
        with self._database.writing() as connection:
            machine_id = records.delete(connection, name, rev)
            client_files.remove(path)
            client_files.remove(client_files.trial_folder(self._folder, path.name))
        if machine_id is not None:
            for observer in self._observers:
                observer.removed(path.name, machine_id)

    def client_folder(self, name: str) -> Path:
        """The folder for DOCKER_CERT_PATH, spelled as the record spells the name."""
        with self._database.reading() as connection:
            spelled = records.spelling(connection, name)
        return client_files.client_folder(self._folder, spelled or name)

    def materialise(self, name: str) -> Path:
        """Write the docker client's files, unless they are as they should be, and return their folder.

        The write lock is held for these few small files: of two processes, the later one writes the newer ones. Where
        nothing can be written, what is there counts if it is right; where nothing is, they are written to memory,
        until the next boot. Raises ``StoreError`` where older ones are in the way.
        """
        path = self.client_folder(name)
        files = self._client_files(name)
        if client_files.is_current(path, files):
            return path
        try:
            return self._written(name, path)
        except StoreUnwritable:
            if client_files.is_right(path, files):
                return path
            if os.path.lexists(path):
                raise
            with translated(str(path)):
                return client_files.in_memory(self.identity, name, files)

    def _written(self, name: str, path: Path) -> Path:
        with self._database.writing() as connection, translated(str(path)):
            client_files.write(path, client_files.wanted_files(name, records.secrets_of(connection, name)))
        return path

    def note(self, name: str) -> dict[str, Any]:
        """Return the note kept under a name that no machine has."""
        with self._database.reading() as connection:
            return notes.find(connection, name)

    def keep(self, name: str, document: Mapping[str, Any]) -> None:
        """Keep a document under that name; an empty one forgets it."""
        with self._database.writing() as connection:
            notes.write(connection, name, document)

    def noted(self, start: str) -> list[str]:
        """Return the names that begin like this and have a document."""
        with self._database.reading() as connection:
            return notes.names(connection, start)

    def lease(self, name: str, purpose: str, *, wait: float = 0.0) -> AbstractContextManager[Lease]:
        """Hold the right to work on the machine."""
        return self._leases.hold(name, purpose, wait)

    def holder(self, name: str) -> Holder | None:
        """Who works on the machine now, or None."""
        return self._leases.holder(name)

    def break_lease(self, name: str) -> Holder | None:
        """Take the lease away from its holder, and return that holder."""
        return self._leases.break_(name)

    def begin(self, machine: Machine, kind: str, payload: Mapping[str, Any] | None = None) -> int:
        """Open an entry in the journal and return its number."""
        with self._database.writing() as connection:
            return journal.begin(connection, machine, kind, payload)

    def advance(self, operation: int, step: str) -> None:
        """Note the step that begins now."""
        with self._database.writing() as connection:
            journal.advance(connection, operation, step)

    def finish(self, operation: int, outcome: str, message: str = "") -> None:
        """Close the entry with ``done`` or ``failed``."""
        with self._database.writing() as connection:
            journal.finish(connection, operation, outcome, message)

    def operations(self, name: str | None = None, *, unfinished: bool = False) -> list[Operation]:
        """Return journal entries, newest first."""
        with self._database.reading() as connection:
            return journal.entries(connection, name, unfinished=unfinished)

    def _client_files(self, name: str) -> dict[str, bytes]:
        with self._database.reading() as connection:
            if records.spelling(connection, name) is None:
                raise records.no_such(name)
            return client_files.wanted_files(name, records.secrets_of(connection, name))
