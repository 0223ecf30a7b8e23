"""How a machine on record differs from what the inventory says of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from pymachine.difference import Difference, difference, differences, pair_differences
from pymachine.documents import to_document
from pymachine.fleet.inventory.model import MachineSpec
from pymachine.fleet.plan.observed import RECORD, REPLACE, SIZE, SIZES, Traits
from pymachine.model import EngineSpec, Machine
from pymachine.sizes import parse_size


@dataclass(frozen=True, slots=True)
class Changed:
    """Options of a driver that are other ones now, by what changing them means (``REACH``, ``REPLACE`` …).

    ``causes`` are old and new values, ``values`` the new ones by the options' names; ``sizes`` are bytes and numbers.
    """

    causes: Mapping[str, tuple[Difference, ...]]
    values: Mapping[str, Mapping[str, Any]]
    sizes: Mapping[str, int] = field(default_factory=dict)


def options_document(spec: MachineSpec, traits: Traits) -> dict[str, Any]:
    """Return the driver's options as the record keeps them, defaults included."""
    document: dict[str, Any] = to_document(traits.options(**spec.options))
    return document


def changed_options(spec: MachineSpec, machine: Machine, traits: Traits) -> Changed:
    """Compare the driver's options."""
    causes: dict[str, tuple[Difference, ...]] = {}
    values: dict[str, dict[str, Any]] = {}
    sizes: dict[str, int] = {}
    for name, value in options_document(spec, traits).items():
        before = machine.options.get(name, _default(traits.options, name))
        if before == value:
            continue
        what = traits.alters.get(name, REPLACE)
        if what in SIZES:
            what, sizes = _resized(what, before, value, sizes)
        causes[what] = (*causes.get(what, ()), difference(_short(name), before, value, key=name))
        values.setdefault(what, {})[name] = value
    return Changed(causes, values, sizes)


def _resized(what: str, before: Any, value: Any, sizes: dict[str, int]) -> tuple[str, dict[str, int]]:
    """Two ways to write one size are no other size."""
    if _size(before) == _size(value):
        return RECORD, sizes
    return SIZE, {**sizes, what: _size(value)}


def changed_engine(wanted: EngineSpec, present: EngineSpec) -> dict[str, Any]:
    """Return the fields of the engine that are other ones now, but for its version."""
    return {
        f.name: getattr(wanted, f.name)
        for f in fields(EngineSpec)
        if f.name != "version" and to_document(getattr(wanted, f.name)) != to_document(getattr(present, f.name))
    }


def engine_differences(changes: Mapping[str, Any], present: EngineSpec) -> tuple[Difference, ...]:
    """Return what changes of the engine, value by value."""
    return tuple(one for name, value in changes.items() for one in _of_engine(name, getattr(present, name), value))


def _of_engine(name: str, before: Any, value: Any) -> tuple[Difference, ...]:
    if name == "env":
        return pair_differences("env", before, value)
    if name == "config":
        return differences("daemon.json", before, value)
    spoken = name.replace("_", " ")
    return (difference(spoken, before, value, secret=name == "install_script"),)


def label_differences(
    wanted: Mapping[str, str], present: Mapping[str, str], what: str = "label"
) -> tuple[Difference, ...]:
    """Return which labels come, go and change."""
    changed = [key for key in {**present, **wanted} if wanted.get(key) != present.get(key)]
    return tuple(difference(f"{what} {key}", present.get(key), wanted.get(key), key=key) for key in changed)


def _short(name: str) -> str:
    """Leave out the driver's name, with which its options begin."""
    _, _, rest = name.partition("_")
    return (rest or name).replace("_", " ")


def _size(value: Any) -> int:
    return value if isinstance(value, int) else parse_size(str(value), "the inventory")


def _default(options: type, name: str) -> Any:
    """The value that a record of before the option was there stands for."""
    found = next(f for f in fields(options) if f.name == name)
    if found.default is not MISSING:
        return to_document(found.default)
    return to_document(found.default_factory()) if found.default_factory is not MISSING else None
