"""Hosts as they are outside, whoever looks: what runs where, whose set-up it carries, which certificate it shows."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from typing_extensions import override

from pymachine.driver import Driver, Handle, Instance, Leftover, PlannedInstance, Remember, Request, Search, Status
from pymachine.engine.bundle import NEVER_RUN
from pymachine.engine.client import EngineAnswer
from pymachine.errors import TlsError, Unreachable
from pymachine.model import Endpoint, SshAddress, State
from pymachine.testing.fake_driver import FakeDriver
from pymachine.testing.fake_transport import HOST_KEY, FakeTransport, RecordedCall, done
from pymachine.testing.mobile_cloud import MobileCloud, _AdoptingDriver, _CloudDriver
from pymachine.transport import Result
from unit.world import DEBIAN, ENGINE, is_look, is_rollback, is_run

VERSION = "26.1.5"
FILES = ("manifest.json", "daemon.json", "server.pem")


@dataclass
class Host:
    """What a host carries of a set-up, by file name, and what it carried before; the engine stays once it is there.

    ``booted_with`` is the folder of the set-up that it ran at its first boot.
    """

    files: Mapping[str, bytes]
    before: Mapping[str, bytes]
    engine: bool = False
    booted_with: str = "nothing"

    @classmethod
    def bare(cls) -> Host:
        """Return one that nobody ever touched."""
        return cls({}, {})

    @property
    def owner(self) -> str:
        """The id of the machine whose set-up is on it; empty for none."""
        return str(json.loads(self.files.get("manifest.json", b"{}")).get("id", ""))

    def facts(self, now: float) -> str:
        """Return what the command that looks at a host prints here."""
        told = {"os_release": DEBIAN, "hostname": "host", "init": "systemd", "repository": ""}
        told |= ENGINE if self.engine else {}
        for fact, name in (("manifest", "manifest.json"), ("daemon_json", "daemon.json")):
            told |= {fact: self.files[name].decode()} if name in self.files else {}
        told |= {"clock": str(now), "complete": "yes"}
        return "".join(f"{name} {base64.b64encode(text.encode()).decode()}\n" for name, text in told.items())

    def take(self, files: Mapping[str, bytes]) -> None:
        """Do what the files say that were brought here."""
        if "remove.sh" not in files:
            self.before, self.files = self.files, {name: files[name] for name in FILES if name in files}
            self.engine = True
        elif b"/etc/docker/pymachine" in files["remove.sh"]:
            self.before, self.files = {}, {name: files[name] for name in ("daemon.json",) if name in files}

    def back(self) -> None:
        """Go back to what was before the last set-up."""
        self.files = self.before


class Premises(MobileCloud):
    """A cloud, a hypervisor and two racks. Each launch makes another host; ``made_for`` says for which machine.

    Bare metal is reached at an address of the rack, the others where they are now.
    """

    def __init__(self) -> None:
        super().__init__()
        self.content: dict[str, Host] = {}
        self.made_for: dict[str, str] = {}
        self.rack = ("192.0.2.7", "192.0.2.8")
        for address in self.rack:
            self.content[address] = Host.bare()

    @override
    def driver(self) -> type[Driver]:
        """Return the driver of the cloud."""
        return self.made_of(CloudDriver)

    @override
    def adopting(self) -> Driver:
        """Return it as it is towards hosts of others."""
        kind: type[Driver] = type("Adopting", (AdoptingDriver,), {"cloud": self, "preexisting": True})
        return kind()

    @override
    def others(self, name: str) -> None:
        """Have somebody else make a host."""
        super().others(name)
        self.content[name] = Host.bare()

    def metal(self) -> type[Driver]:
        """Return the driver of the racks."""
        powerless = dict.fromkeys(("start", "stop", "kill", "restart"))
        return type("Metal", (MetalDriver,), {"cloud": self, "preexisting": True, **powerless})

    def virtual(self) -> type[Driver]:
        """Return the driver of the hypervisor, which knows its hosts before they boot."""
        return self.made_of(VirtualDriver)

    def new_id(self) -> str:
        """Return a name that no host had."""
        with self.lend("ids") as ids:
            ids["count"] = ids.get("count", 0) + 1
            return f"i-{ids['count']}"

    def launch(self, host: str, request: Request) -> None:
        """Have a host run; the first time it is bare, but for what it does at its first boot."""
        if not self.address(host):
            self.move(host)
        if host not in self.hosts():
            self.content[host] = Host.bare()
            if request.first_boot is not None:
                self.content[host].take({Path(f.path).name: f.content for f in request.first_boot.files})
                self.content[host].booted_with = str(Path(request.first_boot.files[0].path).parent)
        self.made_for[host] = request.machine_id
        self.set_state(host, State.RUNNING)

    def made(self, machine_id: str) -> list[str]:
        """Return the hosts that exist and were made for the machine."""
        return [host for host in self.hosts() if self.made_for.get(host) == machine_id]

    def running_at(self, address: str) -> str | None:
        """Return which host can be reached there."""
        if address in self.rack:
            return address
        running = (host for host, state in self.hosts().items() if state is State.RUNNING)
        return next((host for host in running if self.address(host) == address), None)

    def connect(self, address: SshAddress, now: float) -> FakeTransport:
        """Log in to what is there. Raises ``Unreachable``."""
        host = self.running_at(address.host)
        if host is None:
            raise Unreachable(f"nothing answers at {address.host}")
        return transport_to(self.content[host], address, now)

    def ask(self, endpoint: Endpoint, folder: Path | None, *, deadline: float) -> EngineAnswer:
        """Ask the installed engine, as TLS does. Raises ``Unreachable``, ``TlsError``."""
        host = self.running_at(endpoint.host)
        server = self.content[host].files.get("server.pem") if host else None
        if server is None:
            raise Unreachable(f"nothing answers at {endpoint.url}")
        assert folder is not None
        check_certificate(server, (folder / "ca.pem").read_bytes(), endpoint.host)
        return EngineAnswer(VERSION, "1.45", "1.24", "linux", "amd64", 0.01)

    @override
    def left(self, search: Search) -> list[Leftover]:
        """Return what is marked and nobody knows."""
        return [leftover for leftover in super().left(search) if leftover.id in self.hosts()]


def check_certificate(server: bytes, authority: bytes, host: str) -> None:
    """Raise ``TlsError`` unless the certificate is the authority's and for that address."""
    certificate = x509.load_pem_x509_certificate(server)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if ipaddress.ip_address(host) not in names.get_values_for_type(x509.IPAddress):
        raise TlsError("the certificate is for another host")
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (InvalidSignature, ValueError) as error:
        raise TlsError("the certificate is of another authority") from error


