"""A driver whose hosts exist nowhere, with every fault that a test wants."""

from __future__ import annotations

import fcntl
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pymachine.driver import (
    API,
    NOBODY,
    Baked,
    Baking,
    Driver,
    Handle,
    InPlaceUpdate,
    Instance,
    Listener,
    PlannedInstance,
    Remember,
    Request,
    Snapshot,
    Status,
    option,
)
from pymachine.errors import CheckFailed, DriverError, UsageFault
from pymachine.model import Endpoint, SshAddress, State

__all__ = ["FakeCloud", "FakeDriver", "FakeOptions"]

ADDRESS = "192.0.2.7"  # TEST-NET-1 (RFC 5737): nobody answers there


@dataclass(frozen=True, slots=True)
class FakeOptions:
    """One option of every kind that a driver may have."""

    fake_address: str = field(default=ADDRESS, metadata=option("address of the host", metavar="ADDRESS"))
    fake_size: int = field(default=1, metadata=option("size of the host", env="FAKE_SIZE", aliases=("--fake-cpus",)))
    fake_zone: Literal["east", "west"] = field(default="east", metadata=option("where to make it"))
    fake_tags: tuple[str, ...] = field(
        default=(), metadata=option("tags of the host", flag="--fake-tag", env="FAKE_TAGS")
    )
    fake_spot: bool = field(default=False, metadata=option("make it cheap"))
    fake_account: str | None = field(default=None, metadata=option("whose host it is", env="FAKE_ACCOUNT"))


def host_id(handle: Mapping[str, Any]) -> str:
    """Return the id in a handle of this driver. Raises ``DriverError`` for a handle that is not one of its own."""
    found = handle.get("id")
    if not isinstance(found, str):
        raise DriverError("the handle has no id of a host", hint="was it made by another driver?")
    return found


class FakeCloud:
    """Where fake hosts live: in memory, or in a JSON file that several processes share.

    ``fail`` makes later calls of an operation (``check``, ``create``, ``remembered``, ``inspect``, ``destroy``,
    ``start`` …) raise; ``remembered`` is the moment right after ``create`` made the host that it
    remembered. ``calls`` lists the operations of this process. ``reach`` says how hosts are logged in to, None for
    endpoints alone; ``certificates`` come with every endpoint. The guests of a ``stubborn`` cloud have to be cut off.
    ``lacking`` names methods that its driver does not have. ``copies`` says whose disk a host began with, by ids.
    ``bakes`` names the image that its creates want baked, ``kept`` holds what was, and whose disk by its id.
    ``foreseen`` makes it a cloud that knows its hosts before they boot, and completes what it knows of them;
    ``requests`` are those of every ``create``. ``needs_power_off``: a host has to be off to be given other tags.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        reach: Callable[[str], SshAddress] | None = None,
        certificates: Mapping[str, bytes] | None = None,
        preexisting: bool = False,
        foreseen: Callable[[PlannedInstance], PlannedInstance] | None = None,
    ) -> None:
        self.calls: list[str] = []
        self.reach = reach
        self.certificates = dict(certificates or {})
        self.preexisting = preexisting
        self.foreseen = foreseen
        self.requests: list[Request] = []
        self.stubborn = False
        self.lacking: set[str] = set()
        self.copies: dict[str, str] = {}
        self.bakes = ""
        self.needs_power_off = False
        self.kept: list[tuple[str, Baked]] = []
        self._path = path
        self._memory: dict[str, Any] = {}
        self._faults: defaultdict[str, list[BaseException]] = defaultdict(list)

    def fail(self, operation: str, *errors: BaseException) -> None:
        """Raise these errors at the next calls of an operation, one each."""
        self._faults[operation].extend(errors)

    def hosts(self) -> dict[str, State]:
        """Return the hosts that exist, by the id of their machine."""
        with self.lend("hosts") as hosts:
            return {key: State(state) for key, state in hosts.items()}

    def set_state(self, machine_id: str, state: State | None) -> None:
        """Put a host into a state; None makes it vanish behind pymachine's back."""
        with self.lend("hosts") as hosts:
            hosts.pop(machine_id, None)
            hosts.update({machine_id: state.value} if state else {})

    def prints(self, machine_id: str, text: str) -> None:
        """Have a host print something on its console."""
        with self.lend("consoles") as consoles:
            consoles[machine_id] = consoles.get(machine_id, "") + text

    def sizes(self, machine_id: str) -> dict[str, int | None]:
        """Return what a host was resized to."""
        with self.lend("sizes") as sizes:
            return dict(sizes.get(machine_id, {}))

    def tags(self, machine_id: str) -> list[str] | None:
        """Return the tags that a host was given later, None for those of its create."""
        with self.lend("tags") as tags:
            found: list[str] | None = tags.get(machine_id)
            return found

    def called(self, operation: str) -> None:
        """Note a call, and raise the fault that waits for it."""
        self.calls.append(operation)
        if self._faults[operation]:
            raise self._faults[operation].pop(0)

    def driver(self) -> type[Driver]:
        """Return a driver class for this cloud, as ``registry.load`` would."""
        kind = _ForeseeingDriver if self.foreseen else FakeDriver
        return self.made_of(kind)

    def made_of(self, kind: type) -> type[Driver]:
        """Return a driver class of that kind for this cloud, without what it lacks."""
        lacking = dict.fromkeys(self.lacking)  # a protocol takes None for a method that is not there
        return type("FakeDriver", (kind,), {"cloud": self, "preexisting": self.preexisting, **lacking})

    @contextmanager
    def lend(self, what: str) -> Iterator[dict[str, Any]]:
        """Lend a part of what is known of the hosts, by their machines' ids, to read and change; to one at a time."""
        if self._path is None:
            yield self._memory.setdefault(what, {})
            return
        with self._path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            everything = json.loads(file.read() or "{}")
            yield everything.setdefault(what, {})
            file.seek(0)
            file.truncate()
            json.dump(everything, file)


