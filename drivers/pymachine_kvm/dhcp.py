"""Addresses and MACs of machines in a libvirt network: reserved before the boot, found after it.

dnsmasq's files are not read: their place and form changed between versions of libvirt, and a daemon on another host
has them there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address
from itertools import count
from typing import Any

from pymachine.errors import CheckFailed, DriverError
from pymachine_kvm.definitions import definitions, uuid_of
from pymachine_kvm.dhcp_release import give_back
from pymachine_kvm.handle import Vm, mac_of
from pymachine_kvm.ipam import HostEntry, Subnet, bridge_of, free_address, read_subnet
from pymachine_kvm.libvirt_api import is_local, libvirt, translated
from pymachine_kvm.libvirt_types import Connection, LibvirtNetwork
from pymachine_kvm.locks import exclusive
from pymachine_kvm.network import Notice, ensure_network, entries_by_place, entries_of, look_up, xml_of

_ATTEMPTS = 5  # at an address that somebody else takes at the same moment


def choose_mac(connection: Connection, machine_id: str, network: str = "") -> str:
    """Return a MAC address for a new machine: one that no other domain, and no reservation of the network, has."""
    taken = set(_macs_of_domains(connection, but=machine_id))
    found = look_up(connection, network) if network else None
    if found is not None:
        taken |= {entry.mac for entry in entries_of(found)}
    return next(mac for mac in (mac_of(machine_id, attempt) for attempt in count()) if mac not in taken)


def reserve(connection: Connection, vm: Vm) -> str:
    """Reserve an address for the machine's MAC, under its name, and return it. Repeatable: it stays the same.

    The entry is written into the running network and into its definition, so that it outlives both. Raises
    ``CheckFailed`` where the network has no address left, or where its MAC or name is in use.
    """
    network = _required(connection, vm.network)
    with exclusive(connection, f"network {vm.network}"):
        for _ in range(_ATTEMPTS):
            entry = _own_entry(network, vm) or _new_entry(network, vm)
            if _write(network, entry):
                return entry.ip
    raise DriverError(
        f"network {vm.network!r}: every address that was free a moment ago is now in use", hint="try again"
    )


def keep(connection: Connection, vm: Vm, notice: Notice) -> None:
    """See that a started machine will be found where it was: its network is up, its reservation there.

    What was removed by hand is put back. Raises ``DriverError`` where the network does not have the address any more,
    or another host has it; the machine's certificate is for that address.
    """
    if not vm.network or not ensure_network(connection, vm.network, notice).reserves:
        return
    address = reserve(connection, vm)
    if vm.address and address != vm.address:
        release(connection, vm)
        raise DriverError(
            f"network {vm.network!r} cannot give {vm.name} its address {vm.address} any more",
            hint=f"`virsh net-edit {vm.network}` moves the network back; or remove the machine and create it again",
        )


def release(connection: Connection, vm: Vm) -> None:
    """Take back the machine's reservation, the entry with its MAC and its name and no other, and end its lease.

    It may be gone already. A lease that cannot be ended (on another host, say) ends by itself within an hour.
    """
    network = look_up(connection, vm.network) if vm.network else None
    if network is None:
        return
    with exclusive(connection, f"network {vm.network}"):
        for entry in {entry for entry in entries_of(network) if _is_of(entry, vm)}:
            _withdraw(network, entry)
        if is_local(connection):
            _end_leases(network, vm)


def find_address(connection: Connection, vm: Vm) -> str:
    """Return the address that the running machine has now, empty while nobody knows.

    Asked are the network's leases (the newest), the agent in the guest, and the host's ARP table, in this order.
    """
    sources = (_leased, _told_by_agent, _seen_by_arp)
    return next((address for source in sources if (address := source(connection, vm))), "")


def _end_leases(network: LibvirtNetwork, vm: Vm) -> None:
    xml = xml_of(network)
    subnet = read_subnet(xml)
    if subnet is None:
        return
    for lease in _leases(network, vm.mac):
        if lease["type"] == libvirt().VIR_IP_ADDR_TYPE_IPV4:
            give_back(lease["ipaddr"], vm.mac, server=str(subnet.gateway), bridge=bridge_of(xml))


def _required(connection: Connection, name: str) -> Any:
    network = look_up(connection, name)
    if network is None:
        raise DriverError(f"network {name!r} no longer exists in libvirt", hint="run the same command again")
    return network


def _own_entry(network: LibvirtNetwork, vm: Vm) -> HostEntry | None:
    return next((entry for entry in entries_of(network) if _is_of(entry, vm)), None)


def _is_of(entry: HostEntry, vm: Vm) -> bool:
    return entry.mac == vm.mac and entry.name == vm.name


def _new_entry(network: LibvirtNetwork, vm: Vm) -> HostEntry:
    subnet, entries = read_subnet(xml_of(network)), entries_of(network)
    if subnet is None:
        raise DriverError(f"network {vm.network!r} has no DHCP server of libvirt, so no address can be reserved")
    _refuse_foreign(vm, entries)
    taken = {entry.ip for entry in entries} | set(_leases_of_others(network, vm))
    wished = vm.address if _is_free(vm.address, subnet, taken) else ""
    address = wished or free_address(subnet, taken, int(vm.id[:8], 16))
    if address is None:
        raise CheckFailed(
            f"network {vm.network!r} has no address left in {subnet.network}",
            hint=f"`virsh net-edit {vm.network}` widens its range; another network: --kvm-network",
        )
    return HostEntry(vm.mac, vm.name, address)


def _is_free(address: str, subnet: Subnet, taken: set[str]) -> bool:
    return bool(address) and address not in taken and IPv4Address(address) in subnet.network


def _refuse_foreign(vm: Vm, entries: list[HostEntry]) -> None:
    for entry in entries:
        if entry.mac == vm.mac or entry.name == vm.name:
            raise CheckFailed(
                f"network {vm.network!r} has a reservation that is not this machine's: {entry.xml}",
                hint="choose another name; `pymachine gc -d kvm` finds what a lost store left; or `virsh net-update"
                f' {vm.network} delete ip-dhcp-host "{entry.xml}" --live --config` if it is not needed',
            )


def _write(network: LibvirtNetwork, entry: HostEntry) -> bool:
    """Write the entry wherever it is missing; False, with nothing left, where others were quicker."""
    for place, entries in entries_by_place(network):
        if entry not in entries and not _added(network, entry, place):
            _withdraw(network, entry)
            return False
    return all(entry in entries for _, entries in entries_by_place(network))


def _withdraw(network: LibvirtNetwork, entry: HostEntry) -> None:
    for place, entries in entries_by_place(network):
        if entry in entries:
            _update(network, "DELETE", entry, place)


def _added(network: LibvirtNetwork, entry: HostEntry, place: int) -> bool:
    try:
        _update(network, "ADD_LAST", entry, place)
    except DriverError as error:
        # libvirt has no number of its own for an entry that is there already: the network itself is read again.
        with suppress(DriverError):
            if any(_collide(entry, other) for other in dict(entries_by_place(network))[place]):
                return False
        raise error from None
    return True


def _collide(entry: HostEntry, other: HostEntry) -> bool:
    return entry.ip == other.ip or entry.mac == other.mac or entry.name == other.name


def _update(network: LibvirtNetwork, command: str, entry: HostEntry, place: int) -> None:
    module = libvirt()
    with translated(f"network {network.name()!r}, reservation of {entry.ip}"):
        network.update(
            getattr(module, f"VIR_NETWORK_UPDATE_COMMAND_{command}"),
            module.VIR_NETWORK_SECTION_IP_DHCP_HOST,
            -1,  # the ``ip`` element: libvirt finds it by the address
            entry.xml,
            place,
        )


def _leases_of_others(network: LibvirtNetwork, vm: Vm) -> Iterator[str]:
    return (lease["ipaddr"] for lease in _leases(network) if lease["mac"].lower() != vm.mac)


def _leases(network: LibvirtNetwork, mac: str | None = None) -> list[dict[str, Any]]:
    """Return the leases of now; none where the network keeps none (a bridge, or libvirt's test driver)."""
    try:
        return list(network.DHCPLeases(mac) if mac else network.DHCPLeases())
    except libvirt().libvirtError:
        return []


def _leased(connection: Connection, vm: Vm) -> str:
    network = look_up(connection, vm.network) if vm.network else None
    leases = _leases(network, vm.mac) if network is not None else []
    known = [lease for lease in leases if lease["type"] == libvirt().VIR_IP_ADDR_TYPE_IPV4]
    return str(max(known, key=lambda lease: lease["expirytime"])["ipaddr"]) if known else ""


def _told_by_agent(connection: Connection, vm: Vm) -> str:
    return _of_interface(connection, vm, libvirt().VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)


def _seen_by_arp(connection: Connection, vm: Vm) -> str:
    return _of_interface(connection, vm, libvirt().VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP)


def _of_interface(connection: Connection, vm: Vm, source: int) -> str:
    """Return the first IPv4 address of the device with our MAC: a guest with an engine has bridges of its own."""
    try:
        devices = connection.lookupByUUIDString(vm.uuid).interfaceAddresses(source).values()
    except libvirt().libvirtError:  # no agent yet, no ARP entry, not running: nobody knows
        return ""
    ours = [device for device in devices if (device["hwaddr"] or "").lower() == vm.mac]
    addresses = [address for device in ours for address in device["addrs"] or ()]
    return next((str(a["addr"]) for a in addresses if a["type"] == libvirt().VIR_IP_ADDR_TYPE_IPV4), "")


def _macs_of_domains(connection: Connection, *, but: str) -> Iterator[str]:
    for root in definitions(connection):
        if uuid_of(root) != but:
            yield from (mac.get("address", "").lower() for mac in root.findall("devices/interface/mac"))
