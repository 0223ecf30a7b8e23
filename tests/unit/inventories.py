"""Inventories read without files: what is outside is given, and the drivers are made up or the real ssh one."""

from __future__ import annotations

import posixpath
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest

from pymachine.driver import option, refused
from pymachine.errors import DriverMissing, PymachineError, ValueFault
from pymachine.fleet.inventory import Fleet, Inventory, InventoryFaults, SecretSource, Surroundings, YamlFile, load
from pymachine.testing.fake_driver import FakeOptions
from pymachine_ssh import SshOptions


@dataclass(frozen=True)
class CloudOptions:
    """Options with one of every kind that the fake driver lacks."""

    cloud_zones: tuple[str, ...] = field(default=(), metadata=option("zones", metavar="ZONE"))
    cloud_price: float | None = field(default=None, metadata=option("price"))
    cloud_key: str | None = field(default=None, metadata=option("key", metavar="FILE"))
    cloud_kind: Literal["big", "small"] = field(default="big", metadata=option("kind"))
    cloud_password: str | None = field(default=None, metadata=refused("--cloud-password", "export CLOUD_PASSWORD"))


DRIVERS: dict[str, type] = {"cloud": CloudOptions, "fake": FakeOptions, "ssh": SshOptions, "generic": SshOptions}
NAMES = ("absent", "cloud", "fake", "generic", "ssh")


def options_of(name: str) -> type:
    if name not in DRIVERS:
        raise DriverMissing(f"driver {name!r} cannot be loaded: no module", hint="install it")
    return DRIVERS[name]


@dataclass
class Files:
    """Files that are there: their texts by absolute path. Those in ``programs`` may be executed."""

    texts: dict[str, str] = field(default_factory=dict)
    programs: set[str] = field(default_factory=set)

    def resolve(self, file: str, path: str) -> str:
        return posixpath.normpath(posixpath.join("/inv", posixpath.dirname(file), path))

    def fault(self, path: str, *, executable: bool = False) -> str | None:
        if path not in self.texts:
            return "no such file"
        return "it is not executable: chmod +x it" if executable and path not in self.programs else None

    def read(self, path: str) -> str:
        if path not in self.texts:
            raise ValueFault(path, "cannot be read: no such file")
        return self.texts[path]


def no_secrets(source: SecretSource) -> str:
    raise PymachineError(f"nobody may read {source.path or source.words}")


def surroundings(
    environ: Mapping[str, str] | None = None,
    files: Files | None = None,
    secrets: Callable[[SecretSource], str] = no_secrets,
) -> Surroundings:
    return Surroundings(environ or {}, NAMES, options_of, files or Files(), secrets)


def read(text: str, *more: str, around: Surroundings | None = None) -> Inventory:
    """Read the text of a file f.yaml, and those of g.yaml and so on."""
    texts = [textwrap.dedent(one) for one in (text, *more)]
    return load(
        [YamlFile(f"{chr(ord('f') + place)}.yaml", one) for place, one in enumerate(texts)], around or surroundings()
    )


def fleet(text: str, *more: str, around: Surroundings | None = None) -> Fleet:
    return read(text, *more, around=around).fleet


def faults(text: str, *more: str, around: Surroundings | None = None) -> list[str]:
    """Return the lines of all faults."""
    with pytest.raises(InventoryFaults) as caught:
        read(text, *more, around=around)
    return [finding.line for finding in caught.value.findings]


def machines(text: str, around: Surroundings | None = None) -> Fleet:
    """Read the entries of machines, each of driver fake unless it says otherwise."""
    head = "fleet: f\ndefaults: {driver: fake}\nmachines:\n"
    return load(
        [YamlFile("f.yaml", head + textwrap.indent(textwrap.dedent(text), "  "))], around or surroundings()
    ).fleet