class FakeDriver:
    """What every fake driver does. ``cloud`` is where its hosts live."""

    api: ClassVar[int] = API
    options: ClassVar[type] = FakeOptions
    alters: ClassVar[Mapping[str, str]] = {"fake_size": "cpus", "fake_spot": "record", "fake_tags": "refit"}
    preexisting: ClassVar[bool] = False
    cloud: ClassVar[FakeCloud]

    def check(self, request: Request) -> None:
        """Refuse a size below one, as a check that makes nothing."""
        self.cloud.called("check")
        if request.options.fake_size < 1:
            raise UsageFault("a host of size 0 is not possible", hint="give --fake-size 1 or more")
        if request.options.fake_account == "nobody":
            raise CheckFailed("the account nobody may not make hosts", hint="use another account")

    def create(self, request: Request, remember: Remember) -> Instance:
        """Make the host, or find the one that an earlier try made."""
        self.cloud.requests.append(request)
        self.cloud.called("create")
        handle = request.resume or {"id": request.machine_id, "address": request.options.fake_address}
        remember(handle)
        self.cloud.set_state(host_id(handle), State.RUNNING)
        self.cloud.called("remembered")
        return self._instance(handle, request)

    def locate(self, request: Request) -> Instance:
        """Return what ``create`` would."""
        self.cloud.called("locate")
        return self._instance({"id": request.machine_id, "address": request.options.fake_address}, request)

    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """Return the host's state."""
        self.cloud.called("inspect")
        return Status(self.cloud.hosts().get(host_id(handle), State.MISSING))

    def destroy(self, handle: Handle) -> None:
        """Make the host vanish."""
        self.cloud.called("destroy")
        self.cloud.set_state(host_id(handle), None)

    def start(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Switch on."""
        self._switch("start", handle, State.RUNNING)

    def stop(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Switch off."""
        if self.cloud.stubborn:
            listener.notice("it did not shut down: it was powered off")
        self._switch("stop", handle, State.STOPPED)

    def kill(self, handle: Handle) -> None:
        """Cut the power."""
        self._switch("kill", handle, State.STOPPED)

    def restart(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Switch off and on."""
        self._switch("restart", handle, State.RUNNING)

    def snapshot(self, handle: Handle, name: str) -> None:
        """Keep the host's state."""
        self.cloud.called("snapshot")
        state = self.cloud.hosts()[host_id(handle)]
        with self._kept(handle) as kept:
            if name in kept:
                raise DriverError(f"there is a snapshot {name} already", hint="another name")
            kept[name] = {"created": f"2027-01-15T08:0{len(kept)}:00+00:00", "state": state.value}

    def restore(self, handle: Handle, name: str) -> State:
        """Put the host into the state of then."""
        self.cloud.called("restore")
        with self._kept(handle) as kept:
            state = State(_known(kept, name)["state"])
        self.cloud.set_state(host_id(handle), state)
        return state

    def snapshots(self, handle: Handle) -> tuple[Snapshot, ...]:
        """Return what was kept; the newest is the current one."""
        self.cloud.called("snapshots")
        with self._kept(handle) as kept:
            newest = next(reversed(kept), None)
            return tuple(
                Snapshot(name, one["created"], State(one["state"]), name == newest) for name, one in kept.items()
            )

    def drop_snapshot(self, handle: Handle, name: str) -> None:
        """Forget one."""
        self.cloud.called("drop_snapshot")
        with self._kept(handle) as kept:
            _known(kept, name)
            del kept[name]

    def console_log(self, handle: Handle) -> bytes:
        """Return what the host printed."""
        self.cloud.called("console_log")
        with self.cloud.lend("consoles") as consoles:
            return str(consoles.get(host_id(handle), "")).encode()

    def attach(self, handle: Handle, keys: int, screen: int) -> None:
        """Echo what is typed, until the first Ctrl-]."""
        self.cloud.called("attach")
        while (data := os.read(keys, 1)) not in (b"", b"\x1d"):
            os.write(screen, data)

    def resize(self, handle: Handle, *, cpus: int | None, memory: int | None, disk: int | None) -> None:
        """Note the size of a host that is off."""
        self.cloud.called("resize")
        if self.cloud.hosts()[host_id(handle)] is not State.STOPPED:
            raise CheckFailed("the host is switched on", hint="stop it first")
        with self.cloud.lend("sizes") as sizes:
            sizes[host_id(handle)] = {"cpus": cpus, "memory": memory, "disk": disk}

    def needs_power_off(self, handle: Handle, change: InPlaceUpdate) -> bool:
        """Say what the cloud says."""
        self.cloud.called("needs_power_off")
        return self.cloud.needs_power_off

    def refit(self, handle: Handle, change: InPlaceUpdate, listener: Listener = NOBODY) -> None:
        """Note the new tags of a host that is off, if it has to be."""
        self.cloud.called("refit")
        if self.cloud.needs_power_off and self.cloud.hosts()[host_id(handle)] is not State.STOPPED:
            raise DriverError("the host is switched on", hint="stop it first")
        with self.cloud.lend("tags") as tags:
            tags[host_id(handle)] = list(change.after.fake_tags)

    def baking(self, request: Request) -> Baking | None:
        """Want the cloud's image of the smallest host, until it was kept."""
        self.cloud.called("baking")
        if not self.cloud.bakes or any(baked.image == self.cloud.bakes for _, baked in self.cloud.kept):
            return None
        return Baking(self.cloud.bakes, replace(request.options, fake_tags=()))

    def keep(self, handle: Handle, baked: Baked, listener: Listener = NOBODY) -> None:
        """Switch off and keep."""
        self._switch("keep", handle, State.STOPPED)
        self.cloud.kept.append((host_id(handle), baked))

    @contextmanager
    def _kept(self, handle: Handle) -> Iterator[dict[str, Any]]:
        with self.cloud.lend("snapshots") as snapshots:
            yield snapshots.setdefault(host_id(handle), {})

    def _switch(self, operation: str, handle: Handle, state: State) -> None:
        self.cloud.called(operation)
        if host_id(handle) not in self.cloud.hosts():
            raise DriverError(f"there is no host {host_id(handle)}", hint="look at what became of it")
        self.cloud.set_state(host_id(handle), state)

    def _instance(self, handle: Mapping[str, Any], request: Request) -> Instance:
        address = str(handle["address"])
        return Instance(
            handle,
            ssh=self.cloud.reach(address) if self.cloud.reach else None,
            endpoint=None if self.cloud.reach else Endpoint(address, request.engine_port),
            addresses=(address,),
            certificates=self.cloud.certificates,
        )


class _ForeseeingDriver(FakeDriver):
    def foresee(self, request: Request, remember: Remember) -> PlannedInstance:
        """Say where the host will be."""
        self.cloud.called("foresee")
        if request.source is not None:
            self.cloud.copies[request.machine_id] = request.source["id"]
        instance = self.locate(request)
        remember(instance.handle)
        prospect = PlannedInstance(instance.handle, ssh=instance.ssh, addresses=instance.addresses)
        return self.cloud.foreseen(prospect) if self.cloud.foreseen else prospect

    def check_source(self, handle: Handle) -> None:
        """Refuse a host that is not off."""
        self.cloud.called("check_source")
        if self.cloud.hosts()[host_id(handle)] is not State.STOPPED:
            raise CheckFailed("the host is switched on", hint="stop it first")


def _known(kept: Mapping[str, Any], name: str) -> Any:
    if name not in kept:
        raise DriverError(f"there is no snapshot {name}", hint="look at the list")
    return kept[name]
