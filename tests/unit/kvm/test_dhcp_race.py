"""An address that somebody else reserves at the same moment, and an update of the network that fails otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from pymachine.errors import DriverError
from pymachine_kvm.dhcp import reserve
from pymachine_kvm.ipam import HostEntry
from pymachine_kvm.libvirt_api import libvirt
from pymachine_kvm.network import entries_of
from unit.libvirt_node import NODE1, network, node

OTHER = "52:54:00:77:77:77"


class Racing:
    """A network in which others reserve the address of the first ``races`` updates a moment before; ``after`` those
    an update fails with this text."""

    def __init__(self, real: Any, races: int, after: str = "") -> None:
        self.real = real
        self.races = races
        self.after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def update(self, command: int, section: int, index: int, xml: str, flags: int) -> int:
        if command != libvirt().VIR_NETWORK_UPDATE_COMMAND_ADD_LAST:
            return int(self.real.update(command, section, index, xml, flags))
        if self.races:
            self.races -= 1
            address = xml.partition("ip='")[2].partition("'")[0]
            theirs = HostEntry(f"{OTHER[:-1]}{self.races}", f"printer{self.races}", address)
            self.real.update(command, section, index, theirs.xml, flags)
        elif self.after:
            raise libvirt().libvirtError(self.after)
        return int(self.real.update(command, section, index, xml, flags))


class Host:
    """A connection whose network is such a one."""

    def __init__(self, real: Any, *racing: Any) -> None:
        self.real = real
        self.network = Racing(real.networkLookupByName("default"), *racing)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def networkLookupByName(self, name: str) -> Racing:  # noqa: N802 - libvirt's name
        return self.network


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_an_address_that_others_take_at_the_same_moment_gives_way_to_the_next(tmp_path: Path) -> None:
    with node(tmp_path, network()) as connection:
        address = reserve(cast(Any, Host(connection, 2)), NODE1)
        found = {(entry.name, entry.ip) for entry in entries_of(connection.networkLookupByName("default"))}
        assert len(found) == 3
        assert ("node1", address) in found


@pytest.mark.parametrize("text", ["cannot write file: no space", "there is an existing dhcp host entry, so to say"])
def test_an_update_that_fails_otherwise_is_told(tmp_path: Path, text: str) -> None:
    with node(tmp_path, network()) as connection, pytest.raises(DriverError, match=text):
        reserve(cast(Any, Host(connection, 0, text)), NODE1)
