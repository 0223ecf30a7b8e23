"""libvirt's networks: started, created, and moved away from this host's routes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from pymachine.errors import CheckFailed
from pymachine.templates import render
from pymachine_kvm import routes
from pymachine_kvm.definitions import definitions
from pymachine_kvm.ipam import HostEntry, bridge_of, claimed_subnets, clash, free_subnet, moved, read_subnet
from pymachine_kvm.libvirt_api import INVALID_ARGUMENT, NO_NETWORK, code_of, found, is_local, libvirt, translated
from pymachine_kvm.libvirt_types import Connection, LibvirtNetwork
from pymachine_kvm.locks import exclusive

DEFAULT = "default"  # the one network that is ours to make and to move: every libvirt installation begins with it

Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kernel:
    """How this host's routes are read (see ``routes``), and where its network devices are listed."""

    routes: tuple[str, ...] = routes.COMMAND
    devices: Path = Path("/sys/class/net")


@dataclass(frozen=True, slots=True)
class Network:
    """A running network. ``subnet`` is that of libvirt's own DHCP server, None if it has none."""

    name: str
    bridge: str
    subnet: IPv4Network | None

    @property
    def reserves(self) -> bool:
        """Whether an address can be reserved; a bridge into the host's network has its DHCP elsewhere."""
        return self.subnet is not None


HERE = Kernel()


def ensure_network(
    connection: Connection, name: str, notice: Notice, *, ours: str = DEFAULT, kernel: Kernel = HERE
) -> Network:
    """Return the network, started (now and at every boot of its host) when it was not.

    Only ``ours`` is made when it is missing, and moved to a free subnet while a route of this host overlaps its own
    and nothing uses it, or, before it is started, another network of libvirt does. Routes are looked at where the
    daemon is on this host. Raises ``CheckFailed`` for another network that is missing, for one whose subnet is not
    free, and where a subnet is to be chosen and the routes could not be asked for.
    """
    with exclusive(connection, f"network {name}"):
        network = look_up(connection, name)
        if network is None and name != ours:
            raise _missing(connection, name)
        if network is None:
            network = _make(connection, name, kernel, notice)
        network = _clear_the_way(_Place(connection, network, kernel), notice, movable=name == ours)
        _start(network, name, notice)
        return _describe(network)


@dataclass(frozen=True, slots=True)
class _Place:
    """A network, among others of its daemon; where that is on this host, its kernel routes to it or past it."""

    connection: Connection
    network: LibvirtNetwork
    kernel: Kernel

    @property
    def name(self) -> str:
        return str(self.network.name())

    @property
    def bridge(self) -> str:
        return bridge_of(xml_of(self.network))

    @property
    def active(self) -> bool:
        return bool(self.network.isActive())

    @property
    def bridge_is_taken(self) -> bool:
        """Whether a device of this host has its bridge's name, while it does not run."""
        if self.active or not self.bridge or not is_local(self.connection):
            return False
        return (self.kernel.devices / self.bridge).exists()

    def routes(self) -> frozenset[IPv4Network]:
        """Where the host routes to besides; nothing where it could not be asked."""
        found = _host_routes(self.connection, self.kernel) or ()
        return routes.networks(found, without=self.bridge if self.active else "")

    def others(self) -> dict[IPv4Network, str]:
        """The subnets of the other networks, defined or running, and whose they are."""
        return _claimed(self.connection, but=self.name)

    def used(self) -> bool:
        """Whether a domain, a reservation or a device on its bridge would miss the network where it is."""
        ports = self.kernel.devices / self.bridge / "brif"
        return (
            any(self.name in networks for networks in _networks_of_domains(self.connection))
            or bool(entries_of(self.network))
            or (self.active and ports.is_dir() and any(ports.iterdir()))
        )


def _clear_the_way(place: _Place, notice: Notice, *, movable: bool) -> Any:
    """Return the network, in another subnet or on another bridge where this host has taken its own."""
    subnet = read_subnet(xml_of(place.network))
    if subnet is None:
        return place.network
    movable = movable and not place.used()
    if hit := clash(subnet.network, place.routes()):
        what = f"network {place.name!r} ({subnet.network}) overlaps this host's route to {hit}"
        return _move(place, subnet.network, what, notice) if movable else _keep_or_refuse(place, what, notice)
    others = place.others() if movable and not place.active else {}
    if hit := clash(subnet.network, others):
        # Of two that overlap only one can run: the other one has its users, ours has none.
        what = f"network {place.name!r} ({subnet.network}) overlaps network {others[hit]!r} ({hit})"
        return _move(place, subnet.network, what, notice)
    return _redefine(place, subnet.network) if place.bridge_is_taken else place.network


def _move(place: _Place, subnet: IPv4Network, what: str, notice: Notice) -> Any:
    target = _chosen_subnet(place.connection, place.kernel, subnet.prefixlen, but=place.name)
    notice(f"{what}: moved it to {target}")
    return _redefine(place, target)


def _keep_or_refuse(place: _Place, what: str, notice: Notice) -> Any:
    if place.active:
        notice(f"{what}: machines there may be unreachable")
        return place.network
    raise CheckFailed(what, hint=f"`virsh net-edit {place.name}` moves it; or choose another one: --kvm-network")


def _redefine(place: _Place, target: IPv4Network) -> Any:
    """Redefine the network in ``target``, on a bridge name that libvirt finds free; it is left stopped."""
    with translated(f"moving network {place.name!r} to {target}"):
        xml = moved(_definition(place.network), target)
        if place.active:
            place.network.destroy()
        return place.connection.networkDefineXML(xml)


