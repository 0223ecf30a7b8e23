"""The store as programs see it that read docker-machine's own files: GitLab Runner's docker+machine executor.

``machines/NAME/config.json`` is written for each machine of the store, in one step each, and never read back. A
folder there is ours if it holds our mark; any other one is docker-machine's, and is left alone. The folder of a
machine comes before its record and goes after it: a list of the folders has each machine that may have a host.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from pymachine.docker_machine import VIEW_NOTE
from pymachine.docker_machine.files import CONFIG, MACHINES, ORIGIN
from pymachine.docker_machine.view import config_of
from pymachine.errors import CheckFailed, PymachineError
from pymachine.model import Machine, Phase
from pymachine.store import Broken, Store
from pymachine.store.client_files import materialised
from pymachine.strict_json import parse_json

MARK = ".pymachine"  # a file that makes a folder ours
ASIDE = ".docker-machine"  # how the name of a folder ends that an imported machine had there before
_GONE, _DRAFT = ".removed", ".draft"
_LEFT = re.compile(rf"\.(?P<name>.+)(?:{re.escape(_GONE)}|{re.escape(_DRAFT)}[0-9]+)")
_MARK_LIMIT = 1_000  # bytes


def is_on(store: Store) -> bool:
    """Whether the store keeps the view."""
    return bool(store.noted(VIEW_NOTE))


def enable(store: Store) -> list[str]:
    """Keep the view from now on; return the names of folders that are docker-machine's.

    Raises ``CheckFailed`` if one of them has the name of a machine that was not imported from it, and ``OSError``.
    """
    view = RunnerView(store)
    clashes = [name for name in view.foreign() if view.clashes(name)]
    if clashes:
        raise not_imported(store, clashes[0])
    store.keep(VIEW_NOTE, {"on": True})
    (store.folder / MACHINES).mkdir(mode=0o700, exist_ok=True)
    view.refresh()
    return view.foreign()


def remove(store: Store) -> None:
    """End the view: our folders go, and those that were moved aside come back. Raises ``OSError``."""
    store.keep(VIEW_NOTE, {})
    view = RunnerView(store)
    for name in view.ours():
        view.drop(name)
    view.restore()
    with suppress(OSError):  # it is kept for what is in it
        (store.folder / MACHINES).rmdir()


def not_imported(store: Store, name: str) -> CheckFailed:
    """Return the refusal of a name that docker-machine has in the folder of this store."""
    return CheckFailed(
        f"{store.folder / MACHINES / name} is a machine of docker-machine that was not imported",
        hint=import_hint(store.folder, name),
    )


def import_hint(folder: Path, name: str) -> str:
    """Return the command that imports a machine whose folder is in the store's own."""
    return f"`pymachine import docker-machine {folder} {name}` imports it"


