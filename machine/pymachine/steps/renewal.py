"""A renewal: the certificates of a new authority that a working engine is to get, until it has answered with them.

Until then the store has two sets. Those that the engine has keep their names, and all commands use them; what will
replace them is under the name ``next-FILE``. The record is marked, so that after an interruption each command
first finds out whether the engine has the other set, and completes the exchange.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pymachine.errors import PymachineError
from pymachine.model import Machine, Phase
from pymachine.steps.services import AskEngine
from pymachine.store import Store, client_files

# In the record while the store has two sets; ``cli.client_env`` reads it too, from the document.
RENEWAL = "renewal"
BEGUN = "begun"
_NEXT = "next-"
_LOOK_DEADLINE = 10.0
_PURPOSE = "completing an interrupted renewal of certificates"


class RenewalTools(Protocol):
    """What completes a renewal, of a verb or of a command: the store, and what asks engines."""

    @property
    def store(self) -> Store:
        """The machine's store."""

    @property
    def ask_engine(self) -> AskEngine:
        """What asks an engine for its version."""


def replaces(machine: Machine, fresh: Mapping[str, bytes]) -> bool:
    """Whether these files must wait for the engine before they take the place of the machine's.

    With a new authority, client and engine refuse each other until both have it; what the present one signs, both
    accept.
    """
    in_use = machine.phase is Phase.READY and machine.certificates is not None
    return in_use and (is_begun(machine) or client_files.CLIENT_FILES[0] in fresh)


def is_begun(machine: Machine) -> bool:
    """Whether the engine may have either of two sets."""
    return machine.extra.get(RENEWAL) == BEGUN


def begun(machine: Machine, fresh: Mapping[str, bytes]) -> tuple[Machine, dict[str, bytes]]:
    """Return record and secrets of a machine whose engine will get these files; nothing changes without any."""
    if not fresh:
        return machine, {}
    marked = machine.with_(extra={**machine.extra, RENEWAL: BEGUN})
    return marked, {f"{_NEXT}{file}": content for file, content in fresh.items()}


def wanted(secrets: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files that the engine is to have: those in use, with what will replace them in their place."""
    in_use = {file: content for file, content in secrets.items() if not file.startswith(_NEXT)}
    return {**in_use, **_replacements(secrets)}


def completed(machine: Machine, secrets: Mapping[str, bytes]) -> tuple[Machine, dict[str, bytes]]:
    """Return record and secrets of a machine whose engine has the wanted set, to be written at once."""
    if not is_begun(machine):
        return machine, {}
    from pymachine import tls  # with cryptography: what only asks whether a renewal has begun does without

    extra = {key: value for key, value in machine.extra.items() if key != RENEWAL}
    fresh = _replacements(secrets)
    gone = {f"{_NEXT}{file}": b"" for file in fresh}
    return machine.with_(certificates=tls.summary(wanted(secrets)), extra=extra), {**fresh, **gone}


@contextmanager
def trial(store: Store, machine: Machine, secrets: Mapping[str, bytes]) -> Iterator[Path]:
    """Give the folder of the client's files of the wanted set: their usual place unless a renewal has begun."""
    if not is_begun(machine):
        yield store.materialise(machine.name)
        return
    path = client_files.trial_folder(store.folder, machine.name)
    client_files.write(path, client_files.wanted_files(machine.name, wanted(secrets)))
    try:
        yield path
    finally:
        client_files.remove(path)


def client_folder(machine: Machine, tools: RenewalTools) -> Path | None:
    """Return the folder of the client's files that the engine accepts; None for an engine without any.

    A renewal that was interrupted is completed first, if the engine has its certificates.
    """
    settled(machine, tools)
    return client_files.materialised(tools.store, machine.name)


def settled(machine: Machine, tools: RenewalTools) -> bool:
    """Complete a renewal that was interrupted, if the engine has its certificates; whether it has them now.

    Whoever works on the machine settles it; then, and where the engine cannot be asked, nothing is changed.
    """
    if not is_begun(machine):
        return False
    try:
        with tools.store.lease(machine.name, _PURPOSE):
            current = tools.store.get(machine.name)
            if current.id != machine.id or not is_begun(current):
                return current.id == machine.id
            assert current.endpoint is not None, "the machine has an engine"
            secrets = tools.store.secrets(machine.name)
            with trial(tools.store, current, secrets) as folder:
                tools.ask_engine(current.endpoint, folder, deadline=_LOOK_DEADLINE)
            changed, files = completed(current, secrets)
            tools.store.put(changed, secrets=files)
            return True
    except PymachineError:  # somebody works on it, or the engine has the former ones, or it cannot be asked
        return False


def _replacements(secrets: Mapping[str, bytes]) -> dict[str, bytes]:
    found = {file.removeprefix(_NEXT): content for file, content in secrets.items() if file.startswith(_NEXT)}
    return {file: content for file, content in found.items() if content}
