"""The suite that every driver passes, on real libvirt and QEMU: with a guest of one boot sector, who obeys its power
button, and an SSH banner that this host says at the address that was reserved for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from lab.kvm_fixtures import Virtual
from lab.tinyguest import OBEY, sector, write_disk
from lab.tinyhost import StandIn
from pymachine.driver import Driver, PlannedInstance
from pymachine.testing.contract import DriverContract
from pymachine_kvm import KvmDriver, KvmOptions
from pymachine_kvm.images.cache import VARIABLE

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

NAMES = ("contract1", "contract2")  # as the suite calls them


class TestKvm(DriverContract):
    @pytest.fixture(autouse=True)
    def world(self, virtual: Virtual, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv(VARIABLE, str(tmp_path / "images"))
        self.virtual = virtual
        self.disk = write_disk(tmp_path / "tiny.img", sector("Linux version 0\r\n", then=OBEY))
        self.banner = StandIn()
        yield
        self.banner.close()
        assert not any(virtual.leftovers(*NAMES).values())
        virtual.drop_bases(self.disk)

    @override
    def driver(self) -> Driver:
        return KvmDriver()

    @override
    def options(self) -> Any:
        return KvmOptions(
            kvm_image=str(self.disk), kvm_memory="256M", kvm_disk="1G", kvm_virt_type="qemu", kvm_cpus=1
        )

    @override
    def bad_options(self) -> Any:
        return KvmOptions(kvm_image=str(self.disk), kvm_memory="100T", kvm_virt_type="qemu")

    @override
    def count(self) -> int:
        return len(self.virtual.domains() & set(NAMES))

    @override
    def foreseen(self, prospect: PlannedInstance) -> None:
        assert prospect.ssh is not None
        self.banner.ssh(prospect.ssh.host)
