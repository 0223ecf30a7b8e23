"""The outside of a verb, all of it fake: a cloud, a host that answers from a script, an engine, a clock."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pymachine.clock import Clock
from pymachine.create import create
from pymachine.create_request import CreateRequest
from pymachine.driver import Driver
from pymachine.engine.client import EngineAnswer
from pymachine.errors import DriverMissing
from pymachine.events import Asker
from pymachine.model import Endpoint, EngineSpec, Machine, Phase, SshAddress
from pymachine.steps.services import Services
from pymachine.store import Operation
from pymachine.testing.fake_asker import FakeAsker
from pymachine.testing.fake_driver import FakeCloud, FakeOptions
from pymachine.testing.fake_transport import HOST_KEY, Answer, FakeTransport, done
from pymachine.testing.memory_store import MemoryStore
from pymachine.testing.recorder import RecordingReporter
from pymachine.transport import Command, Transport

DEBIAN = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian 13"\n'
NOW = 1_800_000_000.0
UNIT = "# /usr/lib/systemd/system/docker.service\n[Service]\nExecStart=/usr/sbin/dockerd -H fd://\n"
ENGINE = {
    "unit": "docker.service", "dockerd": "/usr/sbin/dockerd", "dockerd_version": "Docker version 26.1.5, build 1",
    "package": "docker.io 26.1.5", "unit_text": UNIT, "unit_properties": "ActiveState=active",
    "info": '{"ServerVersion": "26.1.5"}', "containers": "[]",
}  # fmt: skip
STEPS_ON_A_HOST = [
    "checking the host", "connecting over SSH", "surveying the host", "issuing certificates",
    "setting up the engine", "asking the engine over TLS", "completing",
]  # fmt: skip


def is_look(command: Command) -> bool:
    """Whether a command is the one that collects facts."""
    return "os_release" in command.shell()


def is_run(command: Command) -> bool:
    """Whether a command runs what was uploaded."""
    return command.shell().endswith("/run.sh")


def is_rollback(command: Command) -> bool:
    """Whether a command puts back what the last set-up replaced."""
    return command.shell().endswith("/rollback.sh")


@dataclass
class FakeClock:
    """Seconds since the epoch that pass only when somebody sleeps; ``later`` happens after so many of them."""

    seconds: float = NOW
    slept: list[float] = field(default_factory=list)
    later: tuple[float, Callable[[], None]] | None = None

    def now(self) -> float:
        """The time."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.slept.append(seconds)
        self.seconds += seconds
        if self.later is not None and self.seconds >= NOW + self.later[0]:
            (_, happen), self.later = self.later, None
            happen()


class FakeEngine:
    """Answers with a version, after the errors that wait."""

    def __init__(self) -> None:
        self.version = "26.1.5"
        self.errors: list[BaseException] = []
        self.asked: list[tuple[Endpoint, Path | None]] = []

    def ask(self, endpoint: Endpoint, folder: Path | None, *, deadline: float) -> EngineAnswer:
        """Raise the next error, or answer."""
        assert deadline > 0
        self.asked.append((endpoint, folder))
        if self.errors:
            raise self.errors.pop(0)
        return EngineAnswer(self.version, "1.45", "1.24", "linux", "amd64", 0.01)


