"""From a driver's name to its class, through entry points: ours by the same door as anybody's."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from pymachine.driver import API, Driver
from pymachine.errors import DriverMissing

GROUP = "pymachine.drivers"


def names() -> list[str]:
    """Return the names of all installed drivers, aliases included, without importing any."""
    return sorted({point.name for point in _installed(tuple(sys.path))})


def load(name: str) -> type[Driver]:
    """Import the driver class of that name.

    Raises ``DriverMissing`` if there is none, if two distributions claim the name, if the driver needs a package
    that is not installed, or if it was written for another version of the seam.
    """
    point = _only(name, [p for p in _installed(tuple(sys.path)) if p.name == name])
    kind = _import(point)
    api = getattr(kind, "api", None)
    if api != API:
        raise DriverMissing(
            f"driver {name!r} ({_origin(point)}) speaks driver API {api}, this pymachine speaks {API}",
            hint=f"install a version of {_origin(point)} made for this pymachine",
        )
    return cast(type[Driver], kind)


@lru_cache(maxsize=1)
def _installed(path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points of all drivers on this path; looked for once, which reads every distribution."""
    return tuple(entry_points(group=GROUP))


def _only(name: str, points: list[EntryPoint]) -> EntryPoint:
    targets = {point.value for point in points}
    if not points:
        import difflib

        near = difflib.get_close_matches(name, names(), n=1)
        raise DriverMissing(
            f"no driver {name!r}",
            hint=f"did you mean {near[0]}?" if near else f"installed drivers: {', '.join(names())}",
        )
    if len(targets) > 1:
        origins = " and ".join(sorted(_origin(p) for p in points))
        raise DriverMissing(f"driver name {name!r} is claimed by {origins}", hint="uninstall one of them")
    return points[0]


def _import(point: EntryPoint) -> object:
    try:
        return point.load()
    except ImportError as error:
        raise DriverMissing(
            f"driver {point.name!r} cannot be loaded: {error}",
            hint=f"pip install '{_origin(point)}[{_extra(point)}]'",
        ) from error


def _extra(point: EntryPoint) -> str:
    """Return the extra of the distribution that is called like the driver, by whichever of its names."""
    if point.dist is None:
        return point.name
    extras = point.dist.metadata.get_all("Provides-Extra") or ()
    same = [p.name for p in point.dist.entry_points if p.group == GROUP and p.value == point.value]
    return next((name for name in same if name in extras), point.name)


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
