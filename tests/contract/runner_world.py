"""``docker-machine`` as a runner finds it in PATH: pymachine under that name, with hosts that are files.

FAKE_HOSTS is the folder of the hosts. FAKE_FAIL is what the driver's create fails with, FAKE_SLOW=FILE has create and
destroy wait as long as that file exists, after they have done their work.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from pymachine import cli
from pymachine.cli import compat
from pymachine.cli.dependencies import Wiring
from pymachine.driver import API, Driver, Handle, Instance, Remember, Request, Status
from pymachine.engine.client import EngineAnswer
from pymachine.errors import DriverError, Unreachable
from pymachine.model import Endpoint, State
from pymachine.testing.fake_driver import FakeOptions

CERTIFICATES = {"ca.pem": b"authority\n", "cert.pem": b"certificate\n", "key.pem": b"key\n"}
PATIENCE = 60.0  # seconds


class FileHosts:
    """Hosts that are files with their address, by the id of their machine: a process can be killed at any moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, machine_id: str, address: str) -> None:
        draft = self.folder / f".{machine_id}"
        draft.write_text(json.dumps(address))
        draft.rename(self.folder / machine_id)

    def addresses(self) -> dict[str, str]:
        """The addresses of the hosts that exist, by the ids of their machines."""
        found = {}
        for path in self.folder.glob("[!.]*"):
            with suppress(FileNotFoundError):
                found[path.name] = json.loads(path.read_text())
        return found

    def vanish(self, machine_id: str) -> None:
        (self.folder / machine_id).unlink(missing_ok=True)


class FileDriver:
    """Makes hosts in the folder of this process."""

    api: ClassVar[int] = API
    options: ClassVar[type] = FakeOptions
    preexisting: ClassVar[bool] = False
    hosts: ClassVar[FileHosts] = FileHosts(Path(os.environ.get("FAKE_HOSTS", "")))

    def check(self, request: Request) -> None:
        """Refuse nothing."""

    def create(self, request: Request, remember: Remember) -> Instance:
        handle = {"id": request.machine_id, "address": request.options.fake_address}
        remember(handle)
        self.hosts.make(request.machine_id, request.options.fake_address)
        if reason := os.environ.get("FAKE_FAIL"):
            raise DriverError(reason)
        _wait()
        return self._instance(handle)

    def locate(self, request: Request) -> Instance:
        return self._instance({"id": request.machine_id, "address": request.options.fake_address})

    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        return Status(State.RUNNING if handle["id"] in self.hosts.addresses() else State.MISSING)

    def destroy(self, handle: Handle) -> None:
        self.hosts.vanish(handle["id"])
        _wait()

    def _instance(self, handle: Handle) -> Instance:
        return Instance(handle, endpoint=Endpoint(handle["address"]), certificates=CERTIFICATES)


def _wait() -> None:
    slow = os.environ.get("FAKE_SLOW")
    end = time.monotonic() + PATIENCE
    while slow and Path(slow).exists() and time.monotonic() < end:
        time.sleep(0.02)


def _load(name: str) -> type[Driver]:
    assert name == "fake", name
    return FileDriver


def _ask(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> EngineAnswer:
    assert folder is not None
    assert (folder / "key.pem").read_bytes() == CERTIFICATES["key.pem"]
    if endpoint.host not in FileDriver.hosts.addresses().values():
        raise Unreachable(f"nothing answers at {endpoint.url}")
    return EngineAnswer("26.1.5", "1.45", "1.24", "linux", "amd64", 0.01)


def run() -> int:
    """Run one command line."""
    wiring: Any = Wiring(load_driver=_load, driver_names=lambda: ["fake"], ask_engine=_ask)
    if sys.argv[1:2] == ["compat"]:  # a command of pymachine's own
        return cli.main(wiring=wiring)
    return compat.main(sys.argv[1:], started=sys.argv[0], wiring=wiring)


if __name__ == "__main__":
    sys.exit(run())