def transport_to(host: Host, address: SshAddress, now: float) -> FakeTransport:
    """Return a connection to a host that does as it is told."""
    transport = FakeTransport(replace(address, user="root", host_key=HOST_KEY))

    def run(_: RecordedCall) -> Result:
        host.take({file.path: file.content for file in transport.uploads[-1].files})
        return done(f"@pymachine done engine={VERSION}\n")

    def back(_: RecordedCall) -> Result:
        host.back()
        return done()

    def first_boot(call: RecordedCall) -> Result:
        ran = host.booted_with in call.command.shell()
        return done(f"@pymachine done engine={VERSION}\n") if ran else done(code=NEVER_RUN)

    transport.answer(lambda command: "first-boot" in command.shell(), first_boot)
    transport.answer(lambda command: command.shell().startswith("date"), done(f"{now:.0f}\n"))
    transport.answer(is_look, lambda _: done(host.facts(now)))
    transport.answer(is_run, run)
    transport.answer(is_rollback, back)
    return transport


class CloudDriver(_CloudDriver):
    """Remembers under which name it will launch, then launches: the same name never makes a second host."""

    cloud: ClassVar[Premises]

    @override
    def create(self, request: Request, remember: Remember) -> Instance:
        """Launch, or go on with what was remembered."""
        handle = dict(request.resume or {"id": self.cloud.new_id()})
        remember(handle)
        self.cloud.marks(handle["id"], request.owner)
        self.cloud.launch(handle["id"], request)
        return self._found(handle)


class AdoptingDriver(_AdoptingDriver):
    """The same towards hosts of others."""

    cloud: ClassVar[Premises]


class VirtualDriver(FakeDriver):
    """Settles name and address first; what the host is to do when it boots travels with it."""

    cloud: ClassVar[Premises]

    def foresee(self, request: Request, remember: Remember) -> PlannedInstance:
        """Say where it will be."""
        handle = dict(request.resume or {"id": self.cloud.new_id()})
        remember(handle)
        address = self.cloud.address(handle["id"]) or self.cloud.move(handle["id"])
        return PlannedInstance(
            handle, ssh=SshAddress(address), addresses=(address,), os_release=DEBIAN, engine=VERSION
        )

    @override
    def create(self, request: Request, remember: Remember) -> Instance:
        """Boot it."""
        assert request.resume is not None
        self.cloud.launch(request.resume["id"], request)
        return self._instance(request.resume, request)

    @override
    def _instance(self, handle: Handle, request: Request) -> Instance:
        address = self.cloud.address(handle["id"])
        return Instance(handle, ssh=SshAddress(address), addresses=(address,))


class MetalDriver(FakeDriver):
    """Takes the host that the options name; makes and removes nothing."""

    cloud: ClassVar[Premises]

    @override
    def create(self, request: Request, remember: Remember) -> Instance:
        """Take it as it is."""
        instance = self.locate(request)
        remember(instance.handle)
        return instance

    @override
    def locate(self, request: Request) -> Instance:
        """Say which it is."""
        address = request.options.fake_address
        return Instance({"address": address}, ssh=SshAddress(address), addresses=(address,))

    @override
    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """It always runs."""
        return Status(State.RUNNING, (handle["address"],))

    @override
    def destroy(self, handle: Handle) -> None:
        """Let go of it."""


def driver_kinds(premises: Premises) -> Mapping[str, type[Driver]]:
    """Return the drivers by their names."""
    return {"cloud": premises.driver(), "virtual": premises.virtual(), "metal": premises.metal()}
