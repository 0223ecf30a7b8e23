"""Virtual machines that docker-machine made, by its drivers kvm and kvm2: found by name and disk, never by UUID."""

from __future__ import annotations

from pymachine.addresses import check_user
from pymachine.clock import REAL, Clock
from pymachine.driver import Instance, RecordedInstance
from pymachine.errors import CheckFailed, DriverError, Unreachable
from pymachine.model import SshAddress
from pymachine.transport.dial import dial
from pymachine_kvm.handle import Vm
from pymachine_kvm.options import KvmOptions

_SYSTEM, _USER, _PORT = "qemu:///system", "docker", 22
# A URI of libvirt's may name a program to run; docker-machine only used these.
_URIS = (_SYSTEM, "qemu:///session")
_DIAL, _PAUSE = 3.0, 1.0  # seconds


def instance_of(recorded: RecordedInstance) -> tuple[KvmOptions, Instance]:
    """Return the options of a machine, and the machine. Asks nobody.

    Raises ``CheckFailed`` and ``UsageFault`` for what is not on record, or wrong.
    """
    name, disk = recorded.text("MachineName"), recorded.text("DiskPath")
    if not name or not disk.startswith("/"):
        raise CheckFailed("the name of its domain or the path of its disk is not on record")
    uri = recorded.text("ConnectionURI") or _SYSTEM
    if uri not in _URIS:
        raise CheckFailed(f"its libvirt is at {uri!r}, and only {' and '.join(_URIS)} are supported")
    ssh = SshAddress(
        recorded.address(), recorded.number("SSHPort") or _PORT, check_user(recorded.text("SSHUser") or _USER)
    )
    vm = Vm(
        uri=uri, id=recorded.machine_id, name=name, pool="", disk=disk, seed="", mac="", address=ssh.host,
        ssh_port=ssh.port or _PORT, user=ssh.user or _USER, virt_type="kvm", theirs=True,
    )  # fmt: skip
    endpoint = recorded.endpoint()
    return _options(recorded, uri), Instance(vm.handle(), ssh=ssh, endpoint=endpoint, addresses=(ssh.host,))


def _options(recorded: RecordedInstance, uri: str) -> KvmOptions:
    usual = KvmOptions()
    return KvmOptions(
        kvm_cpus=recorded.number("CPU") or usual.kvm_cpus,
        kvm_memory=_size(recorded.number("Memory")) or usual.kvm_memory,
        kvm_disk=_size(recorded.number("DiskSize")) or usual.kvm_disk,
        kvm_network=recorded.text("Network") or usual.kvm_network,
        kvm_uri=uri,
    )


def _size(megabytes: int) -> str:
    return f"{megabytes}M" if megabytes > 0 else ""


def await_ssh(vm: Vm, patience: float, *, clock: Clock = REAL) -> None:
    """Wait until a machine that was switched on accepts connections at its SSH port. Raises ``DriverError``."""
    for _ in clock.ticks(patience, _PAUSE):
        try:
            dial(vm.address, vm.ssh_port, deadline=_DIAL).close()
        except Unreachable:
            continue
        return
    raise DriverError(
        f"{vm.name} runs, but does not answer SSH at {vm.address} within {patience:.0f} s",
        hint=f"`virsh -c {vm.uri} domifaddr {vm.name}` shows its addresses",
    )