class World:
    """What a verb finds outside. ``connections`` are all that were opened, ``pins`` the host keys they asked for.

    ``refused`` are errors of the next ones, None for one that is let in.
    ``answers`` are rules for every later connection, beside facts, runs and rollbacks that work; ``facts`` what
    the host tells of itself. The clock of the host goes right unless ``skew`` seconds are given.
    """

    def __init__(self, folder: Path, *, preexisting: bool = True, with_host: bool = True) -> None:
        reach = (lambda address: SshAddress(address)) if with_host else None
        self.cloud = FakeCloud(reach=reach, preexisting=preexisting)
        folder.mkdir(exist_ok=True)
        self.store = MemoryStore(folder)
        self.reporter = RecordingReporter()
        self.clock = FakeClock()
        self.engine = FakeEngine()
        self.facts: dict[str, str] = {"os_release": DEBIAN, "hostname": "host", "init": "systemd", "repository": ""}
        self.skew = 0.0
        self.host_key = HOST_KEY
        self.connections: list[FakeTransport] = []
        self.patience: list[float] = []
        self.pins: list[str | None] = []
        self.refused: list[BaseException | None] = []
        self.answers: list[tuple[Callable[[Command], bool], tuple[Answer, ...]]] = []

    @property
    def tools(self) -> Services:
        """All of it, for a verb."""
        return Services(
            self.store, self.reporter, FakeAsker(), self._connect, self._load, self.engine.ask,
            self.clock.now, Clock(self.clock.now, self.clock.sleep),
        )  # fmt: skip

    @property
    def host(self) -> FakeTransport:
        """The one connection that was opened."""
        assert len(self.connections) == 1, f"{len(self.connections)} connections were opened"
        return self.connections[0]

    def answer(self, matcher: Callable[[Command], bool], *answers: Answer) -> None:
        """Answer so on every later connection."""
        self.answers.append((matcher, answers))

    def carries(self, owner: str, **more: Any) -> None:
        """Put the set-up of the machine of that id on the host, and an engine."""
        manifest = {"name": "node1", "id": owner, "added": {"tlsverify": True}, **more}
        config = json.dumps({"tlsverify": True})
        self.facts |= {**ENGINE, "manifest": json.dumps(manifest), "daemon_json": config}

    def listens(self, port: int) -> None:
        """Have something accept connections on this port, as seen from the host itself."""
        self.host.tunnels["localhost", port] = _Open()

    def ran(self, matcher: Callable[[Command], bool]) -> int:
        """How many such commands were run, over all connections."""
        return sum(matcher(call.command) for connection in self.connections for call in connection.calls)

    def uploaded(self, name: str) -> bytes:
        """The file of that name that was uploaded last."""
        uploads = [upload for connection in self.connections for upload in connection.uploads]
        return next(file.content for file in uploads[-1].files if file.path == name)

    def order(self, name: str = "node1", driver: str = "fake", **spec: Any) -> CreateRequest:
        """An order for a machine with that engine."""
        return CreateRequest(name, driver, FakeOptions(), EngineSpec(**spec), {"rack": "7"})

    def made(self, name: str = "node1", **spec: Any) -> Machine:
        """A ready machine, its connections and events forgotten."""
        machine = create(self.order(name, **spec), self.tools)
        assert machine.phase is Phase.READY
        self.connections.clear()
        self.pins.clear()
        self.reporter.events.clear()
        self.cloud.calls.clear()
        self.engine.asked.clear()
        if machine.ssh:
            self.carries(machine.id)
        return machine

    def saved(self, **changes: Any) -> Machine:
        """Change the record of node1 behind everybody's back."""
        return self.store.put(replace(self.store.get("node1"), **changes))

    def operation(self) -> Operation:
        """The newest entry of the journal."""
        return self.store.operations()[0]

    def _load(self, name: str) -> type[Driver]:
        if name not in ("fake", "other"):
            raise DriverMissing(f"no driver {name!r}", hint="install it")
        return self.cloud.driver()

    def _connect(
        self,
        address: SshAddress,
        *,
        asker: Asker,
        notice: Callable[[str], None],
        deadline: float,
        retry_for: float = 0.0,
    ) -> Transport:
        if self.refused and (error := self.refused.pop(0)):
            raise error
        if address.host_key is None:
            notice(f"host key pinned: {self.host_key}")
        self.patience.append(retry_for)
        self.pins.append(address.host_key)
        transport = FakeTransport(SshAddress(address.host, 22, "root", host_key=self.host_key))
        transport.answer(is_look, lambda call: done(told(self.facts, self.clock.now() + self.skew)))
        transport.answer(is_run, done("@pymachine step starting the engine\n@pymachine done engine=26.1.5\n"))
        transport.answer(is_rollback, done())
        for matcher, answers in self.answers:
            transport.answer(matcher, *answers)
        self.connections.append(transport)
        return transport


class _Open:
    """A connection that carries nothing."""

    def sendall(self, data: bytes) -> None:
        """Lose it."""

    def recv(self, limit: int) -> bytes:
        """Be at the end."""
        return b""

    def settimeout(self, seconds: float | None) -> None:
        """Never wait."""

    def close(self) -> None:
        """Nothing was opened."""


def told(facts: Mapping[str, str], clock: float) -> str:
    """What the facts command prints: a name and base64 on each line."""
    told = {**facts, "clock": str(clock), "complete": "yes"}
    return "".join(f"{name} {base64.b64encode(text.encode()).decode()}\n" for name, text in told.items())
