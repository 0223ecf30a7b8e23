"""Networks are started, made and moved; addresses are reserved once and given back once."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, collapse_addresses
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymachine.errors import CheckFailed, DriverError
from pymachine_kvm.dhcp import choose_mac, find_address, keep, release, reserve
from pymachine_kvm.handle import mac_of
from pymachine_kvm.ipam import Subnet, clash, free_address, free_subnet, read_subnet
from pymachine_kvm.network import Kernel as Place
from pymachine_kvm.network import Network, ensure_network, entries_of
from pymachine_kvm.routes import host_routes, networks
from unit.libvirt_node import BRIDGED, CARD, NODE1, NODE2, Kernel, domain, network, node

NET = IPv4Network("192.168.122.0/24")


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A host with one network card and a default route."""
    kernel = Kernel(tmp_path)
    kernel.route("eth0", "default", gateway="10.9.0.1")
    kernel.route("eth0", "10.9.0.0/24")
    return kernel


def bring_up(connection: object, name: str, kernel: Kernel) -> tuple[Network, list[str]]:
    notices: list[str] = []
    found = ensure_network(cast(Any, connection), name, notices.append, kernel=Place(kernel.command, kernel.devices))
    return found, notices


def ignore(text: str) -> None:
    """Nobody listens."""


# -- networks --


def test_a_network_that_runs_is_left_as_it_is(tmp_path: Path, kernel: Kernel) -> None:
    with node(tmp_path, network()) as connection:
        before = connection.networkLookupByName("default").XMLDesc(0)

        assert bring_up(connection, "default", kernel) == (Network("default", "virbr0", NET), [])
        assert connection.networkLookupByName("default").XMLDesc(0) == before


def test_an_inactive_network_is_started_now_and_at_boot(tmp_path: Path, kernel: Kernel) -> None:
    with node(tmp_path, network("lab", "10.77.0")) as connection:
        connection.networkLookupByName("lab").destroy()
        _, notices = bring_up(connection, "lab", kernel)
        lab = connection.networkLookupByName("lab")

        assert (lab.isActive(), lab.autostart(), notices) == (1, 1, ["started network 'lab'"])


def test_the_default_network_is_made_when_missing(tmp_path: Path, kernel: Kernel) -> None:
    with node(tmp_path) as connection:
        found, notices = bring_up(connection, "default", kernel)

        assert found.subnet == NET
        assert found.reserves
        assert connection.networkLookupByName("default").isActive()
        assert notices == ["made network 'default' (192.168.122.0/24)", "started network 'default'"]


def test_it_is_made_where_this_host_has_no_route_to(tmp_path: Path, kernel: Kernel) -> None:
    kernel.route("tun0", "192.168.0.0/16")
    with node(tmp_path) as connection:
        found, _ = bring_up(connection, "default", kernel)

        assert found.subnet == IPv4Network("10.7.255.0/24")


def test_another_missing_network_is_refused_with_those_there_are(tmp_path: Path, kernel: Kernel) -> None:
    with node(tmp_path, network(), BRIDGED) as connection:
        with pytest.raises(CheckFailed, match=r"'lab' in libvirt; existing networks: default, lan") as refused:
            bring_up(connection, "lab", kernel)

        assert "virsh" in (refused.value.hint or "")
        assert sorted(n.name() for n in connection.listAllNetworks()) == ["default", "lan"]


@pytest.mark.parametrize("running", [True, False])
def test_default_moves_out_of_the_way_of_a_route(tmp_path: Path, kernel: Kernel, running: bool) -> None:
    kernel.route("wlan0", "192.168.122.0/24")
    with node(tmp_path, network()) as connection:
        if not running:
            connection.networkLookupByName("default").destroy()
        found, notices = bring_up(connection, "default", kernel)
        subnet = read_subnet(connection.networkLookupByName("default").XMLDesc(0))

        assert found.subnet == IPv4Network("192.168.123.0/24")
        assert subnet is not None
        assert subnet.gateway == IPv4Address("192.168.123.1")
        assert subnet.ranges == ((IPv4Address("192.168.123.2"), IPv4Address("192.168.123.254")),)
        assert " 192.168.122.0/24: " in notices[0]
    assert " 192.168.123.0/24" in notices[0]


