"""Entries of ``machines``: ranges, overrides and defaults, merged to one table of keys per machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pymachine.fleet.inventory.context import Reading
from pymachine.fleet.inventory.driver_keys import Drivers
from pymachine.fleet.inventory.errors import where
from pymachine.fleet.inventory.fields import Text, checked, refuse, shown
from pymachine.fleet.inventory.keys import ENTRY, NODE
from pymachine.fleet.inventory.model import Spot
from pymachine.fleet.inventory.ranges import braced, expanded, member
from pymachine.fleet.inventory.yaml_nodes import ABSENT, Items, Scalar, Table, Value, is_null, merged, near
from pymachine.model import check_name

OWN = ("name", "overrides")
UNTOUCHED = "daemon"  # braces in daemon.json are dockerd's


@dataclass(frozen=True, slots=True)
class Draft:
    """One machine before its values are read: all its keys, merged."""

    name: str
    pattern: str
    table: Table
    spot: Spot


class Entries:
    """Expands the entries. Machine names are unique over all files, ignoring case."""

    def __init__(self, reading: Reading, drivers: Drivers) -> None:
        self.reading = reading
        self.drivers = drivers
        self.places: dict[str, Spot] = {}
        self.unmade: list[Table] = []  # entries that came to no machines, for a look at their other keys

    @property
    def complete(self) -> bool:
        """Whether every entry could be expanded."""
        return not self.unmade

    def drafts(self, defaults: Value | None, entries: Value | None) -> list[Draft]:
        """Return the machines of all entries, in their order."""
        below = self._defaults(defaults)
        if not isinstance(entries, Items):
            if not is_null(entries) and entries is not None:
                refuse(entries, "a list of machines", self.reading)
            return []
        return [draft for entry in entries.items for draft in self._machines(entry, below)]

    def _defaults(self, value: Value | None) -> Table:
        if isinstance(value, Table):
            self._known_keys(value, ())
            return _spelled_out(value)
        if value is not None and not is_null(value):
            refuse(value, "a mapping", self.reading)
        return Table({}, {}, Spot("", 0, 0))

    def _machines(self, entry: Value, below: Table) -> Iterator[Draft]:
        if not isinstance(entry, Table):
            refuse(entry, "a mapping such as {name: node1}", self.reading)
            self.unmade.append(Table({}, {}, entry.spot))
            return
        self._known_keys(entry, OWN)
        name = entry.cells.get("name")
        names = self._names(entry, name)
        body = _spelled_out(_without(entry, OWN))
        overrides = self._overrides(entry.cells.get("overrides"), names)
        if not names or not self._in_step(body, len(names)):
            self.unmade.append(member_of(body, 0))
            return
        assert isinstance(name, Scalar)
        differing = bool(braced(body, but=UNTOUCHED))
        for number, one in enumerate(names):
            table = merged(below, member_of(body, number) if differing else body)
            for override in overrides.get(one, ()):
                table = merged(table, override)
            if self._is_new(one, name):
                yield Draft(one, name.text, table, name.spot)

    def _names(self, entry: Table, name: Value | None) -> tuple[str, ...]:
        if name is None or is_null(name):
            self.reading.fault(entry, "key 'name' is missing", "every entry of machines has a name")
            return ()
        text = Text().read(name, self.reading)
        if text is ABSENT:
            return ()
        names = checked(name, expanded, self.reading)
        if names is ABSENT or any(checked(name, check_name, self.reading, one) is ABSENT for one in names):
            return ()
        return tuple(names)

    def _in_step(self, body: Table, count: int) -> bool:
        fine = True
        for scalar in braced(body, but=UNTOUCHED):
            texts = checked(scalar, expanded, self.reading)
            if texts is not ABSENT and len(texts) != count:
                machines = "1 machine" if count == 1 else f"{count} machines"
                self.reading.fault(scalar, f"{shown(scalar)} expands to {len(texts)} values, its entry to {machines}")
            fine = fine and texts is not ABSENT and len(texts) == count
        return fine

    def _overrides(self, value: Value | None, names: tuple[str, ...]) -> dict[str, list[Table]]:
        found: dict[str, list[Table]] = {}
        if value is None or is_null(value):
            return found
        if not isinstance(value, Table):
            refuse(value, "a mapping of machine names", self.reading)
            return found
        for key, body in value.cells.items():
            spot = value.keys[key]
            members = self._overridden(Scalar(key, "str", spot, key), names)
            if isinstance(body, Table):
                self._known_keys(body, ())
                body = _spelled_out(body)
                self._in_step(body, max(1, len(members)))
                for number, name in enumerate(members):
                    found.setdefault(name, []).append(member_of(body, number))
            elif not is_null(body):
                refuse(body, "a mapping", self.reading)
        return found

    def _overridden(self, key: Scalar, names: tuple[str, ...]) -> tuple[str, ...]:
        members: tuple[str, ...] = checked(key, expanded, self.reading)
        if members is ABSENT:
            return ()
        for name in members:
            if names and name not in names:
                self.reading.fault(key, f"no machine {name!r} in this entry", near(name, names))
        return members

    def _is_new(self, name: str, value: Scalar) -> bool:
        first = self.places.get(name.lower())
        if first is None:
            self.places[name.lower()] = value.spot
            return True
        self.reading.fault(value, f"machine {name!r} is already defined at {where(first)}")
        return False

    def _known_keys(self, table: Table, own: tuple[str, ...]) -> None:
        """Record keys that are neither pymachine's nor a driver's."""
        known = [*own, *ENTRY.names, *self.drivers.names]
        for key in table.cells:
            if key not in known:
                self.reading.fault_at(table.keys[key], f"unknown key {key!r}", near(key, known))


def member_of(body: Table, number: int) -> Table:
    """Return an entry's mapping for one of its machines."""
    found = member(body, number, but=UNTOUCHED)
    assert isinstance(found, Table)
    return found


def _without(table: Table, keys: tuple[str, ...]) -> Table:
    return Table({key: value for key, value in table.cells.items() if key not in keys}, table.keys, table.spot)


def _spelled_out(table: Table) -> Table:
    """Expand the short form of ``swarm``, so that it can be merged."""
    swarm = table.cells.get("swarm")
    if not isinstance(swarm, Scalar) or (full := NODE.table(swarm)) is None:
        return table
    return Table({**table.cells, "swarm": full}, table.keys, table.spot)
