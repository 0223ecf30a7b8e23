"""A cloud as one rents it: its hosts move, can be adopted, and go on costing when they are forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pymachine.driver import (
    NOBODY,
    Driver,
    Handle,
    Instance,
    Leftover,
    Listener,
    NodePort,
    Remember,
    Request,
    Search,
    Status,
)
from pymachine.errors import CheckFailed
from pymachine.model import Endpoint, SshAddress, State
from pymachine.override import override
from pymachine.testing.fake_driver import FakeCloud, FakeDriver, host_id

__all__ = ["MobileCloud"]

PUBLIC = "198.51.100."  # TEST-NET-2 (RFC 5737)


class MobileCloud(FakeCloud):
    """Hosts let in ``Request.login``, and have another address of ``198.51.100.0/24`` after each start.

    ``host_key`` is what the cloud says of its hosts' keys, ``own_key`` that they do not let in ours. Hosts of others
    can be adopted; what carries a mark and no store knows is a leftover. Without ``with_ssh`` only their engines are
    reached, with the ``certificates`` that come with them. ``opened`` is what was opened between hosts.
    """

    def __init__(
        self, path: Path | None = None, *, with_ssh: bool = True, certificates: Mapping[str, bytes] | None = None
    ) -> None:
        super().__init__(path, reach=SshAddress if with_ssh else None, certificates=certificates)
        self.host_key: str | None = None
        self.own_key = False
        self.opened: dict[str, tuple[NodePort, ...]] = {}

    @override
    def driver(self) -> type[Driver]:
        """Return a driver class for this cloud, with all its powers."""
        return self.made_of(_CloudDriver)

    def adopting(self) -> Driver:
        """Return the driver as it is towards what it adopts."""
        kind: type[Driver] = type("AdoptingDriver", (_AdoptingDriver,), {"cloud": self, "preexisting": True})
        return kind()

    def others(self, name: str) -> None:
        """Have somebody else make a host."""
        self.set_state(name, State.RUNNING)
        self.move(name)

    def marks(self, machine_id: str, owner: str) -> None:
        """Note which store a host was made for."""
        with self.lend("owners") as owners:
            owners[machine_id] = owner

    def move(self, machine_id: str) -> str:
        """Give a host an address that none had before, and return it."""
        with self.lend("addresses") as addresses:
            count = addresses["count"] = addresses.get("count", 0) + 1
            addresses[machine_id] = f"{PUBLIC}{count}"
            return str(addresses[machine_id])

    def address(self, machine_id: str) -> str:
        """Return where a host is now."""
        with self.lend("addresses") as addresses:
            return str(addresses.get(machine_id, ""))

    def left(self, search: Search) -> list[Leftover]:
        """Return the marked hosts that nobody knows: neither as made for a machine, nor as adopted by one."""
        known = {*search.known, *(handle.get("id", "") for handle in search.known.values())}
        with self.lend("owners") as owners:
            marked = dict(owners)
        hosts = self.hosts()
        return [
            Leftover("instance", key, key, "east", ours=marked[key] == search.owner, handle={"id": key})
            for key in hosts
            if key in marked and key not in known
        ]


class _CloudDriver(FakeDriver):
    """What the powers of clouds do here."""

    cloud: ClassVar[MobileCloud]
    authorises_key: ClassVar[bool] = True

    @override
    def create(self, request: Request, remember: Remember) -> Instance:
        """Make the host at an address that shows only then."""
        if not self.cloud.address(request.machine_id):
            self.cloud.move(request.machine_id)
        self.cloud.marks(request.machine_id, request.owner)
        return super().create(request, remember)

    @override
    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """Return the host's state, and where it is."""
        self.cloud.called("inspect")
        return self._status(handle)

    def inspect_all(self, handles: Sequence[Handle], *, deadline: float) -> Sequence[Status]:
        """Return the same of each."""
        self.cloud.called("inspect_all")
        return [self._status(handle) for handle in handles]

    def whereabouts(self, handle: Handle) -> Instance:
        """Return where the host is now."""
        self.cloud.called("whereabouts")
        return self._found(handle)

    @override
    def start(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Switch on, at another address; one that is on stays where it is."""
        if self.cloud.hosts().get(host_id(handle)) is not State.RUNNING:
            self.cloud.move(host_id(handle))
        super().start(handle, listener)

    def interconnect(self, handle: Handle, openings: Sequence[NodePort]) -> None:
        """Note what was opened."""
        self.cloud.called("interconnect")
        self.cloud.opened[host_id(handle)] = tuple(openings)

    def adopting(self) -> Driver:
        """Return the driver for hosts of others."""
        return self.cloud.adopting()

    def leftovers(self, search: Search) -> Sequence[Leftover]:
        """List what nobody knows."""
        self.cloud.called("leftovers")
        return self.cloud.left(search)

    def discard(self, leftover: Leftover) -> None:
        """Make it vanish."""
        self.cloud.called("discard")
        self.cloud.set_state(leftover.id, None)

    @override
    def _instance(self, handle: Handle, request: Request) -> Instance:
        return self._found(handle)

    def _status(self, handle: Handle) -> Status:
        state = self.cloud.hosts().get(host_id(handle), State.MISSING)
        return Status(state, (self.cloud.address(host_id(handle)),) if state is State.RUNNING else ())

    def _found(self, handle: Handle) -> Instance:
        address = self.cloud.address(host_id(handle))
        if self.cloud.reach is None:
            certificates = self.cloud.certificates
            return Instance(handle, endpoint=Endpoint(address), addresses=(address,), certificates=certificates)
        ssh = SshAddress(address, user="admin", host_key=self.cloud.host_key)
        return Instance(handle, ssh=ssh, addresses=(address,), own_key=self.cloud.own_key)


class _AdoptingDriver(_CloudDriver):
    """The same towards hosts of others."""

    authorises_key: ClassVar[bool] = False

    @override
    def check(self, request: Request) -> None:
        """Refuse what is not there."""
        self.cloud.called("check")
        if request.adopted not in self.cloud.hosts():
            raise CheckFailed(f"there is no host {request.adopted}", hint="look at its id")

    @override
    def create(self, request: Request, remember: Remember) -> Instance:
        """Take over what is there."""
        self.cloud.requests.append(request)
        self.cloud.called("create")
        handle = {"id": request.adopted}
        remember(handle)
        return self._found(handle)

    @override
    def locate(self, request: Request) -> Instance:
        """Return what ``create`` would."""
        self.cloud.called("locate")
        return self._found({"id": request.adopted})

    @override
    def destroy(self, handle: Handle) -> None:
        """Let go of it."""
        self.cloud.called("destroy")
