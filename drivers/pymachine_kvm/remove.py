"""Removing a virtual machine: every part that create made, whatever of it is still there, and nothing else."""

from __future__ import annotations

from typing import Any

from pymachine.errors import DriverError
from pymachine_kvm.base_images import MARK
from pymachine_kvm.cards import remove_card
from pymachine_kvm.console import log_name
from pymachine_kvm.dhcp import release
from pymachine_kvm.handle import Vm, origin_name, volume_names
from pymachine_kvm.libvirt_api import GONE, code_of, libvirt, translated
from pymachine_kvm.libvirt_types import Connection, Domain, StoragePool
from pymachine_kvm.ownership import is_ours
from pymachine_kvm.power import cut
from pymachine_kvm.status import find
from pymachine_kvm.storage import find_pool, refresh, remove_volume

_INVALID_ARGUMENT = 8  # VIR_ERR_INVALID_ARG: an undefine flag that this libvirt does not know
# In the order in which libvirt learnt them: 0.9.4, 0.9.5, 1.2.9, 5.6, 8.9.
_KEPT_BESIDE = ("MANAGED_SAVE", "SNAPSHOTS_METADATA", "NVRAM", "CHECKPOINTS_METADATA", "TPM")


def remove(conn: Connection, vm: Vm) -> None:
    """Remove the domain, its snapshots, saved memory, firmware variables, volumes and reservation.

    What is gone already is passed over. A domain of its UUID without our mark, and volumes with other names than a
    machine's, belong to others and stay; the base under the disk stays as well. Raises ``DriverError``.
    """
    domain = find(conn, vm)
    if domain is not None:
        _remove_domain(domain, vm)
    pool = _opened(conn, vm)
    if pool is not None:
        _remove_volumes(pool, vm)
    release(conn, vm)
    if pool is not None:  # last: what a removal that was cut off left is still told whose it is
        remove_card(pool, vm)


def remove_theirs(conn: Connection, vm: Vm) -> None:
    """Remove the domain of a machine that docker-machine made. Its disk is in docker-machine's store, and stays."""
    domain = find(conn, vm)
    if domain is None:
        return
    with translated(f"removing {vm.name}"):
        cut(domain)
        _undefine(domain)


def _remove_domain(domain: Domain, vm: Vm) -> None:
    with translated(f"removing {vm.name}"):
        if not is_ours(domain, vm):
            raise DriverError(
                f"the domain {domain.name()} has the UUID of {vm.name}, but not its metadata: "
                "another program made it",
                hint=f"`virsh dumpxml {vm.uuid}` shows it; `pymachine rm -f` forgets the machine and leaves it",
            )
        cut(domain)
        _undefine(domain)


def _undefine(domain: Domain) -> None:
    """Undefine the domain with all that libvirt keeps beside it, as far as this libvirt knows each kind."""
    module = libvirt()
    for flags in _ladder():
        try:
            domain.undefineFlags(flags)
        except module.libvirtError as error:
            if code_of(error) in GONE:  # it had no definition any more, and ended with its guest
                return
            if code_of(error) != _INVALID_ARGUMENT or not flags:
                raise
        else:
            return


def _ladder() -> list[int]:
    """Return undefine flags to try in turn: all of them, then without the newest each time, at last none."""
    module = libvirt()
    steps = [0]
    for name in _KEPT_BESIDE:
        steps.append(steps[-1] | getattr(module, f"VIR_DOMAIN_UNDEFINE_{name}", 0))
    return steps[::-1]


def _opened(conn: Connection, vm: Vm) -> Any:
    """Return the machine's pool, started and as it is now; None where it is gone."""
    pool = find_pool(conn, vm.pool)
    if pool is None:
        return None
    with translated(f"looking at pool {vm.pool!r}"):
        if not pool.isActive():
            pool.create()
        refresh(pool)
    return pool


def _remove_volumes(pool: StoragePool, vm: Vm) -> None:
    with translated(f"looking at pool {vm.pool!r}"):
        names = [volume.name() for volume in pool.listAllVolumes()]
    for name in names:
        if _is_part(name, vm):
            remove_volume(pool, name)


def _is_part(name: str, vm: Vm) -> bool:
    """Whether a volume is the machine's: its name must hold the machine's id. The log lies there in several parts."""
    origin = origin_name(vm.name, vm.id)
    made = {vm.disk, vm.seed} & set(volume_names(vm.name, vm.id))
    ours = {*made, origin, origin + MARK}
    return name in ours or name.startswith(log_name(vm))
