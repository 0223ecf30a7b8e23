"""Sections of drivers: the options class of a driver as keys, without the prefix of its flags."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pymachine.errors import DriverMissing
from pymachine.fleet.inventory.context import Reading, Surroundings
from pymachine.fleet.inventory.fields import FieldType, Text
from pymachine.fleet.inventory.option_types import field_type
from pymachine.fleet.inventory.sections import Key, Section
from pymachine.fleet.inventory.yaml_nodes import ABSENT, Value
from pymachine.options.fields import OptionField, option_fields
from pymachine.type_hints import OptionShape

FILE = "FILE"  # the metavar of options that name a file


@dataclass(frozen=True, slots=True)
class DriverSection:
    """The keys of one driver, and the field of its options class for each of them."""

    kind: type
    section: Section
    fields: dict[str, str]

    def options(self, read: dict[str, Any]) -> dict[str, Any]:
        """Return the options by field for values by key."""
        return {self.fields[key]: value for key, value in read.items()}


@dataclass(frozen=True, slots=True)
class FileOption:
    """An option that names a file, relative to the inventory and not to the current folder."""

    def read(self, value: Value, reading: Reading) -> Any:
        """Return the absolute path."""
        text = Text().read(value, reading)
        return text if text is ABSENT else reading.path(value, text)

    def schema(self) -> dict[str, Any]:
        """Return the schema of a path."""
        return {"type": "string"}


class Drivers:
    """The drivers by name, each loaded once: its section, or the reason why it is not available."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.names = tuple(surroundings.drivers)
        self._options_of = surroundings.options_of
        self._known: dict[str, DriverSection | DriverMissing] = {}

    def find(self, name: str) -> DriverSection:
        """Return a driver's section. Raises ``DriverMissing``."""
        if name not in self._known:
            self._known[name] = self._looked_up(name)
        found = self._known[name]
        if isinstance(found, DriverMissing):
            raise found
        return found

    def same(self, one: str, other: str) -> bool:
        """Whether two names mean one driver."""
        if one == other:
            return True
        try:
            return self.find(one).kind is self.find(other).kind
        except DriverMissing:
            return False

    def _looked_up(self, name: str) -> DriverSection | DriverMissing:
        try:
            return driver_section(self._options_of(name), self.names)
        except DriverMissing as error:
            return error


def driver_section(kind: type, names: Collection[str]) -> DriverSection:
    """Return the section of an options class; ``names`` are those of all drivers.

    If all fields begin with the same word and it is a driver's name, it is removed: ``kvm_memory`` is ``memory``.
    """
    taken = option_fields(kind)
    words = {option.name.partition("_")[0] + "_" for option in taken}
    prefix = next(iter(words)) if len(words) == 1 and next(iter(words))[:-1] in names else ""
    by_key = {option.name.removeprefix(prefix): option for option in taken}
    keys = tuple(_key(name, option) for name, option in by_key.items())
    section = Section(keys, what="option")
    return DriverSection(kind, section, {name: option.name for name, option in by_key.items()})


def _key(name: str, option: OptionField) -> Key:
    refused = "use the environment or a profile for credentials" if option.secret else option.refused
    return Key(name, _kind(option), option.help, option.required, refused)


def _kind(option: OptionField) -> FieldType:
    if option.shape == OptionShape(str) and option.metavar == FILE:
        return FileOption()
    return field_type(option)
