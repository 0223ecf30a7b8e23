"""A fleet's outside, all of it fake: hosts that are set up one by one, their Swarm, the docker client."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

import yaml

from pymachine.errors import HostKeyMismatch, Unreachable
from pymachine.events import Asker
from pymachine.fleet.apply.fleet import FleetWork
from pymachine.fleet.apply.scheduler import Bounds, Quiet, RunSummary
from pymachine.fleet.apply.subprocesses import CompletedProgram, Computer
from pymachine.fleet.inventory.model import Fleet, MachineSpec
from pymachine.fleet.plan import ONE_BY_ONE, Batch, Plan
from pymachine.model import SshAddress
from pymachine.swarm_api.containers import Container
from pymachine.swarm_api.protocol import INACTIVE
from pymachine.swarm_api.services import Failure, Service
from pymachine.testing.fake_driver import FakeCloud
from pymachine.testing.fake_transport import FakeTransport, RecordedCall, done
from pymachine.transport import Result, Transport
from unit.fleets import spec
from unit.swarming import SwarmWorld
from unit.world import ENGINE, is_look, is_run


@dataclass
class FakePrograms:
    """Programs that do nothing.

    ``calls`` are their words and environments, ``inputs`` what each was given and ``variables`` what its files of
    variables had in them; ``codes`` say how they end. ``composes`` says that there is Compose, ``complaint`` what it
    says of the files.
    """

    calls: list[tuple[list[str], dict[str, str]]] = field(default_factory=list)
    inputs: list[bytes] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    composes: bool = True
    complaint: str = ""
    deployed: Callable[[str, bytes], None] | None = None
    up: Callable[[str, str, Mapping[str, int]], None] | None = None
    codes: dict[str, int] = field(default_factory=dict)

    def run(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        *,
        deadline: float,
        folder: Path | None = None,
        on_line: Callable[[str], None] | None = None,
        given: bytes | None = None,
        apart: bool = False,
    ) -> CompletedProgram:
        """Note the call, but for questions to Compose; end as ``codes`` says of a word in it.

        Files of stacks come to what YAML reads in them, with the variables that are given put in.
        """
        assert deadline > 0
        if apart:
            return self._composed(list(words))
        self.calls.append((list(words), dict(environ)))
        self.inputs.append(given or b"")
        paths = [Path(words[place + 1]) for place, word in enumerate(words) if word == "--env-file"]
        self.variables.append("".join(path.read_text() for path in paths))
        code = next((code for word, code in self.codes.items() if word in words), 0)
        if on_line is not None:
            on_line("working")
        if "deploy" in words and self.deployed is not None and not code:
            self.deployed(words[-1], given or b"{}")
        if "up" in words and self.up is not None and not code:
            services = yaml.safe_load(Path(words[words.index("-f") + 1]).read_text())["services"]
            counts = {name: (one.get("deploy") or {}).get("replicas", 1) for name, one in services.items()}
            self.up(words[words.index("-p") + 1], urlsplit(environ["DOCKER_HOST"]).hostname or "", counts)
        return CompletedProgram(code, ("it did not work",) if code else ())

    def _composed(self, words: list[str]) -> CompletedProgram:
        if "config" not in words:
            return (
                CompletedProgram(0, output=b"2.38.2")
                if self.composes
                else CompletedProgram(1, ("docker: unknown command: docker compose",))
            )
        if not self.composes:
            return CompletedProgram(1, ("docker: unknown command: docker compose",))
        if self.complaint:
            return CompletedProgram(1, (self.complaint,))
        paths = [Path(words[place + 1]) for place, word in enumerate(words) if word == "--env-file"]
        values = dict(line.split("=", 1) for path in paths for line in path.read_text().splitlines())
        text = Path(words[words.index("-f") + 1]).read_text()
        document = yaml.safe_load(Template(text).safe_substitute({name: v.strip('"') for name, v in values.items()}))
        return CompletedProgram(0, output=json.dumps({"name": words[words.index("-p") + 1], **document}).encode())

    def lines(self) -> list[str]:
        """The words of all calls."""
        return [" ".join(words) for words, _ in self.calls]


class FleetWorld(SwarmWorld):
    """Hosts at addresses of their own; each tells what was set up on it. ``dead`` addresses do not answer.

    At those of ``strangers`` another host is than a machine's, until a machine is created there.
    """

    def __init__(self, folder: Path, *, preexisting: bool = False) -> None:
        super().__init__(folder)
        self.cloud = FakeCloud(reach=SshAddress, preexisting=preexisting)
        self.host_facts: dict[str, dict[str, str]] = {}
        self.bare_facts: dict[str, dict[str, str]] = {}  # of hosts without an engine
        self.dead: set[str] = set()
        self.strangers: set[str] = set()
        self.broken: set[str] = set()
        self.programs = FakePrograms(deployed=self._deployed, up=self._up)
        self.failing: dict[str, Failure] = {}
        self.ill: dict[str, Container] = {}
        self.work: FleetWork | None = None

    def plan(self, fleet: Fleet) -> Plan:
        """Plan as the command does."""
        with FleetWork(fleet, self.tools, self.computer) as work:
            self.work = work
            return work.plan()

    def apply(
        self, fleet: Fleet, *, width: int = 4, max_failures: int | None = None, batch: Batch = ONE_BY_ONE
    ) -> RunSummary:
        """Apply as the command does."""
        self.connections.clear()
        with FleetWork(fleet, self.tools, self.computer) as work:
            self.work = work
            return work.apply(work.plan(batch=batch), Bounds(width, max_failures), Quiet())

    @property
    def computer(self) -> Computer:
        """This side, without programs."""
        return Computer({"HOME": "/nowhere"}, self.programs.run)

    def _connect(  # type: ignore[explicit-override]
        self,
        address: SshAddress,
        *,
        asker: Asker,
        notice: Callable[[str], None],
        deadline: float,
        retry_for: float = 0.0,
    ) -> Transport:
        if address.host in self.dead:
            raise Unreachable(f"{address.host} does not answer")
        if address.host in self.strangers and address.host_key:
            raise HostKeyMismatch(f"{address.host} shows another key")
        self.strangers.discard(address.host)
        transport = super()._connect(address, asker=asker, notice=notice, deadline=deadline, retry_for=retry_for)
        assert isinstance(transport, FakeTransport)
        transport.answer(is_look, lambda call: done(self._told(address.host)))
        transport.answer(is_run, lambda call: self._set_up(transport))
        return transport

    def _deployed(self, stack: str, document: bytes) -> None:
        """Have the services run that a stack has, but for those that are ``failing``."""
        with self.clusters.lend() as state:
            for swarm in state.swarms.values():
                for name, entry in json.loads(document)["services"].items():
                    wanted, full = (entry.get("deploy") or {}).get("replicas", 1), f"{stack}_{name}"
                    failure = self.failing.get(full)
                    running = 0 if failure else wanted
                    swarm.services[full] = Service(
                        full, full, stack, wanted, running, failure=failure, spec="as deployed"
                    )

    def _up(self, project: str, address: str, services: Mapping[str, int]) -> None:
        """Have so many containers run of each service, but for those that are ``ill``."""
        found = [
            self.ill.get(name, Container(f"{name}{number}", f"{project}-{name}-{number}", project, name, "running"))
            for name, count in services.items()
            for number in range(1, count + 1)
        ]
        with self.clusters.host(address) as host:
            others = [one for one in host.containers if one.project != project]
            host.containers = (*others, *found)

    def _set_up(self, transport: FakeTransport) -> Result:
        host = transport.address.host
        if host in self.broken:
            return done("@pymachine failed the disk is full\n", code=1, stderr="the disk is full")
        with self.clusters.host(host) as engine:
            if engine.cut:  # the host of before is gone, and this one new
                engine.cut, engine.state, engine.swarm, engine.node = False, INACTIVE, "", ""
        files = {file.path: file.content.decode() for file in transport.uploads[-1].files}
        found = self.host_facts.setdefault(host, dict(ENGINE))
        if "manifest.json" in files:
            found |= {"manifest": files["manifest.json"], "daemon_json": files["daemon.json"], "hostname": "set"}
            found["hostname"] = json.loads(files["manifest.json"])["name"]
        return done("@pymachine done engine=26.1.5\n")

    def _told(self, address: str) -> str:
        own = self.host_facts.get(address) or self.bare_facts.get(address, {})
        told = {**self.facts, **own, "clock": str(self.clock.now()), "complete": "yes"}
        if address in self.host_facts:
            told["info"] = json.dumps({"Swarm": self._swarm_info(address)})
        return "".join(f"{name} {base64.b64encode(text.encode()).decode()}\n" for name, text in told.items())

    def _swarm_info(self, address: str) -> dict[str, Any]:
        with self.clusters.host(address) as host:
            return {"LocalNodeState": host.state, "NodeID": host.node}


def machine(number: int, name: str, role: str | None = None, **given: Any) -> MachineSpec:
    """A machine at 192.0.2.NUMBER."""
    options = {"fake_address": f"192.0.2.{number}", **given.pop("options", {})}
    return spec(name, role, options=options, **given)


def calls_of(world: FleetWorld) -> list[RecordedCall]:
    """Everything that was run on any host."""
    return [call for connection in world.connections for call in connection.calls]


def moved(fleet: Fleet, name: str, **changes: Any) -> Fleet:
    """The fleet with one machine changed."""
    machines = tuple(replace(m, **changes) if m.name == name else m for m in fleet.machines)
    return replace(fleet, machines=machines)
