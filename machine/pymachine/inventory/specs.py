"""From a machine's merged keys to its spec. What many machines share is read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymachine.engine.options import wanted_config
from pymachine.errors import DriverMissing, UsageFault
from pymachine.inventory.drivers import Drivers, DriverSection
from pymachine.inventory.entries import Draft
from pymachine.inventory.kinds import Text
from pymachine.inventory.model import MachineSpec, NodeSpec
from pymachine.inventory.surroundings import Reading
from pymachine.inventory.tables import COMMON, ENGINE_FIELDS
from pymachine.inventory.values import ABSENT, Table, Value, is_null, near
from pymachine.model import EngineSpec

PLAIN = EngineSpec()
KINDS = {key.name: key.kind for key in COMMON}


class Specs:
    """Reads drafts. ``defaults`` may have sections for drivers that a machine does not use, its own entry may not."""

    def __init__(self, reading: Reading, drivers: Drivers, defaults: Value | None) -> None:
        self.reading = reading
        self.drivers = drivers
        self._lenient = set(defaults.cells) if isinstance(defaults, Table) else set()
        self._kept: list[Value] = []
        self._read: dict[tuple[int, str], Any] = {}

    def all(self, drafts: Sequence[Draft]) -> tuple[MachineSpec, ...]:
        """Return the machines of the drafts that could be read, in order."""
        specs = (self._spec(draft, order) for order, draft in enumerate(drafts))
        return tuple(spec for spec in specs if spec is not None)

    def check_defaults(self, defaults: Value | None) -> None:
        """Note what is wrong in sections of the defaults, used or not."""
        if not isinstance(defaults, Table):
            return
        for key, value in defaults.cells.items():
            if key in self.drivers.names and not is_null(value) and (section := self._section(key)) is not None:
                section.section.read(value, self.reading)
            elif key in KINDS and not is_null(value):
                KINDS[key].read(value, self.reading)

    def _spec(self, draft: Draft, order: int) -> MachineSpec | None:
        driver = self._driver(draft)
        node = self._node(draft)
        engine = self._engine(draft)
        labels = self._value(draft, "labels", {})
        groups = self._value(draft, "groups", ())
        options = self._options(draft, driver) if driver else None
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
            self.reading.fault_at(
                draft.spot, f"machine {draft.name!r} has no driver", f"one of {', '.join(self.drivers.names)}"
            )
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

    def _options(self, draft: Draft, driver: str) -> dict[str, Any] | None:
        section = self.drivers.find(driver)
        options: dict[str, Any] = {}
        given = [key for key in draft.table.cells if key in self.drivers.names]
        for key in given:
            value = draft.table.cells[key]
            if self.drivers.same(key, driver):
                options |= self._section_read(value, section)
            elif key not in self._lenient:
                self.reading.fault_at(
                    draft.table.keys[key], f"section {key!r} is of another driver: the machine's is {driver}"
                )
        missing = [key for key in section.section.keys if key.required and not options.get(section.fields[key.name])]
        for lack in missing:
            self.reading.fault_at(
                draft.spot, f"machine {draft.name!r} needs option {lack.name!r} of driver {driver}", lack.help
            )
        return None if missing else options

    def _section_read(self, value: Value, section: DriverSection) -> dict[str, Any]:
        known = (id(value), "options")
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
        found = self._value(draft, "swarm", None)
        if found is None or found.get("role") == "none":
            return None
        if "role" not in found:
            self.reading.fault(draft.table.cells["swarm"], "key 'role' is missing", "manager, worker or none")
            return None
        return NodeSpec(**found)

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
        except UsageFault as fault:
            self.reading.fault(value, fault.message.replace("--engine-opt", "opts:"), fault.hint)
        return spec
