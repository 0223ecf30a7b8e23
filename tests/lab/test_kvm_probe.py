"""Guests under a real libvirt: the probe of hardware virtualisation, and a boot followed to each way it can end."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lab import libvirtd, tinyguest
from pymachine.errors import DriverError
from pymachine_kvm import virtualization
from pymachine_kvm.boot import follow
from pymachine_kvm.handle import Vm
from pymachine_kvm.kvm_probe import Answer, BootDisk, ask_guest
from pymachine_kvm.libvirt_api import connect, libvirt
from pymachine_kvm.panic import RESETS

pytestmark = pytest.mark.lab

URI = libvirtd.URI
BOOTED = "Linux version 6.12.0 (tiny)\r\n[    1.0] Run /init as init process\r\n"
HUNG = "Linux version 6.12.0 (tiny)\r\n"
PANICKED = HUNG + "[    0.1] ---[ end Kernel panic - not syncing: tiny ]---\r\n"


@pytest.fixture(scope="module")
def daemon() -> Iterator[None]:
    if os.geteuid() != 0 or tinyguest.missing():
        pytest.skip(tinyguest.missing() or "a system libvirt is root's")
    with libvirtd.running():
        yield


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tinyguest.open_folder(tmp_path_factory.mktemp("tiny") / "disks")


@pytest.fixture
def conn(daemon: None) -> Iterator[Any]:
    with connect(URI) as connection:
        yield connection


def disk_that_prints(folder: Path, text: str, then: bytes = tinyguest.HANG) -> Path:
    return tinyguest.write_disk(folder / "tiny.raw", tinyguest.sector(text, then))


def probes_left(conn: Any) -> list[str]:
    return [d.name() for d in conn.listAllDomains() if d.name().startswith("pymachine-probe-")]


# The probe. Emulation stands in for hardware that works: what is proved is the judgement, not the hardware.


def test_a_guest_that_reaches_its_first_program_is_believed_at_once(conn: Any, folder: Path) -> None:
    disk = BootDisk(str(disk_that_prints(folder, BOOTED)), "raw")
    begun = time.monotonic()

    assert ask_guest(conn, disk, deadline=60, virt_type="qemu") == Answer()
    assert time.monotonic() - begun < 30
    assert probes_left(conn) == []


def test_a_kernel_that_falls_silent_is_not_believed(conn: Any, folder: Path) -> None:
    disk = BootDisk(str(disk_that_prints(folder, HUNG)), "raw")

    answer = ask_guest(conn, disk, deadline=3, virt_type="qemu")

    assert " 1 lines " in answer.fault
    assert answer.lasting
    assert probes_left(conn) == []


def test_a_guest_that_ends_by_itself_is_not_believed(conn: Any, folder: Path) -> None:
    disk = BootDisk(str(disk_that_prints(folder, HUNG, tinyguest.POWER_OFF)), "raw")

    assert ask_guest(conn, disk, deadline=60, virt_type="qemu").fault.endswith(" ended by itself")


def test_a_disk_that_cannot_be_read_is_no_word_on_the_hardware(conn: Any, folder: Path) -> None:
    answer = ask_guest(conn, BootDisk(str(folder / "missing.raw"), "raw"), virt_type="qemu")

    assert "missing.raw" in answer.fault
    assert not answer.lasting


def test_the_probe_writes_nothing_to_the_image(conn: Any, folder: Path) -> None:
    disk = disk_that_prints(folder, BOOTED, tinyguest.FILL_DISK)
    before = disk.read_bytes()

    ask_guest(conn, BootDisk(str(disk), "raw"), deadline=60, virt_type="qemu")

    assert disk.read_bytes() == before


def test_the_firmwares_variables_of_the_probe_are_removed(conn: Any, folder: Path) -> None:
    disk = BootDisk(str(disk_that_prints(folder, HUNG)), "raw", uefi=True)

    answer = ask_guest(conn, disk, deadline=3, virt_type="qemu")

    assert (
        answer.fault == "a Linux guest printed not one line of its kernel within 3 s"
    )  # it was UEFI: no boot sector
    assert list(Path("/var/lib/libvirt/qemu/nvram").glob("pymachine-probe-*")) == []
    assert probes_left(conn) == []


def test_an_interrupted_probe_leaves_no_domain(conn: Any, folder: Path) -> None:
    disk = disk_that_prints(folder, HUNG)
    code = (
        "import sys; from pymachine_kvm.libvirt_api import connect; from pymachine_kvm.kvm_probe import *\n"
        f"with connect({URI!r}) as conn: ask_guest(conn, BootDisk({str(disk)!r}, 'raw'), virt_type='qemu')"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        try:
            eventually(lambda: bool(probes_left(conn)))
        finally:
            child.kill()

    eventually(lambda: probes_left(conn) == [])


def test_hardware_is_settled_by_what_this_host_can_do_and_said_once(
    conn: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    disk = BootDisk(str(disk_that_prints(folder, BOOTED)), "raw")
    said: list[str] = []

    kinds = [virtualization.settle(conn, "auto", None, lambda: ask_guest(conn, disk), said.append) for _ in range(2)]

    assert kinds in (["kvm", "kvm"], ["qemu", "qemu"])
    assert len(said) == (kinds[0] == "qemu")


# Following a boot.


@contextmanager
def guest(conn: Any, folder: Path, text: str, then: bytes = tinyguest.HANG, **changes: Any) -> Iterator[Vm]:
    """Run a guest that prints a text, held back until the test follows it, so that not a byte is missed."""
    identity = uuid4()
    vm = Vm(
        URI, identity.hex, f"pymachine-test-{identity.hex[:8]}", "default", "d", "s", "m", virt_type="kvm", **changes
    )
    disk = disk_that_prints(folder, text, then)
    module = libvirt()
    flags = module.VIR_DOMAIN_START_AUTODESTROY | module.VIR_DOMAIN_START_PAUSED
    domain = conn.defineXML(tinyguest.domain_xml(vm.name, vm.uuid, disk))
    try:
        domain.createWithFlags(flags)
        threading.Timer(1.0, domain.resume).start()
        yield vm
    finally:
        with suppress(module.libvirtError):
            domain.destroy()
        domain.undefine()


@contextmanager
def server_that_says(banner: bytes) -> Iterator[int]:
    """Accept connections on a port of loopback, and say one thing."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    client.sendall(banner)
                    client.close()

        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


