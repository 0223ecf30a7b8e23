"""Domains are defined once, ours only; ports and shared folders are settled by what libvirt can do."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from pymachine.errors import CheckFailed
from pymachine_kvm.capabilities import folder_sharing
from pymachine_kvm.domain import DomainSpec, define, domain_xml, find_own
from pymachine_kvm.handle import Vm
from pymachine_kvm.options import Mount
from pymachine_kvm.usernet import choose_ports, forwards, needs_passt, qemu_arguments, taken_ports
from unit.libvirt_node import NODE1, domain, node

VM = NODE1.with_(virt_type="qemu")
RW, RO = Mount("/srv", "/srv", False, "pymachine0"), Mount("/etc", "/etc", True, "pymachine1")


def spec(vm: Vm, **changes: object) -> DomainSpec:
    paths = {"disk": "/p/d", "base": "/p/b", "base_format": "qcow2", "seed": "/p/s", "console_log": "/p/l"}
    return DomainSpec(**{"vm": vm, "cpus": 1, "memory": 1 << 28, **paths, **changes})  # type: ignore[arg-type]


# -- domains --


def test_a_domain_is_defined_and_found_as_ours(tmp_path: Path) -> None:
    with node(tmp_path) as connection:
        assert find_own(connection, VM) is None
        define(connection, spec(VM))
        found = find_own(connection, VM)

        assert (found.name(), found.UUIDString(), found.isActive()) == ("node1", VM.uuid, 0)


def test_defining_again_takes_the_new_definition(tmp_path: Path) -> None:
    with node(tmp_path) as connection:
        define(connection, spec(VM))
        define(connection, spec(VM, cpus=3))

        assert [d.name() for d in connection.listAllDomains()] == ["node1"]
        assert "<vcpu placement='static'>3</vcpu>" in find_own(connection, VM).XMLDesc(0)


@pytest.mark.parametrize("uuid", [VM.uuid, "00000000-0000-4000-8000-000000000001"])
def test_a_domain_of_somebody_else_is_refused_and_left_alone(tmp_path: Path, uuid: str) -> None:
    with node(tmp_path, domain("node1", uuid)) as connection:
        before = connection.lookupByName("node1").XMLDesc(0)
        with pytest.raises(CheckFailed, match="'node1'") as refused:
            define(connection, spec(VM))

        assert "another name" in str(refused.value.hint)
        assert connection.lookupByName("node1").XMLDesc(0) == before


def test_another_machine_of_ours_with_that_name_is_not_this_one(tmp_path: Path) -> None:
    with node(tmp_path) as connection:
        define(connection, spec(VM.with_(id="2f3c9a7e5b1d4c2e8a6f7b8c9d0e1f2a")))
        with pytest.raises(CheckFailed, match="machine's"):
            define(connection, spec(VM))


def test_64_bit_arm_always_boots_by_uefi() -> None:
    assert [spec(VM, firmware=f).uefi for f in ("auto", "bios", "uefi")] == [False, False, True]
    assert spec(VM.with_(arch="aarch64"), firmware="bios").uefi


# -- ports on loopback --


def test_ports_are_free_and_not_the_same(tmp_path: Path) -> None:
    with node(tmp_path) as connection:
        ports = choose_ports(connection, 4)

    assert len(set(ports)) == 4
    for port in ports:
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


class Defined:
    """A daemon with these domains; libvirt's test driver forgets what is QEMU's own in a definition."""

    def __init__(self, *xmls: str) -> None:
        self._xmls = xmls

    def getURI(self) -> str:  # noqa: N802 - libvirt's name
        return "qemu:///session"

    def listAllDomains(self) -> list[Defined.Domain]:  # noqa: N802 - libvirt's name
        return [Defined.Domain(xml) for xml in self._xmls]

    @dataclass
    class Domain:
        xml: str

        def XMLDesc(self, flags: int) -> str:  # noqa: N802 - libvirt's name
            return self.xml


def session_domain(*ports: int, passt: bool = False) -> str:
    pairs = tuple((port, 22) for port in ports)
    return domain_xml(spec(VM.with_(network=""), ports=pairs, passt=passt))


def test_ports_that_are_listened_on_or_promised_are_left_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as closing:
        listened, free = server.getsockname()[1], closing.getsockname()[1]
        closing.close()

        assert choose_ports(cast(Any, Defined(session_domain(23022))), 2, [listened, 23022, free]) == (free,)


def test_the_ports_of_every_domain_are_known_however_they_are_forwarded() -> None:
    connection = Defined(session_domain(23022, 23376), session_domain(23400, passt=True), domain("x", VM.uuid))

    assert set(taken_ports(cast(Any, connection))) == {23022, 23376, 23400}


def test_a_daemon_of_another_host_has_no_loopback_for_us() -> None:
    class Far:
        def getURI(self) -> str:  # noqa: N802 - libvirt's name
            return "qemu+ssh://me@far/session"

    with pytest.raises(CheckFailed, match="loopback"):
        choose_ports(cast(Any, Far()), 2)


def test_a_machine_with_a_network_forwards_nothing() -> None:
    assert forwards(VM, 2376) == ()


def test_qemu_listens_on_loopback_alone() -> None:
    arguments = qemu_arguments(VM, ((23022, 22), (23376, 2376)))

    assert arguments[1] == "user,id=pymachine,hostfwd=tcp:127.0.0.1:23022-:22,hostfwd=tcp:127.0.0.1:23376-:2376"
    assert f"mac={VM.mac}" in arguments[3]


# -- what libvirt can do --


class Told:
    """A libvirt of a version whose capabilities say this."""

    def __init__(self, device: str, name: str, values: str, *, version: int = 9_000_000, uri: str = "") -> None:
        listed = "".join(f"<value>{value}</value>" for value in values.split())
        self._devices = f"<{device} supported='yes'><enum name='{name}'>{listed}</enum></{device}>"
        self._version, self._uri = version, uri or "qemu:///system"

    def getDomainCapabilities(self, *_arguments: object) -> str:  # noqa: N802 - libvirt's name
        return f"<domainCapabilities><devices>{self._devices}</devices></domainCapabilities>"

    def getLibVersion(self) -> int:  # noqa: N802 - libvirt's name
        return self._version

    def getURI(self) -> str:  # noqa: N802 - libvirt's name
        return self._uri


@pytest.mark.parametrize(
    ("mounts", "version", "uri", "kind"),
    [
        ((RW,), 9_000_000, "qemu:///system", "virtiofs"),
        ((RW, RO), 9_000_000, "qemu:///system", "9p"),
        ((RW, RO), 11_000_000, "qemu:///system", "virtiofs"),
        ((RW,), 9_000_000, "qemu+ssh://far/session", "9p"),
        ((RW,), 10_000_000, "qemu+ssh://far/session", "virtiofs"),
    ],
)
def test_folders_are_shown_as_this_libvirt_can_and_the_host_guards_them(
    tmp_path: Path, mounts: tuple[Mount, ...], version: int, uri: str, kind: str
) -> None:
    (tmp_path / "50-virtiofsd.json").touch()
    connection = Told("filesystem", "driverType", "path virtiofs", version=version, uri=uri)

    assert folder_sharing(cast(Any, connection), "x86_64", "qemu", mounts, (tmp_path,)) == kind


def test_without_virtiofsd_or_virtiofs_it_is_9p(tmp_path: Path) -> None:
    with_it = Told("filesystem", "driverType", "path virtiofs")
    (other := tmp_path / "other").mkdir()

    assert folder_sharing(cast(Any, with_it), "x86_64", "qemu", (RW,), (other,)) == "9p"
    with node(tmp_path) as connection:  # the test driver tells of no capabilities
        assert folder_sharing(connection, "x86_64", "qemu", (RW,), (tmp_path,)) == "9p"


def test_passt_is_taken_only_where_qemu_has_no_user_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "passt").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    answers = [
        needs_passt(cast(Any, Told("interface", "backendType", v)), "x86_64", "kvm")
        for v in ("default passt", "passt", "")
    ]
    monkeypatch.setenv("PATH", "")

    assert answers == [False, True, False]
    assert not needs_passt(cast(Any, Told("interface", "backendType", "passt")), "x86_64", "kvm")
