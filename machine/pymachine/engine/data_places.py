"""Settings that say where an engine has its images, containers and volumes, all of which a change hides. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pymachine.engine.daemon_config import Config, set_values
from pymachine.engine.host_facts import DATA_ROOT, Asked, EngineFacts

FEATURE = "containerd-snapshotter"
_SNAPSHOTTER = ["driver-type", "io.containerd.snapshotter.v1"]  # what /info says of an engine that uses containerd's

# Each setting, with its value if nothing sets it.
_PLACES: Mapping[str, str] = {
    "data-root": DATA_ROOT,
    "graph": DATA_ROOT,
    "exec-root": "/var/run/docker",
    "userns-remap": "",
    "containerd": "",
    "containerd-namespace": "moby",
}
_SAME: Mapping[str, Callable[[str], str]] = {
    "data-root": lambda path: path.rstrip("/"),
    "graph": lambda path: path.rstrip("/"),
    "exec-root": lambda path: path.rstrip("/").replace("/var/run/", "/run/", 1),
    "userns-remap": lambda user: "dockremap" if user == "default" else user,
}


def place_conflicts(
    engine: EngineFacts, before: Mapping[str, Any], after: Mapping[str, Any], *, fresh: bool
) -> list[str]:
    """Name the settings that would hide what the engine has: with the configuration before, and the one after.

    What an engine has that does not run is not known, which counts as something unless it is ``fresh``: then the
    engine came from a set-up that did not finish.
    """
    if not may_hold_data(engine) or (fresh and engine.asked is not Asked.ANSWERED):
        return []
    unknown = "" if engine.asked is Asked.ANSWERED else " (the engine does not run, so what it has is not known)"
    changes = (*_moves(engine, before, after), *_storage(engine, before, after))
    return [
        f"{key} {new!r} would hide the images, containers and volumes of {old!r}{unknown}"
        for key, old, new in changes
    ]


def may_hold_data(engine: EngineFacts) -> bool:
    """Whether the engine has images or containers, or could not be asked."""
    return engine.asked is not Asked.ANSWERED or engine.has_data or bool(engine.containers)


def without_places(added: Mapping[str, Any]) -> Config:
    """Return what a set-up added without the settings that say where the data is."""
    kept = {key: value for key, value in added.items() if key not in _PLACES and key != "features"}
    features = {key: value for key, value in _features(added).items() if key != FEATURE}
    return {**kept, **({"features": features} if features else {})}


def places_in(added: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the settings of these that say where the data is."""
    return (*(key for key in added if key in _PLACES), *([FEATURE] if FEATURE in _features(added) else ()))


def _moves(
    engine: EngineFacts, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[tuple[str, object, object]]:
    for key in ("data-root", "exec-root", "userns-remap", "containerd", "containerd-namespace"):
        old, new = (_value(engine, set_values(config), key) for config in (before, after))
        if _SAME.get(key, str)(old) != _SAME.get(key, str)(new):
            yield key, old, new
    wanted = _features(after).get(FEATURE)
    had = _uses_snapshotter(engine, before)
    if wanted is not None and wanted != had:
        yield f"feature {FEATURE}", had, wanted


def _storage(
    engine: EngineFacts, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[tuple[str, object, object]]:
    """A storage driver for an engine that does not say which one it uses; else ``storage_conflicts`` compares."""
    old, new = before.get("storage-driver"), after.get("storage-driver")
    if engine.asked is not Asked.ANSWERED and new is not None and old != new:
        yield "storage-driver", old or "another one", new


def _value(engine: EngineFacts, config: Mapping[str, Any], key: str) -> str:
    names = ("data-root", "graph") if key == "data-root" else (key,)
    for name in names:
        if isinstance(found := config.get(name), str) and found:
            return found
        if name in engine.flags:
            return engine.flags[name][-1]
    return _PLACES[key]


def _features(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("features")
    return found if isinstance(found, Mapping) else {}


def _uses_snapshotter(engine: EngineFacts, config: Mapping[str, Any]) -> bool:
    if engine.asked is Asked.ANSWERED:
        rows = engine.info.get("DriverStatus")
        return isinstance(rows, list) and _SNAPSHOTTER in rows
    return _features(config).get(FEATURE) is True