def test_a_route_of_policy_routing_counts_too(tmp_path: Path, kernel: Kernel) -> None:
    kernel.route("wg0", "192.168.96.0/19", table="51820")
    with node(tmp_path, network()) as connection:
        connection.networkLookupByName("default").destroy()

        assert bring_up(connection, "default", kernel)[0].subnet == IPv4Network("192.168.128.0/24")


def test_the_route_to_its_own_bridge_is_no_clash(tmp_path: Path, kernel: Kernel) -> None:
    kernel.route("virbr0", "192.168.122.0/24")
    kernel.route("virbr0", "192.168.122.1", type="local", table="local")
    with node(tmp_path, network()) as connection:
        assert bring_up(connection, "default", kernel) == (Network("default", "virbr0", NET), [])


HOST = f"<host mac='{NODE2.mac}' name='node2' ip='192.168.122.9'/>"


@pytest.mark.parametrize("user", ["domain", "reservation", "port"])
def test_it_stays_while_something_uses_it(tmp_path: Path, kernel: Kernel, user: str) -> None:
    kernel.route("wlan0", "192.168.122.0/24")
    guest = domain("other", NODE2.uuid, CARD.format(mac=NODE2.mac, network="default"))
    parts = [network(hosts=HOST if user == "reservation" else ""), guest if user == "domain" else ""]
    if user == "port":
        kernel.plug("virbr0", "vnet0")
    with node(tmp_path, *parts) as connection:
        found, notices = bring_up(connection, "default", kernel)

        assert found.subnet == NET
        assert "unreachable" in notices[0]


def test_a_used_one_that_is_off_is_refused(tmp_path: Path, kernel: Kernel) -> None:
    kernel.route("wlan0", "192.168.122.0/24")
    with node(tmp_path, network(hosts=HOST)) as connection:
        connection.networkLookupByName("default").destroy()
        with pytest.raises(CheckFailed, match=r"route to 192\.168\.122\.0/24"):
            bring_up(connection, "default", kernel)


def test_networks_of_other_names_are_never_moved(tmp_path: Path, kernel: Kernel) -> None:
    kernel.route("wlan0", "10.77.0.0/16")
    with node(tmp_path, network("lab", "10.77.0")) as connection:
        assert bring_up(connection, "lab", kernel)[0].subnet == IPv4Network("10.77.0.0/24")


def test_a_bridge_name_that_is_taken_is_given_up(tmp_path: Path, kernel: Kernel) -> None:
    (kernel.devices / "virbr0").mkdir()
    with node(tmp_path, network()) as connection:
        connection.networkLookupByName("default").destroy()
        found, _ = bring_up(connection, "default", kernel)

        assert found.bridge != "virbr0"
        assert found.subnet == NET


def test_a_bridge_into_the_hosts_network_cannot_reserve(tmp_path: Path, kernel: Kernel) -> None:
    with node(tmp_path, BRIDGED) as connection:
        found, _ = bring_up(connection, "lan", kernel)

        assert (found.bridge, found.reserves) == ("br0", False)


# -- reservations --


def test_an_address_is_reserved_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    with node(tmp_path, network()) as connection:
        address = reserve(connection, NODE1)

        assert IPv4Address(address) in NET
        assert reserve(connection, NODE1) == address
        entries = set(entries_of(connection.networkLookupByName("default")))
        assert [(e.mac, e.name, e.ip) for e in entries] == [(NODE1.mac, "node1", address)]


def test_an_address_that_was_remembered_is_kept(tmp_path: Path) -> None:
    with node(tmp_path, network()) as connection:
        assert reserve(connection, NODE1.with_(address="192.168.122.77")) == "192.168.122.77"
        assert reserve(connection, NODE2.with_(address="192.168.122.77")) != "192.168.122.77"


def test_every_address_is_given_out_once_and_then_none(tmp_path: Path) -> None:
    with node(tmp_path, network(last=5)) as connection:
        vms = [NODE1.with_(name=f"n{i}", mac=f"52:54:00:00:00:0{i}") for i in range(5)]
        given_out = [reserve(connection, vm) for vm in vms[:4]]

        assert sorted(given_out) == [f"192.168.122.{i}" for i in (2, 3, 4, 5)]
        with pytest.raises(CheckFailed, match=r" in 192\.168\.122\.0/24"):
            reserve(connection, vms[4])


