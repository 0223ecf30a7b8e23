"""The contexts of a store's machines. One is ours by the mark in its metadata, whatever its name.

A note in the store says that a machine has a context, and with what it was last written: a command that changed
nothing of it starts no docker client.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from pymachine.docker_contexts.client import ContextClient, ContextMark, DockerContext
from pymachine.errors import CheckFailed
from pymachine.model import Machine
from pymachine.store import Store, readable
from pymachine.store.client_files import CLIENT_FILES, materialised
from pymachine.store.schema import CONTEXT_NOTES

_LEASE = "docker:contexts"  # no machine's name has a colon
_PATIENCE = 60.0  # seconds for another process that works on contexts
RESERVED = "default"  # the client's own
_FALLBACK = "pymachine-"


class ContextChange(StrEnum):
    """What became of a context."""

    CREATED = "created"
    UPDATED = "updated"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class KeptContext:
    """A context, the machine that it is for, and what became of it.

    ``machine`` is empty for one that is gone. ``was_default`` says that the docker client used a removed one by
    default, and uses its own again.
    """

    machine: str
    context: str
    outcome: ContextChange
    was_default: bool = False


def possible_names(machine: str) -> tuple[str, ...]:
    """Return the names that a machine's context may have, the best first.

    The client refuses names of one character and its own, ``default``.
    """
    is_possible = len(machine) > 1 and machine != RESERVED
    return (machine, f"{_FALLBACK}{machine}") if is_possible else (f"{_FALLBACK}{machine}",)


class MachineContexts:
    """Makes, updates and removes the contexts of the machines of one store."""

    def __init__(self, store: Store, client: ContextClient) -> None:
        self._store = store
        self._client = client

    def keep(self, machine: Machine) -> KeptContext:
        """Make the machine's context, or update it. Raises ``CheckFailed`` if its possible names are taken."""
        with self._alone(machine.name):
            ours = self._of(machine.id)
            return self._written(machine, ours) if ours else self._made(machine)

    def refresh(self, machine: Machine) -> KeptContext | None:
        """Update the context of a machine that has one and has changed; return None where nothing was done.

        One that was removed with the docker client stays away. Starts no docker client if nothing changed.
        """
        former = self._store.note(f"{CONTEXT_NOTES}{machine.id}")
        if not former or machine.endpoint is None or _noted(machine, self._files(machine)).items() <= former.items():
            return None
        with self._alone(machine.name):
            ours = self._of(machine.id)
            return self._written(machine, ours) if ours else None

    def forget(self, machine_id: str, machine: str = "") -> list[KeptContext]:
        """Remove the contexts of a machine, which may be gone."""
        with self._alone(machine):
            removed = self._removed(self._of(machine_id), machine)
            self._store.keep(f"{CONTEXT_NOTES}{machine_id}", {})
        return removed

    def strays(self) -> list[DockerContext]:
        """Return the contexts of machines of this store that are gone."""
        known = {record.id for record in readable(self._store)}
        return [
            context
            for context in self._client.inspect(self._client.names())
            if context.mark and context.mark.store == self._store.identity and context.mark.machine not in known
        ]

    def tidy(self) -> list[KeptContext]:
        """Remove the contexts of machines of this store that are gone."""
        if any(not isinstance(record, Machine) for record in self._store.records()):
            return []  # one that cannot be read may be theirs
        with self._alone(""):
            removed = self._removed(self.strays(), "")
            known = {f"{CONTEXT_NOTES}{record.id}" for record in readable(self._store)}
            for note in set(self._store.noted(CONTEXT_NOTES)) - known:
                self._store.keep(note, {})
        return removed

    def machine_of(self, context: DockerContext | None) -> Machine | None:
        """Return the machine of this store that a context is for."""
        if context is None or context.mark is None or context.mark.store != self._store.identity:
            return None
        found = (record for record in readable(self._store) if record.id == context.mark.machine)
        return next(found, None)

    def _made(self, machine: Machine) -> KeptContext:
        assert machine.endpoint is not None, "only machines that are ready have contexts"
        name, files = self._free_name(machine.name), self._files(machine)
        self._store.keep(
            f"{CONTEXT_NOTES}{machine.id}", {"context": name}
        )  # the note leads: what it names can be found
        mark = ContextMark(self._store.identity, machine.id)
        context = DockerContext(name, machine.endpoint.url, mark)
        self._client.add(context, f"machine {machine.name} of pymachine", files)
        self._verify(name, mark)
        self._store.keep(f"{CONTEXT_NOTES}{machine.id}", {**_noted(machine, files), "context": name})
        return KeptContext(machine.name, name, ContextChange.CREATED)

    def _written(self, machine: Machine, contexts: Sequence[DockerContext]) -> KeptContext:
        assert machine.endpoint is not None, "only machines that are ready have contexts"
        folder = materialised(self._store, machine.name)
        note = _noted(machine, self._files(machine))
        for context in contexts:
            self._client.update(context.name, machine.endpoint.url, folder)
        self._store.keep(f"{CONTEXT_NOTES}{machine.id}", {**note, "context": contexts[0].name})
        return KeptContext(machine.name, contexts[0].name, ContextChange.UPDATED)

    def _verify(self, name: str, mark: ContextMark) -> None:
        """Take a context back that the client made without our mark: nothing could tell later whose it is."""
        if any(context.mark == mark for context in self._client.inspect([name])):
            return
        self._client.remove(name)
        self._store.keep(f"{CONTEXT_NOTES}{mark.machine}", {})
        raise CheckFailed(
            "this docker client does not keep the metadata of contexts", hint="upgrade the docker client to 20.10"
        )

    def _free_name(self, machine: str) -> str:
        taken, possible = set(self._client.names()), possible_names(machine)
        free = [name for name in possible if name not in taken]
        if not free:
            raise CheckFailed(
                f"contexts that pymachine did not make have the names {' and '.join(possible)}",
                hint=f"rename or remove one of them: docker context rm {possible[0]}",
            )
        return free[0]

    def _of(self, machine_id: str) -> list[DockerContext]:
        """Return the machine's contexts: the one on record if it still is its own, else all that are found."""
        mark = ContextMark(self._store.identity, machine_id)
        recorded = self._store.note(f"{CONTEXT_NOTES}{machine_id}").get("context")
        for names in ([recorded] if isinstance(recorded, str) else [], None):
            asked = self._client.names() if names is None else names
            found = [context for context in self._client.inspect(asked) if context.mark == mark]
            if found:
                return found
        return []

    def _removed(self, contexts: Sequence[DockerContext], machine: str) -> list[KeptContext]:
        default = self._client.default() if contexts else None
        for context in contexts:
            self._client.remove(context.name)
        return [KeptContext(machine, each.name, ContextChange.REMOVED, each == default) for each in contexts]

    def _files(self, machine: Machine) -> dict[str, bytes]:
        secrets = self._store.secrets(machine.name)
        return {file: secrets[file] for file in CLIENT_FILES if file in secrets}

    @contextmanager
    def _alone(self, machine: str) -> Iterator[None]:
        with self._store.lease(_LEASE, f"context of {machine}" if machine else "contexts", wait=_PATIENCE):
            yield


def _noted(machine: Machine, files: Mapping[str, bytes]) -> dict[str, str]:
    """Return with what a context is written: the address, and a digest of the certificates, which are no secrets."""
    assert machine.endpoint is not None
    digest = hashlib.sha256(b"\0".join(files.get(file, b"") for file in CLIENT_FILES[:2]))
    return {"url": machine.endpoint.url, "certificates": digest.hexdigest()}