def _missing(connection: Connection, name: str) -> CheckFailed:
    with translated("listing networks"):
        names = ", ".join(sorted(network.name() for network in connection.listAllNetworks())) or "none"
    return CheckFailed(
        f"no network {name!r} in libvirt; existing networks: {names}",
        hint=f"choose one with --kvm-network, or make it: `virsh -c {connection.getURI()} net-define FILE`",
    )


def _make(connection: Connection, name: str, kernel: Kernel, notice: Notice) -> Any:
    subnet = _chosen_subnet(connection, kernel, 24, but=name)
    with translated(f"making network {name!r}"):
        network = connection.networkDefineXML(_network_xml(name, subnet))
    notice(f"made network {name!r} ({subnet})")
    return network


def _network_xml(name: str, subnet: IPv4Network) -> str:
    gateway, first, last = subnet[1], subnet[2], subnet[-2]
    return render(
        "libvirt/network.xml.j2", name=name, gateway=gateway, netmask=subnet.netmask, first=first, last=last
    )


def _chosen_subnet(connection: Connection, kernel: Kernel, prefix: int, *, but: str) -> IPv4Network:
    """Return a subnet that no route of this host and no other network of libvirt's touches.

    Raises ``CheckFailed`` where there is none, and where this host could not be asked for its routes.
    """
    found = _host_routes(connection, kernel)
    if found is None:
        raise CheckFailed(
            "the routes of this host could not be read, and a network that overlaps a route would cut off the hosts "
            "there",
            hint="`ip -4 -json route show table all` must work (apt install iproute2); or define a network by hand"
            " and give --kvm-network",
        )
    subnet = free_subnet(routes.networks(found) | _claimed(connection, but=but).keys(), prefix)
    if subnet is None:
        raise CheckFailed(
            "this host has routes or networks in every private subnet that a network could use",
            hint="`ip route show table all` lists them; define a network by hand and give --kvm-network",
        )
    return subnet


def _host_routes(connection: Connection, kernel: Kernel) -> tuple[routes.HostRoute, ...] | None:
    """Return the routes of the daemon's host; none are known of another host, None where this one does not tell."""
    return routes.host_routes(kernel.routes) if is_local(connection) else ()


def _claimed(connection: Connection, *, but: str) -> dict[IPv4Network, str]:
    """Return the subnets of all networks but one, as they run and as they are defined, with the networks' names."""
    with translated("looking at the networks"):
        others = [network for network in connection.listAllNetworks() if network.name() != but]
        texts = [(network.name(), text) for network in others for text in _texts_of(network)]
    return {subnet: name for name, text in texts for subnet in claimed_subnets(text)}


def _texts_of(network: LibvirtNetwork) -> Iterator[str]:
    """Yield a network's XML as it runs and as it is defined; nothing of one that is removed meanwhile."""
    try:
        yield str(network.XMLDesc(0))
        if network.isPersistent():
            yield _definition(network)
    except libvirt().libvirtError as error:
        if code_of(error) != NO_NETWORK:
            raise


def _start(network: LibvirtNetwork, name: str, notice: Notice) -> None:
    with translated(f"starting network {name!r}"):
        if not network.isActive():
            network.create()
            notice(f"started network {name!r}")
        if network.isPersistent() and not network.autostart():
            network.setAutostart(1)


def _describe(network: LibvirtNetwork) -> Network:
    xml = xml_of(network)
    subnet = read_subnet(xml)
    return Network(network.name(), bridge_of(xml), subnet.network if subnet else None)


def look_up(connection: Connection, name: str) -> Any:
    """Return libvirt's network, None where there is none of that name."""
    with translated(f"looking for network {name!r}"):
        return found(lambda: connection.networkLookupByName(name))


def xml_of(network: LibvirtNetwork) -> str:
    """Return the network's XML: as it runs, or as it is defined where it does not run."""
    with translated(f"looking at network {network.name()!r}"):
        return str(network.XMLDesc(0))


def entries_by_place(network: LibvirtNetwork) -> Iterator[tuple[int, tuple[HostEntry, ...]]]:
    """Yield each place that keeps reservations, as ``network.update`` names it, with those that it has now."""
    module = libvirt()
    with translated(f"looking at network {network.name()!r}"):
        if network.isActive():
            yield module.VIR_NETWORK_UPDATE_AFFECT_LIVE, _hosts(network.XMLDesc(0))
        if network.isPersistent():
            yield module.VIR_NETWORK_UPDATE_AFFECT_CONFIG, _hosts(_definition(network))


def _definition(network: LibvirtNetwork) -> str:
    """Return the XML that the network will start with; libvirt's errors are the caller's to translate."""
    module = libvirt()
    try:
        return str(network.XMLDesc(module.VIR_NETWORK_XML_INACTIVE))
    except module.libvirtError as error:
        if code_of(error) != INVALID_ARGUMENT:  # libvirt's test driver has one text for both
            raise
        return str(network.XMLDesc(0))


def _hosts(xml: str) -> tuple[HostEntry, ...]:
    subnet = read_subnet(xml)
    return subnet.hosts if subnet else ()


def entries_of(network: LibvirtNetwork) -> list[HostEntry]:
    """Return every reservation of the network; one that is both in force and defined twice."""
    return [entry for _, entries in entries_by_place(network) for entry in entries]


def _networks_of_domains(connection: Connection) -> Iterator[set[str]]:
    for root in definitions(connection):
        yield {source.get("network", "") for source in root.findall("devices/interface/source")}
