"""``load``: from the texts of the files to a ``Fleet``, or to all errors in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pymachine.fleet.inventory.checks import (
    WantedNodes,
    fleet_name,
    hooks_of,
    no_live_restore,
    same_hosts,
    stacks_of,
    swarm_of,
)
from pymachine.fleet.inventory.context import Reading, Secrets, Surroundings
from pymachine.fleet.inventory.driver_keys import Drivers
from pymachine.fleet.inventory.errors import Findings, InventoryFault, InventoryFaults, where
from pymachine.fleet.inventory.keys import TOP
from pymachine.fleet.inventory.machine_specs import Specs
from pymachine.fleet.inventory.machines import Draft, Entries
from pymachine.fleet.inventory.model import Fleet, Spot
from pymachine.fleet.inventory.yaml_nodes import Items, Scalar, Table, Value, is_null, merged, near
from pymachine.fleet.inventory.yaml_reader import YamlFile, compose

APPENDED = ("machines", "stacks")


@dataclass(frozen=True, slots=True)
class Inventory:
    """The result of reading. ``warnings`` are lines ``file:line:column: …``.

    Secrets are not read yet: in ``fleet`` their values are empty. ``missing`` are those whose file does not exist.
    """

    fleet: Fleet
    warnings: tuple[str, ...] = ()
    missing: tuple[InventoryFault, ...] = ()
    _reveal: Callable[[], Fleet] | None = field(default=None, repr=False, compare=False)

    def check_secrets(self) -> None:
        """Raise ``InventoryFaults`` if the file of a secret does not exist. Reads none and runs no command."""
        if self.missing:
            raise InventoryFaults(self.missing)

    def revealed(self) -> Fleet:
        """Return the fleet with its secrets, which are read now; their commands may ask the user.

        Raises ``InventoryFaults`` with all secrets that cannot be read.
        """
        self.check_secrets()
        return self.fleet if self._reveal is None else self._reveal()


def load(sources: Sequence[YamlFile], surroundings: Surroundings) -> Inventory:
    """Read an inventory of one or several files, without secrets. Raises ``InventoryFaults`` with all errors."""

    def reveal() -> Fleet:
        return _loaded(sources, surroundings, surroundings.secrets)[0]

    fleet, reading = _loaded(sources, surroundings, None)
    found = reading.findings
    return Inventory(fleet, found.warnings, found.withheld, reveal if reading.has_secrets else None)


def _loaded(
    sources: Sequence[YamlFile], surroundings: Surroundings, secrets: Secrets | None
) -> tuple[Fleet, Reading]:
    findings = Findings([source.name for source in sources])
    reading = Reading(findings, surroundings, secrets)
    tables = [table for source in sources if (table := compose(source, surroundings.environ, findings)) is not None]
    if len(tables) < len(sources):
        findings.settle()  # a file that is not YAML leaves nothing to compare the others with
    fleet = _fleet(_united(tables, reading), sources[0].name, reading)
    findings.settle()
    return fleet, reading


def _united(tables: Sequence[Table], reading: Reading) -> Table:
    """Merge several files: machines and stacks are appended, mappings merged, later values win."""
    whole = Table({}, {}, tables[0].spot)
    for table in tables:
        for key in table.cells:
            if key not in TOP:
                reading.fault_at(table.keys[key], f"unknown key {key!r}", f"{near(key, TOP)} (or x-… for an anchor)")
        _same_fleet(whole.cells.get("fleet"), table.cells.get("fleet"), reading)
        before = whole
        whole = merged(whole, table)
        lists = {key: _appended(before.cells.get(key), table.cells.get(key)) for key in APPENDED}
        whole = Table({**whole.cells, **{k: v for k, v in lists.items() if v is not None}}, whole.keys, whole.spot)
    return whole


def _appended(before: Value | None, after: Value | None) -> Value | None:
    if isinstance(before, Items) and isinstance(after, Items):
        return Items(before.items + after.items, before.spot)
    return before if after is None or is_null(after) else after


def _same_fleet(before: Value | None, after: Value | None, reading: Reading) -> None:
    if not isinstance(before, Scalar) or not isinstance(after, Scalar) or before.text == after.text:
        return
    reading.fault(
        after,
        f"fleet {after.source!r}, and {before.source!r} at {where(before.spot)}: all files must name the same fleet",
    )


def _fleet(table: Table, first: str, reading: Reading) -> Fleet:
    cells = table.cells
    name = fleet_name(cells.get("fleet"), Spot(first, 1, 1), reading)
    drivers = Drivers(reading.surroundings)
    entries = Entries(reading, drivers)
    drafts = entries.drafts(cells.get("defaults"), cells.get("machines"))
    specs = Specs(reading, drivers, cells.get("defaults"))
    for apart in (cells.get("defaults"), *entries.unmade):
        if isinstance(apart, Table):
            specs.check(apart)
    machines = specs.all(drafts)
    nodes = _wanted_nodes(drafts, specs, certain=specs.certain and entries.complete)
    swarm = swarm_of(cells.get("swarm"), nodes, reading)
    no_live_restore(machines, reading)
    same_hosts(machines, reading)
    names = [draft.name for draft in drafts] if entries.complete else None
    stacks = stacks_of(cells.get("stacks"), names, nodes, reading)
    hooks = hooks_of(cells.get("hooks"), reading)
    folder = reading.surroundings.paths.resolve(first, ".")
    return Fleet(name, machines, swarm, stacks, hooks, folder)


def _wanted_nodes(drafts: Sequence[Draft], specs: Specs, *, certain: bool) -> WantedNodes:
    managers = tuple(name for name, node in specs.nodes.items() if node.role == "manager")
    workers = tuple(name for name, node in specs.nodes.items() if node.role == "worker")
    return WantedNodes(managers, workers, {draft.name: draft.spot for draft in drafts}, certain)
