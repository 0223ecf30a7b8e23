"""What the reader of an inventory needs from outside, and the state of one reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pymachine.errors import PymachineError
from pymachine.fleet.inventory.errors import Findings
from pymachine.fleet.inventory.model import Spot
from pymachine.fleet.inventory.yaml_nodes import ABSENT, Items, Scalar, Table, Value
from pymachine.redaction import looks_secret


@dataclass(frozen=True, slots=True)
class SecretSource:
    """The source of a secret: a file (an absolute path), or the output of a command that is run in ``folder``."""

    folder: str
    path: str | None = None
    words: tuple[str, ...] = ()


class Paths(Protocol):
    """The files that an inventory names."""

    def resolve(self, file: str, path: str) -> str:
        """Return the absolute path of ``path`` as it stands in ``file``: relative to that file's folder."""

    def fault(self, path: str, *, executable: bool = False) -> str | None:
        """Return why a file cannot be used, None if it can."""

    def read(self, path: str) -> str:
        """Return a file's text. Raises ``ValueFault``."""


DriverOptions = Callable[[str], type]
Secrets = Callable[[SecretSource], str]


def no_secrets(source: SecretSource) -> str:
    """Raise ``PymachineError``, because an empty text would be used as the secret."""
    raise PymachineError("secrets cannot be read here")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that is not in the files; the package itself does no I/O.

    ``options_of`` returns a driver's options class or raises ``DriverMissing``; ``drivers`` are the names of all
    drivers. ``secrets`` returns a secret's text or raises ``PymachineError``; it is called when an inventory is
    ``revealed``.
    """

    environ: Mapping[str, str]
    drivers: Sequence[str]
    options_of: DriverOptions
    paths: Paths
    secrets: Secrets = no_secrets


class Reading:
    """One reading: its findings, and access to the outside. Without ``secrets`` these are not read."""

    def __init__(self, findings: Findings, surroundings: Surroundings, secrets: Secrets | None) -> None:
        self.findings = findings
        self.surroundings = surroundings
        self.has_secrets = False
        self._secrets = secrets
        self._known: dict[SecretSource, str] = {}

    def fault(self, value: Value, message: str, hint: str | None = None) -> None:
        """Record an error at the place of a value."""
        self.findings.fault(value.spot, message, hint)

    def fault_at(self, spot: Spot, message: str, hint: str | None = None) -> None:
        """Record an error at a place."""
        self.findings.fault(spot, message, hint)

    def path(self, value: Value, text: str) -> str:
        """Return the absolute path for one that is relative to its file."""
        return self.surroundings.paths.resolve(value.spot.file, text)

    def mind_secret(self, key: str, value: Scalar) -> None:
        """Warn of a password in the file."""
        if value.text and not value.changed and looks_secret(key):
            self.findings.warn(
                value.spot, f"{key} looks like a secret in plain text: use {{from_file: …}} or {{from_command: […]}}"
            )

    def secret(self, table: Table) -> Any:
        """Return the text of a secret, empty while secrets are not read."""
        source = self._source(table)
        if source is None:
            return ABSENT
        self.has_secrets = True
        if self._secrets is None:
            return ""
        try:
            if source not in self._known:
                self._known[source] = self._secrets(source)
        except PymachineError as error:
            self.fault(table, error.message, error.hint)
            return ABSENT
        text = self._known[source]
        if "\n" in text or "\0" in text:
            self.fault(table, "the secret has more than one line")
            return ABSENT
        return text

    def _source(self, table: Table) -> SecretSource | None:
        resolve = self.surroundings.paths.resolve
        folder = resolve(table.spot.file, ".")
        match table.cells:
            case {"from_file": Scalar() as path, **rest} if not rest and path.text.strip():
                absolute = resolve(path.spot.file, path.text)
                if (why := self.surroundings.paths.fault(absolute)) is not None:
                    self.findings.withhold(path.spot, f"{path.source}: {why}")
                return SecretSource(folder, path=absolute)
            case {"from_command": Items() as words, **rest} if not rest and words.items:
                texts = tuple(word.text for word in words.items if isinstance(word, Scalar))
                if len(texts) == len(words.items):
                    return SecretSource(folder, words=texts)
                self.fault(words, "a command is a list of words")
            case _:
                self.fault(table, "a mapping is not text", "write {from_file: PATH} or {from_command: [WORD, …]}")
        return None