@pytest.mark.parametrize("theirs", [{"mac": "52:54:00:99:99:99"}, {"name": "printer"}])
def test_a_mac_or_name_of_somebody_else_is_refused_with_the_entry(tmp_path: Path, theirs: dict[str, str]) -> None:
    with node(tmp_path, network()) as connection:
        address = reserve(connection, NODE1.with_(**theirs))
        with pytest.raises(CheckFailed, match=rf"machine's: .*ip='{address}'"):
            reserve(connection, NODE1)


def test_release_takes_back_its_own_and_nothing_else(tmp_path: Path) -> None:
    with node(tmp_path, network()) as connection:
        reserve(connection, NODE1)
        kept = reserve(connection, NODE2)
        release(connection, NODE1)
        release(connection, NODE1)
        release(connection, NODE2.with_(name="renamed"))
        release(connection, NODE1.with_(network="gone"))

        assert {entry.ip for entry in entries_of(connection.networkLookupByName("default"))} == {kept}


def test_before_a_start_network_and_reservation_are_put_back_as_they_were(tmp_path: Path) -> None:
    vm = NODE1.with_(network="lab", address="10.77.0.9")
    with node(tmp_path, network("lab", "10.77.0")) as connection:
        connection.networkLookupByName("lab").destroy()
        keep(connection, vm, ignore)
        keep(connection, vm, ignore)
        lab = connection.networkLookupByName("lab")

        assert lab.isActive()
        assert {entry.ip for entry in entries_of(lab)} == {"10.77.0.9"}


@pytest.mark.parametrize("address", ["192.168.122.9", "10.1.2.3"])
def test_an_address_that_is_gone_for_good_is_told_and_nothing_is_reserved(tmp_path: Path, address: str) -> None:
    with node(tmp_path, network("lab", "10.77.0")) as connection:
        with pytest.raises(DriverError, match=rf"cannot give node1 its address {address} any more"):
            keep(connection, NODE1.with_(network="lab", address=address), ignore)

        assert entries_of(connection.networkLookupByName("lab")) == []


def test_a_machine_without_a_network_or_with_a_bridge_has_nothing_to_keep(tmp_path: Path) -> None:
    with node(tmp_path, BRIDGED) as connection:
        keep(connection, NODE1.with_(network="", address="127.0.0.1"), ignore)
        keep(connection, NODE1.with_(network="lan", address="192.0.2.7"), ignore)


def test_a_mac_that_is_taken_gives_way_to_the_next(tmp_path: Path) -> None:
    first, second, third = (mac_of(NODE1.id, attempt) for attempt in range(3))
    guest = domain("other", NODE2.uuid, CARD.format(mac=first.upper(), network="default"))
    with node(tmp_path, network(hosts=f"<host mac='{second}' ip='192.168.122.9'/>"), guest) as connection:
        assert choose_mac(connection, NODE1.id, "default") == third
        assert choose_mac(connection, NODE2.id) == mac_of(NODE2.id)


def test_nobody_knows_the_address_of_a_machine_that_is_not_there(tmp_path: Path) -> None:
    with node(tmp_path, network()) as connection:
        assert find_address(connection, NODE1) == ""


# -- arithmetic --


ADDRESSES = st.sets(st.integers(2, 30).map(lambda i: f"10.0.0.{i}"))


@given(taken=ADDRESSES, seed=st.integers(0, 2**32))
def test_a_free_address_is_in_a_range_and_nobodys(taken: set[str], seed: int) -> None:
    low, high = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.30")
    subnet = Subnet(low, IPv4Network("10.0.0.0/24"), ((low, high),))
    address = free_address(subnet, taken, seed)

    if len(taken) == 29:
        assert address is None
    else:
        assert address is not None
        assert low < IPv4Address(address) <= high
        assert address not in taken


BLOCKS = ("192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8")
PRIVATE = st.sampled_from([*BLOCKS, "192.168.122.0/24", "10.0.0.0/9", "10.128.0.0/9", "10.200.0.0/30"])


@given(st.sets(PRIVATE.map(IPv4Network)), st.integers(20, 28))
def test_a_free_subnet_touches_no_route(routes: set[IPv4Network], prefix: int) -> None:
    subnet = free_subnet(routes, prefix)

    if subnet is not None:
        assert subnet.prefixlen == prefix
        assert subnet.is_private
        assert clash(subnet, routes) is None
    else:
        assert set(BLOCKS) <= {block.compressed for block in collapse_addresses(routes)}


