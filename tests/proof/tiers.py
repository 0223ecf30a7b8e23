"""Which tests pytest takes: those of every run, those of the soak tier, or a slice of it that a commit chose.

A mark `soak(cost)` on a function makes each of its cases a unit of its own; on a class or a module, the whole of it
is one unit with that cost, since its tests share what is expensive.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from proof.slices import Unit

MARK = "soak"
WRITTEN = "mark.soak("  # how a file that has such tests is told from others without being imported


def unit_of(item: pytest.Item) -> Unit | None:
    """The unit that a test belongs to; None for a test of every run."""
    for node, mark in item.iter_markers_with_node(MARK):
        if len(mark.args) != 1 or not isinstance(mark.args[0], int | float):
            raise pytest.UsageError(f"{item.nodeid}: soak(cost) takes the seconds that it costs, and nothing else")
        if WRITTEN not in item.path.read_text():
            raise pytest.UsageError(f"{item.path} has soak tests and does not say {WRITTEN}…): no slice finds them")
        return Unit(item.nodeid if isinstance(node, pytest.Function) else node.nodeid, float(mark.args[0]))
    return None


def add_options(parser: pytest.Parser) -> None:
    """Add what chooses the tier of a run."""
    parser.addoption("--soak", action="store_true", help="run the tests marked soak, and only those")
    parser.addoption("--tier", choices=("base", "soak", "all"), help="base: the tests of every run (the default)")
    parser.addoption("--chosen", metavar="FILE", help="of the soak tier only the units whose ids are in a JSON file")
    parser.addoption("--units", metavar="FILE", help="write the units of the soak tier to a JSON file")


def keep_tier(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is not of the tier that was requested."""
    units = {item.nodeid: unit_of(item) for item in items}
    if target := config.getoption("--units"):
        found = {unit.id: unit.cost for unit in units.values() if unit}
        Path(target).write_text(json.dumps(found, indent=1) + "\n")
    wanted = _wanted(config, units)
    dropped = [item for item in items if item.nodeid not in wanted]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item.nodeid in wanted]


def _wanted(config: pytest.Config, units: Mapping[str, Unit | None]) -> set[str]:
    if listed := config.getoption("--chosen"):
        ids = set(json.loads(Path(listed).read_text()))
        return {test for test, unit in units.items() if unit and unit.id in ids}
    tier = config.getoption("--tier") or ("soak" if config.getoption("--soak") else "base")
    return {test for test, unit in units.items() if tier == "all" or (unit is not None) == (tier == "soak")}
