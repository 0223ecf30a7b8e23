"""Converts a machine's merged keys to its spec. What many machines share is read once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pymachine.engine.options import wanted_config
from pymachine.errors import DriverMissing, ValueFault
from pymachine.fleet.inventory.context import Reading
from pymachine.fleet.inventory.driver_keys import Drivers, DriverSection
from pymachine.fleet.inventory.fields import Text
from pymachine.fleet.inventory.keys import COMMON, ENGINE_FIELDS
from pymachine.fleet.inventory.machines import Draft
from pymachine.fleet.inventory.model import MachineSpec, NodeSpec, Spot
from pymachine.fleet.inventory.yaml_nodes import ABSENT, Items, Scalar, Table, Value, is_null, near
from pymachine.model import EngineSpec

PLAIN = EngineSpec()
KINDS = {key.name: key.kind for key in COMMON}


class Specs:
    """Reads drafts. ``defaults`` may have sections of drivers that a machine does not use, its own entry may not.

    ``nodes`` are the Swarm roles by machine, also of machines whose other keys cannot be read; ``certain`` says that
    every role could be read.
    """

    def __init__(self, reading: Reading, drivers: Drivers, defaults: Value | None) -> None:
        self.reading = reading
        self.drivers = drivers
        self.nodes: dict[str, NodeSpec] = {}
        self.certain = True
        self._lenient = set(defaults.keys.values()) if isinstance(defaults, Table) else set()
        self._kept: list[Value] = []
        self._read: dict[tuple[int, str], Any] = {}

    def all(self, drafts: Sequence[Draft]) -> tuple[MachineSpec, ...]:
        """Return the machines of the drafts that could be read, in order."""
        specs = (self._spec(draft, order) for order, draft in enumerate(drafts))
        return tuple(spec for spec in specs if spec is not None)

    def check(self, table: Table) -> None:
        """Record errors in keys that are not read for every machine."""
        for key, value in table.cells.items():
            if is_null(value):
                continue
            if key in KINDS:
                self._once(value, key)
            elif key in self.drivers.names:
                self._section_read(value, key)

    def _spec(self, draft: Draft, order: int) -> MachineSpec | None:
        node = self._node(draft)
        engine = self._engine(draft)
        labels = self._value(draft, "labels", {})
        groups = self._value(draft, "groups", ())
        driver = self._driver(draft)
        options = self._options(draft, driver)
        if driver is None or options is None:
            return None
        own = [draft.pattern] if draft.pattern != draft.name else []
        found = tuple(dict.fromkeys([*own, *([node.role] if node else []), *groups]))
        return MachineSpec(draft.name, driver, options, engine, labels, node, found, order, draft.spot)

    def _value(self, draft: Draft, key: str, otherwise: Any) -> Any:
        value = draft.table.cells.get(key)
        if value is None or is_null(value):
            return otherwise
        found = self._once(value, key)
        return otherwise if found is ABSENT else found

    def _once(self, value: Value, key: str) -> Any:
        known = (id(value), key)
        if known not in self._read:
            self._kept.append(value)  # an id is a value's own only while it lives
            self._read[known] = KINDS[key].read(value, self.reading)
        return self._read[known]

    def _driver(self, draft: Draft) -> str | None:
        value = draft.table.cells.get("driver")
        if value is None or is_null(value):
            hint = f"give it one of {', '.join(self.drivers.names)}"
            self.reading.fault_at(draft.spot, f"machine {draft.pattern!r} has no driver", hint)
            return None
        name = Text().read(value, self.reading)
        if name is ABSENT:
            return None
        if name not in self.drivers.names:
            self.reading.fault(value, f"no driver {name!r}", near(name, self.drivers.names))
            return None
        try:
            self.drivers.find(name)
        except DriverMissing as error:
            self.reading.fault(value, error.message, error.hint)
            return None
        return str(name)

    def _options(self, draft: Draft, driver: str | None) -> dict[str, Any] | None:
        """Return the options of the driver; sections of other drivers are only checked."""
        options: dict[str, Any] = {}
        given: set[str] = set()
        for key in [key for key in draft.table.cells if key in self.drivers.names]:
            value = draft.table.cells[key]
            read = self._section_read(value, key)
            if driver is not None and self.drivers.same(key, driver):
                options |= read
                given |= {name for name, item in _cells(value).items() if not is_null(item)}
            elif driver is not None and draft.table.keys[key] not in self._lenient:
                self.reading.fault_at(
                    draft.table.keys[key],
                    f"section {key!r} belongs to another driver; the machine's driver is {driver}",
                )
        return options if driver is not None and self._complete(draft, driver, given) else None

    def _complete(self, draft: Draft, driver: str, given: Collection[str]) -> bool:
        missing = [key for key in self.drivers.find(driver).section.keys if key.required and key.name not in given]
        for key in missing:
            self.reading.fault_at(
                draft.spot, f"machine {draft.pattern!r} needs option {key.name!r} of driver {driver}", key.help
            )
        return not missing

    def _section_read(self, value: Value, driver: str) -> dict[str, Any]:
        known = (id(value), driver)
        section = self._section(driver)
        if section is None:
            return {}
        if known not in self._read:
            self._kept.append(value)
            self._read[known] = section.section.read(value, self.reading)
        found = self._read[known]
        return {} if found is ABSENT else section.options(found)

    def _section(self, name: str) -> DriverSection | None:
        try:
            return self.drivers.find(name)
        except DriverMissing:
            return None

    def _node(self, draft: Draft) -> NodeSpec | None:
        value = draft.table.cells.get("swarm")
        found = self._value(draft, "swarm", None)
        if value is None or found is None:
            self.certain = self.certain and is_null(value)
            return None
        if "role" not in found:
            self.certain = False
            if isinstance(value, Table) and is_null(value.cells.get("role")):
                self.reading.fault(value, "key 'role' is missing", "manager, worker or none")
            return None
        if found["role"] == "none":
            return None
        self.nodes[draft.name] = node = NodeSpec(**found)
        return node

    def _engine(self, draft: Draft) -> EngineSpec:
        value = draft.table.cells.get("engine")
        if value is None or is_null(value):
            return PLAIN
        known = (id(value), "spec")
        if known not in self._read:
            self._read[known] = self._engine_of(value)
        found: EngineSpec = self._read[known]
        return found

    def _engine_of(self, value: Value) -> EngineSpec:
        read = self._once(value, "engine")
        if read is ABSENT:
            return PLAIN
        fields = {ENGINE_FIELDS.get(key, key): item for key, item in read.items() if key != "install"}
        spec = EngineSpec(**fields, **read.get("install", {}))
        try:
            wanted_config(spec, "")
        except ValueFault as fault:
            key = next((key for key, name in ENGINE_FIELDS.items() if name == fault.field), fault.field)
            spot, shown = _place_of(value, key, fault.index)
            self.reading.fault_at(spot, fault.worded(key, shown), fault.hint)
        return spec


def _cells(value: Value) -> Mapping[str, Value]:
    return value.cells if isinstance(value, Table) else {}


def _place_of(value: Value, key: str, index: int | None) -> tuple[Spot, str | None]:
    """Return where an item of a key's list stands, else the key's value; and its source, if a variable made it."""
    found = _cells(value).get(key, value)
    if index is not None and isinstance(found, Table):
        return list(found.keys.values())[index], None
    if index is not None and isinstance(found, Items) and index < len(found.items):
        found = found.items[index]
    return found.spot, repr(found.source) if isinstance(found, Scalar) and found.changed else None
