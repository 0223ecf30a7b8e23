"""A driver whose hosts exist nowhere, with every fault that a test wants."""

from __future__ import annotations

import fcntl
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pymachine.driver import (
    API,
    NOBODY,
    Driver,
    Handle,
    Instance,
    Listener,
    Prospect,
    Remember,
    Request,
    Status,
    option,
)
from pymachine.errors import CheckFailed, UsageFault
from pymachine.model import Endpoint, SshAddress, State

__all__ = ["FakeCloud", "FakeOptions"]

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


class FakeCloud:
    """Where fake hosts live: in memory, or in a JSON file that several processes share.

    ``fail`` makes later calls of an operation (``check``, ``create``, ``remembered``, ``inspect``, ``destroy``,
    ``start`` …) raise; ``remembered`` is the moment right after ``create`` made its host known. ``calls`` lists the
    operations of this process. ``reach`` says how hosts are logged in to, None for endpoints
    alone; ``certificates`` come with every endpoint. The guests of a ``stubborn`` cloud have to be cut off.
    ``foreseen`` makes it a cloud that knows its hosts before they boot, and completes what it knows of them;
    ``requests`` are those of every ``create``.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        reach: Callable[[str], SshAddress] | None = None,
        certificates: Mapping[str, bytes] | None = None,
        preexisting: bool = False,
        foreseen: Callable[[Prospect], Prospect] | None = None,
    ) -> None:
        self.calls: list[str] = []
        self.reach = reach
        self.certificates = dict(certificates or {})
        self.preexisting = preexisting
        self.foreseen = foreseen
        self.requests: list[Request] = []
        self.stubborn = False
        self._path = path
        self._memory: dict[str, str] = {}
        self._faults: defaultdict[str, list[BaseException]] = defaultdict(list)

    def fail(self, operation: str, *errors: BaseException) -> None:
        """Raise these errors at the next calls of an operation, one each."""
        self._faults[operation].extend(errors)

    def hosts(self) -> dict[str, State]:
        """Return the hosts that exist, by the id of their machine."""
        with self._hosts() as hosts:
            return {key: State(state) for key, state in hosts.items()}

    def set_state(self, machine_id: str, state: State | None) -> None:
        """Put a host into a state; None makes it vanish behind pymachine's back."""
        with self._hosts() as hosts:
            hosts.pop(machine_id, None)
            hosts.update({machine_id: state.value} if state else {})

    def called(self, operation: str) -> None:
        """Note a call, and raise the fault that waits for it."""
        self.calls.append(operation)
        if self._faults[operation]:
            raise self._faults[operation].pop(0)

    def driver(self) -> type[Driver]:
        """Return a driver class for this cloud, as ``registry.load`` would."""
        kind = _ForeseeingDriver if self.foreseen else _FakeDriver
        return type("FakeDriver", (kind,), {"cloud": self, "preexisting": self.preexisting})

    @contextmanager
    def _hosts(self) -> Iterator[dict[str, str]]:
        """Lend the hosts for reading and changing; one process at a time."""
        if self._path is None:
            yield self._memory
            return
        with self._path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            hosts = json.loads(file.read() or "{}")
            yield hosts
            file.seek(0)
            file.truncate()
            json.dump(hosts, file)


class _FakeDriver:
    api: ClassVar[int] = API
    options: ClassVar[type] = FakeOptions
    preexisting: ClassVar[bool] = False
    cloud: ClassVar[FakeCloud]

    def check(self, request: Request) -> None:
        """Refuse a size below one, as a check that makes nothing."""
        self.cloud.called("check")
        if request.options.fake_size < 1:
            raise UsageFault("a host of size 0 is none", hint="give --fake-size 1 or more")
        if request.options.fake_account == "nobody":
            raise CheckFailed("the account nobody may not make hosts", hint="use another account")

    def create(self, request: Request, remember: Remember) -> Instance:
        """Make the host, or find the one that an earlier try made."""
        self.cloud.requests.append(request)
        self.cloud.called("create")
        handle = request.resume or {"id": request.machine_id, "address": request.options.fake_address}
        self.cloud.set_state(handle["id"], State.RUNNING)
        remember(handle)
        self.cloud.called("remembered")
        return self._instance(handle, request)

    def locate(self, request: Request) -> Instance:
        """Return what ``create`` would."""
        self.cloud.called("locate")
        return self._instance({"id": request.machine_id, "address": request.options.fake_address}, request)

    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """Return the host's state."""
        self.cloud.called("inspect")
        return Status(self.cloud.hosts().get(handle["id"], State.MISSING))

    def destroy(self, handle: Handle) -> None:
        """Make the host vanish."""
        self.cloud.called("destroy")
        self.cloud.set_state(handle["id"], None)

    def start(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Switch on."""
        self._switch("start", handle, State.RUNNING)

    def stop(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Switch off."""
        if self.cloud.stubborn:
            listener.notice("it did not shut down: its power was cut")
        self._switch("stop", handle, State.STOPPED)

    def kill(self, handle: Handle) -> None:
        """Cut the power."""
        self._switch("kill", handle, State.STOPPED)

    def restart(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Switch off and on."""
        self._switch("restart", handle, State.RUNNING)

    def _switch(self, operation: str, handle: Handle, state: State) -> None:
        self.cloud.called(operation)
        self.cloud.set_state(handle["id"], state)

    def _instance(self, handle: Mapping[str, Any], request: Request) -> Instance:
        address = str(handle["address"])
        return Instance(
            handle,
            ssh=self.cloud.reach(address) if self.cloud.reach else None,
            endpoint=None if self.cloud.reach else Endpoint(address, request.engine_port),
            addresses=(address,),
            certificates=self.cloud.certificates,
        )


class _ForeseeingDriver(_FakeDriver):
    def foresee(self, request: Request, remember: Remember) -> Prospect:
        """Say where the host will be."""
        self.cloud.called("foresee")
        instance = self.locate(request)
        remember(instance.handle)
        prospect = Prospect(instance.handle, ssh=instance.ssh, addresses=instance.addresses)
        return self.cloud.foreseen(prospect) if self.cloud.foreseen else prospect