class RunnerView:
    """The folders of one store's machines. Observes the store; what it cannot do is kept in ``faults``."""

    def __init__(self, store: Store) -> None:
        self.faults: list[str] = []
        self._store = store
        self._folder = store.folder / MACHINES

    def foreign(self) -> list[str]:
        """Return the names of folders that are not ours."""
        return [name for name in self._names() if not self._is_ours(self._folder / name)]

    def ours(self) -> list[str]:
        """Return the names of our folders."""
        return [name for name in self._names() if self._is_ours(self._folder / name)]

    def clashes(self, name: str) -> bool:
        """Whether a machine has the name of a folder that is not ours, and was not imported from it."""
        machine = self._store.find(name)
        return machine is not None and not self._came_from_here(machine)

    def adding(self, machine: Machine) -> None:
        """Make the folder of a machine that has no record yet. Raises ``CheckFailed`` if the name is taken."""
        try:
            taken = [name for name in self.foreign() if name.lower() == machine.name.lower()]
            if taken and not self._came_from_here(machine):
                raise not_imported(self._store, taken[0])
            self._write(machine)
        except OSError as error:
            raise CheckFailed(f"{error.filename}: {(error.strerror or str(error)).lower()}") from error

    def written(self, machine: Machine) -> None:
        """Update the machine's file."""
        with self._noted(machine.name):
            self._write(machine)

    def removed(self, name: str, machine_id: str) -> None:
        """Remove the folder, unless another machine has the name by now."""
        with self._noted(name):
            if self._mark(self._folder / name).get("machine") == machine_id:
                self.drop(name)

    def refresh(self) -> None:
        """Write what is missing, and remove what commands left that were killed."""
        with self._noted(MACHINES):
            self._refresh()

    def _refresh(self) -> None:
        known: set[str] = set()
        for record in self._store.records():
            known.add(record.name.lower())
            if not isinstance(record, Broken):
                self._write_if_there(record)
        for name in self.ours():
            if name.lower() not in known and self._store.holder(name) is None and self._store.find(name) is None:
                with self._noted(name):
                    self.drop(name)
        self._sweep()

    def _write_if_there(self, record: Machine) -> None:
        """Write a record that was listed; another process may have removed it, and its folder, since then."""
        with self._noted(record.name):
            self._write(record)
        now = self._store.find(record.name)
        if now is None or now.id != record.id:
            self.removed(record.name, record.id)

    def drop(self, name: str) -> None:
        """Remove one of our folders: out of sight in one step, then file by file."""
        gone = self._folder / f".{name}{_GONE}"
        shutil.rmtree(gone, ignore_errors=True)
        with suppress(FileNotFoundError):
            (self._folder / name).rename(gone)
            shutil.rmtree(gone)

    def restore(self) -> None:
        """Give folders their names back that were moved aside."""
        for path in self._folder.glob(f".*{ASIDE}"):
            with suppress(OSError):  # where there is one of that name, both stay
                path.rename(self._folder / path.name[1 : -len(ASIDE)])

    def _write(self, machine: Machine) -> None:
        client = self._store.client_folder(machine.name)
        if machine.phase is Phase.READY:
            materialised(self._store, machine.name)
        text = json.dumps(config_of(machine, self._store.folder, client), indent=4)
        mark = {"store": self._store.identity, "machine": machine.id, "digest": sha256(text.encode()).hexdigest()}
        path = self._folder / machine.name
        if self._mark(path) == mark and (path / CONFIG).exists():
            return
        if path.exists() and not self._is_ours(path) and not self._moved_aside(machine):
            self.faults.append(f"{path} is docker-machine's and was left alone")
        elif path.exists():
            _fill(path, text, mark)
        else:
            self._make(path, text, mark)

    def _make(self, path: Path, text: str, mark: Mapping[str, str]) -> None:
        """Make the folder with its files in one step."""
        draft = self._folder / f".{path.name}{_DRAFT}{os.getpid()}"
        draft.mkdir(mode=0o700, parents=True, exist_ok=True)
        _fill(draft, text, mark)
        draft.rename(path)

    def _moved_aside(self, machine: Machine) -> bool:
        """Move the folder aside that a machine was imported from, if it is in this very place."""
        if not self._came_from_here(machine):
            return False
        path = self._folder / machine.name
        aside = self._folder / f".{machine.name}{ASIDE}"
        if aside.exists():
            return False
        path.rename(aside)
        return True

    def _came_from_here(self, machine: Machine) -> bool:
        origin = self._store.note(f"{ORIGIN}{machine.id}").get("from")
        if not isinstance(origin, str):
            return False
        with suppress(OSError):
            return Path(origin).samefile(self._store.folder)
        return False

    def _sweep(self) -> None:
        """Remove what is left of folders whose making or removal was cut off."""
        for path in self._folder.glob(".*"):
            found = _LEFT.fullmatch(path.name)
            if found and path.is_dir() and self._store.holder(found["name"]) is None:
                shutil.rmtree(path, ignore_errors=True)

    def _names(self) -> list[str]:
        """Return the folders that others take for machines. Raises ``OSError``."""
        if not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir() if path.name[0] != "." and path.is_dir())

    def _is_ours(self, path: Path) -> bool:
        return self._mark(path).get("store") == self._store.identity

    def _mark(self, path: Path) -> Mapping[str, Any]:
        with suppress(OSError, ValueError), (path / MARK).open("rb") as file:
            found = parse_json(file.read(_MARK_LIMIT))
            return found if isinstance(found, dict) else {}
        return {}

    @contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        """Keep what fails for the end of the command: the machine itself is on record."""
        try:
            yield
        except OSError as error:
            self.faults.append(f"{name}: {error.filename}: {(error.strerror or str(error)).lower()}")
        except PymachineError as error:
            self.faults.append(f"{name}: {error.message}")


def _fill(folder: Path, text: str, mark: Mapping[str, str]) -> None:
    """Write the files of a machine; the mark, which tells what the other one holds, comes last."""
    if not (folder / MARK).exists():
        _replace(folder / MARK, json.dumps({**mark, "digest": ""}))
    _replace(folder / CONFIG, text)
    _replace(folder / MARK, json.dumps(mark))


def _replace(path: Path, text: str) -> None:
    """Write a file of its owner alone in one step; what was there is whole until then, also after a power cut."""
    draft = path.with_name(f".{path.name}{_DRAFT}{os.getpid()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
