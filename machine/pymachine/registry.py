"""Drivers, and the commands that they add, by name through entry points: ours by the same door as anybody's."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, distributions, entry_points
from typing import TypeVar, cast

from pymachine.driver import API, Driver
from pymachine.errors import CommandMissing, DriverMissing, PymachineError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Group:
    """A group of entry points: what messages call one of them, and the error of one that cannot be used."""

    name: str
    noun: str
    missing: type[PymachineError]


_DRIVERS = _Group("pymachine.drivers", "driver", DriverMissing)
_COMMANDS = _Group("pymachine.commands", "command", CommandMissing)


def names() -> list[str]:
    """Return the names of all installed drivers, aliases included, without importing any."""
    return _names(_DRIVERS)


def command_names() -> list[str]:
    """Return the names of the commands that drivers add, without importing any.

    Raises ``CommandMissing`` if an installed distribution has entry points that cannot be read.
    """
    return _names(_COMMANDS)


def load(name: str) -> type[Driver]:
    """Import the driver class of that name.

    Raises ``DriverMissing`` if there is none, if two distributions claim the name, if it cannot be imported (it
    needs a package that is not installed, say), or if it was written for another version of the seam.
    """
    points = _named(_DRIVERS, name)
    if not points:
        raise _unknown(name)
    kind = _import(_DRIVERS, points)
    api = getattr(kind, "api", None)
    if api != API:
        raise DriverMissing(
            f"driver {name!r} ({_origin(points[0])}) speaks driver API {api}, this pymachine speaks {API}",
            hint=f"install a version of {_origin(points[0])} made for this pymachine",
        )
    return cast(type[Driver], kind)


def load_command(name: str, kind: type[T]) -> T | None:
    """Import the command of that name, an object of ``kind``; return None if no driver adds it.

    Raises ``CommandMissing`` if two distributions claim the name, if it cannot be imported, or if it is not a
    command.
    """
    points = _named(_COMMANDS, name)
    if not points:
        return None
    command = _import(_COMMANDS, points)
    if not isinstance(command, kind):
        raise CommandMissing(
            f"command {name!r} ({_origin(points[0])}) cannot be loaded: {points[0].value} is not a click command",
            hint=_complaint(points[0]),
        )
    return command


def _names(group: _Group) -> list[str]:
    return sorted(_installed(group).names)


def _named(group: _Group, name: str) -> list[EntryPoint]:
    return list(_installed(group).select(name=name))


def _installed(group: _Group) -> EntryPoints:
    try:
        return _read(group.name, tuple(sys.path))
    except Exception as error:  # a file of another package, in a shape that importlib does not expect
        culprit = _unreadable()
        raise group.missing(
            f"the entry points of {culprit} cannot be read: {error}", hint=f"reinstall or uninstall {culprit}"
        ) from error


@lru_cache(maxsize=2)
def _read(group: str, path: tuple[str, ...]) -> EntryPoints:
    """Return the entry points of a group on this path; looked for once, which reads every distribution."""
    return entry_points(group=group)


def _unreadable() -> str:
    """Return the name of the distribution whose entry points cannot be read."""
    for found in distributions():
        try:
            _ = found.entry_points
        except Exception:  # noqa: BLE001 - any that is raised says the same
            return found.name
    return "an installed package"


def _unknown(name: str) -> DriverMissing:
    import difflib

    near = difflib.get_close_matches(name, names(), n=1)
    return DriverMissing(
        f"no driver {name!r}",
        unknown=name,
        hint=f"did you mean {near[0]}?" if near else f"installed drivers: {', '.join(names())}",
    )


def _import(group: _Group, points: list[EntryPoint]) -> object:
    """Import what the entry points of one name stand for, which has to be one object."""
    point = points[0]
    what = f"{group.noun} {point.name!r}"
    if len({other.value for other in points}) > 1:
        origins = " and ".join(sorted(_origin(p) for p in points))
        noun = f"{group.noun} name {point.name!r}"
        raise group.missing(f"{noun} is claimed by {origins}", hint="uninstall one of them")
    try:
        return point.load()
    except ImportError as error:
        fault, hint = str(error), f"pip install '{_requirement(point)}'"
        raise group.missing(f"{what} cannot be loaded: {fault}", hint=hint) from error
    except Exception as error:  # whatever the code of another package raises, this name cannot be used
        fault = f"{type(error).__name__}: {error}"
        raise group.missing(f"{what} ({_origin(point)}) cannot be loaded: {fault}", hint=_complaint(point)) from error


def _requirement(point: EntryPoint) -> str:
    """Return the distribution with the extra that is called like the driver of that package, by any of its names."""
    if point.dist is None:
        return _origin(point)
    extras = point.dist.metadata.get_all("Provides-Extra") or ()
    drivers = point.dist.entry_points.select(group=_DRIVERS.name)
    same = [p.name for p in drivers if _package(p) == _package(point)]
    extra = next((name for name in same if name in extras), point.name if point.name in same else "")
    return f"{point.dist.name}[{extra}]" if extra else point.dist.name


def _package(point: EntryPoint) -> str:
    return point.value.partition(":")[0].partition(".")[0].strip()


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _complaint(point: EntryPoint) -> str:
    return f"uninstall {_origin(point)}, or report it to its authors"