def test_a_boot_is_told_phase_by_phase_until_ssh_answers(
    conn: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    caplog.set_level(logging.DEBUG, logger="pymachine.console")
    with server_that_says(b"SSH-2.0-test\r\n") as port, guest(conn, folder, BOOTED + "node1 login: ") as vm:

        def reached() -> bool:
            return "booting: login" in told

        follow(vm.with_(ssh_port=port), deadline=60, progress=told.append, reached=reached)
        follow(vm.with_(ssh_port=port), deadline=60, progress=ignore)

    assert told == ["booting: kernel", "booting: first file system", "booting: login"]
    assert "Linux version 6.12.0 (tiny)" in caplog.messages


def test_a_guest_without_ssh_ends_with_its_phase_and_its_last_lines(conn: Any, folder: Path) -> None:
    silent = server_that_says(b"")
    with silent as port, guest(conn, folder, BOOTED, ssh_port=port) as vm, pytest.raises(DriverError) as caught:
        follow(vm, deadline=5, progress=ignore)

    assert "within 5 s; the guest stopped at: first file system" in caught.value.message
    assert "Run /init as init process" in caught.value.message


def test_a_guest_that_switches_itself_off_is_not_waited_for(conn: Any, folder: Path) -> None:
    with guest(conn, folder, HUNG, tinyguest.POWER_OFF, ssh_port=1) as vm, pytest.raises(DriverError) as caught:
        follow(vm, deadline=100, progress=ignore)

    assert caught.value.message.startswith("it shut itself down; the guest stopped at: kernel")


def test_an_emulated_guest_that_panics_is_reset_and_in_the_end_switched_off(conn: Any, folder: Path) -> None:
    told: list[str] = []
    with guest(conn, folder, PANICKED, ssh_port=1) as vm:
        with pytest.raises(DriverError) as caught:
            follow(vm.with_(virt_type="qemu"), deadline=100, progress=told.append)
        assert not conn.lookupByUUIDString(vm.uuid).isActive()

    assert told.count("booting: kernel") == 1 + RESETS
    assert caught.value.message.count("not syncing: tiny") > RESETS


def test_a_domain_that_is_taken_away_is_not_waited_for(conn: Any, folder: Path) -> None:
    with guest(conn, folder, HUNG, ssh_port=1) as vm:
        threading.Timer(2.0, conn.lookupByUUIDString(vm.uuid).destroy).start()
        with pytest.raises(DriverError) as caught:
            follow(vm, deadline=100, progress=ignore)

    assert caught.value.message.partition("; ")[0].endswith(" off")


def test_a_full_disk_of_the_host_is_named(conn: Any, folder: Path) -> None:
    with (
        small_file_system(folder),
        guest(conn, folder, HUNG, tinyguest.FILL_DISK, ssh_port=1) as vm,
        pytest.raises(DriverError) as caught,
    ):
        follow(vm, deadline=100, progress=ignore)

    assert caught.value.message.startswith("its host's disk is full: writing to vda failed; ")
    assert caught.value.hint is not None
    assert "free space" in caught.value.hint


@contextmanager
def small_file_system(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def ignore(line: str) -> None:
    """Take progress that a test does not look at."""


def eventually(holds: Callable[[], bool], deadline: float = 30.0) -> None:
    end = time.monotonic() + deadline
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
