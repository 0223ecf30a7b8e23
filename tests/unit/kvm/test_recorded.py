"""Virtual machines that docker-machine made: on, off and away, by libvirt's test driver."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from pymachine.driver import RecordedInstance
from pymachine.errors import CheckFailed, DriverError, NotSupported
from pymachine.model import State
from pymachine_kvm import KvmDriver
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import connect, libvirt
from pymachine_kvm.recorded import await_ssh
from unit.kvm_machine import URI, a_vm, definition

DISK = "/home/ann/.docker/machine/machines/{name}/{name}.img"


def recorded(driver: str = "kvm", **values: Any) -> RecordedInstance:
    known = {
        "IPAddress": "192.168.42.7", "MachineName": "vm", "SSHUser": "docker", "Memory": 1024, "CPU": 3,
        "DiskSize": 20000, "Network": "default", "DiskPath": DISK.format(name="vm"),
    }  # fmt: skip
    return RecordedInstance(driver, {**known, **values}, "ab" * 16)


@pytest.fixture
def listening() -> Iterator[int]:
    """A port of this computer that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def theirs(listening: int) -> Iterator[Vm]:
    """A machine of docker-machine's, switched off: its domain has another UUID than the record, and no mark."""
    made = a_vm("theirs")
    disk = DISK.format(name=made.name)
    with connect(URI) as conn:
        conn.defineXML(definition(made, marked=False).replace(f"/{made.disk}", disk))
        yield Vm(
            URI, "cd" * 16, made.name, pool="", disk=disk, seed="", mac="", address="127.0.0.1", ssh_port=listening,
            virt_type="kvm", theirs=True,
        )  # fmt: skip
        for end in ("destroy", "undefine"):
            with suppress(libvirt().libvirtError):
                getattr(conn.lookupByName(made.name), end)()


def state_of(vm: Vm) -> State:
    return KvmDriver().inspect(vm.handle(), deadline=5.0).state


def test_what_is_on_record_becomes_a_machine() -> None:
    options, instance = KvmDriver().recorded(recorded())
    vm = Vm.of(instance.handle)

    assert (vm.name, vm.disk, vm.uri, vm.theirs) == ("vm", DISK.format(name="vm"), "qemu:///system", True)
    assert (options.kvm_memory, options.kvm_disk, options.kvm_cpus) == ("1024M", "20000M", 3)
    assert instance.ssh is not None
    assert (instance.ssh.host, instance.ssh.user) == ("192.168.42.7", "docker")


@pytest.mark.parametrize(
    "values",
    [
        {"DiskPath": ""}, {"DiskPath": "vm.img"}, {"MachineName": None}, {"IPAddress": ""}, {"Memory": "1024"},
        {"ConnectionURI": "qemu+ssh://h/system?command=/tmp/x"}, {"ConnectionURI": "test:///default"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_on_record_or_names_a_program_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(CheckFailed):
        KvmDriver().recorded(recorded("kvm2", **values))


def test_it_is_switched_on_and_off_and_removed(theirs: Vm) -> None:
    driver, handle = KvmDriver(), theirs.handle()

    assert state_of(theirs) is State.STOPPED
    driver.start(handle)
    assert driver.inspect(handle, deadline=5.0).addresses == ("127.0.0.1",)
    driver.restart(handle)
    assert state_of(theirs) is State.RUNNING
    driver.stop(handle)
    assert state_of(theirs) is State.STOPPED
    driver.start(handle)
    driver.kill(handle)
    driver.destroy(handle)
    assert state_of(theirs) is State.MISSING
    driver.destroy(handle)


def test_a_domain_with_its_name_and_another_disk_is_somebody_elses(theirs: Vm) -> None:
    other = theirs.with_(disk="/home/bob/other.img")

    assert state_of(other) is State.MISSING
    KvmDriver().destroy(other.handle())
    with pytest.raises(DriverError):
        KvmDriver().stop(other.handle())
    assert state_of(theirs) is State.STOPPED


def test_nothing_else_is_done_with_it(theirs: Vm) -> None:
    driver, handle = KvmDriver(), theirs.handle()

    for work in (
        lambda: driver.snapshot(handle, "x"),
        lambda: driver.resize(handle, cpus=1, memory=None, disk=None),
        lambda: driver.console_log(handle),
        lambda: driver.check_source(handle),
    ):
        with pytest.raises(NotSupported):
            work()


def test_one_that_does_not_answer_is_an_error_in_time(listening: int) -> None:
    vm = a_vm(theirs=True, address="127.0.0.1", ssh_port=1)

    with pytest.raises(DriverError):
        await_ssh(vm, 0.1)