def test_default_routes_and_halves_of_them_claim_nothing(kernel: Kernel) -> None:
    kernel.route("tun0", "128.0.0.0/1")
    kernel.route("lo", "127.0.0.0/8", type="local", table="local")
    kernel.route("eth0", "10.8.0.255", type="broadcast", table="local")

    assert networks(host_routes(kernel.command) or ()) == {IPv4Network("10.9.0.0/24")}


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit", "throw", "local"])
def test_what_is_not_delivered_is_taken_too(kernel: Kernel, kind: str) -> None:
    kernel.route("", "192.168.122.64/26", type=kind)

    assert IPv4Network("192.168.122.64/26") in networks(host_routes(kernel.command) or ())


def test_a_route_over_several_devices_is_a_route(kernel: Kernel) -> None:
    kernel.file.write_text('[{"dst": "10.1.0.0/16", "nexthops": [{"dev": "eth0"}, {"dev": "eth1"}]}]')

    assert networks(host_routes(kernel.command) or (), without="eth0") == {IPv4Network("10.1.0.0/16")}


@pytest.mark.parametrize("text", ["{", "{}", "[5]", '[{"dst": 5}]', '[{"dst": "10.0.0.0/99"}]', "[{}]"])
def test_an_answer_of_a_wrong_shape_is_no_answer(kernel: Kernel, text: str) -> None:
    kernel.file.write_text(text)

    assert host_routes(kernel.command) is None


@pytest.mark.parametrize("command", [("/nowhere/ip",), ("false",)])
def test_a_host_that_cannot_be_asked_is_given_no_subnet(tmp_path: Path, command: tuple[str, ...]) -> None:
    with node(tmp_path) as connection:
        with pytest.raises(CheckFailed) as refused:
            ensure_network(connection, "default", ignore, kernel=Place(command, tmp_path))

        assert "iproute2" in (refused.value.hint or "")
        assert connection.listAllNetworks() == []


def test_a_host_that_cannot_be_asked_keeps_the_network_that_it_has(tmp_path: Path) -> None:
    with node(tmp_path, network()) as connection:
        found = ensure_network(connection, "default", ignore, kernel=Place(("false",), tmp_path))

        assert found.subnet == NET


# -- other networks --

ISOLATED = "<network><name>lab</name><ip address='{net}.1' netmask='255.255.255.0'/></network>"
ROUTED = (
    "<network><name>lab</name><forward mode='route'/><ip address='10.77.0.1' prefix='24'/>"
    "<route address='192.168.122.0' prefix='25' gateway='10.77.0.9'/></network>"
)


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("other", [network("lab"), ISOLATED.format(net="192.168.122"), ROUTED])
def test_default_is_made_beside_other_networks_running_or_not(
    tmp_path: Path, kernel: Kernel, other: str, active: bool
) -> None:
    with node(tmp_path, other) as connection:
        if not active:
            connection.networkLookupByName("lab").destroy()

        assert bring_up(connection, "default", kernel)[0].subnet == IPv4Network("192.168.123.0/24")


def test_default_is_moved_off_another_network_before_it_is_started(tmp_path: Path, kernel: Kernel) -> None:
    with node(tmp_path, network(), ISOLATED.format(net="192.168.122")) as connection:
        for name in ("default", "lab"):
            connection.networkLookupByName(name).destroy()
        found, notices = bring_up(connection, "default", kernel)

        assert found.subnet == IPv4Network("192.168.123.0/24")
        assert "'lab'" in notices[0]


def test_default_is_not_moved_off_another_network_while_it_runs_or_is_used(tmp_path: Path, kernel: Kernel) -> None:
    with node(tmp_path, network(hosts=HOST), ISOLATED.format(net="192.168.122")) as connection:
        for name in ("default", "lab"):
            connection.networkLookupByName(name).destroy()
        assert bring_up(connection, "default", kernel)[0].subnet == NET
    with node(tmp_path, network(), ISOLATED.format(net="192.168.122")) as connection:
        assert bring_up(connection, "default", kernel)[0].subnet == NET


def test_a_move_off_a_route_does_not_end_on_another_network(tmp_path: Path, kernel: Kernel) -> None:
    kernel.route("wlan0", "192.168.122.0/24")
    with node(tmp_path, network(), ISOLATED.format(net="192.168.123")) as connection:
        connection.networkLookupByName("lab").destroy()

        assert bring_up(connection, "default", kernel)[0].subnet == IPv4Network("192.168.124.0/24")
