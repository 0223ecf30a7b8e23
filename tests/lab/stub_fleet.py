"""A fleet of stub hosts, and a user whose store has a ready machine on each of them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pymachine import tls
from pymachine.documents import to_document
from pymachine.engine.facts import parse_facts
from pymachine.engine.setup import plan_setup
from pymachine.model import Endpoint, EngineSpec, Machine, Phase, SshAddress
from pymachine.store.sqlite import SqliteStore
from pymachine_ssh import SshOptions

UNIT = "# /usr/lib/systemd/system/docker.service\n[Service]\nExecStart=/usr/sbin/dockerd -H fd://\n"
FACTS = {
    "os_release": 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n', "init": "systemd",
    "unit": "docker.service", "dockerd": "/usr/sbin/dockerd", "dockerd_version": "Docker version 26.1.5, build 1",
    "package": "docker.io 26.1.5", "unit_text": UNIT, "unit_properties": "ActiveState=active",
    "info": json.dumps({"Swarm": {"LocalNodeState": "inactive"}}), "containers": "[]",
}  # fmt: skip


@dataclass
class Stubs:
    """The hosts, and a user whose store has a ready machine on each."""

    folder: Path
    port: int
    host_key: str

    @property
    def environ(self) -> dict[str, str]:
        """The user's environment."""
        home = str(self.folder)
        return {"PATH": os.environ["PATH"], "HOME": home, "MACHINE_STORAGE_PATH": f"{home}/store"}

    def command(self, *words: str) -> list[str]:
        """The words of a command on the whole fleet."""
        program = str(Path(sys.executable).with_name("pymachine"))
        return [program, *words, "-f", str(self.folder / "fleet.yaml")]

    def pymachine(self, *words: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run it; ``check`` is the exit code it must end with, None for any."""
        done = subprocess.run(
            self.command(*words), env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert check is None or done.returncode == check, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def logins(self) -> Counter[str]:
        """How often each address was logged in to."""
        return Counter((self.folder / "logins").read_text().split())

    def forget_logins(self) -> None:
        """Begin to count anew."""
        os.truncate(self.folder / "logins", 0)


def address_of(number: int) -> str:
    """The address of a host, counted from 0."""
    return f"127.77.{number // 250}.{number % 250 + 1}"


def told(facts: dict[str, str]) -> str:
    """What the look prints."""
    return "".join(f"{name} {base64.b64encode(text.encode()).decode()}\n" for name, text in facts.items())


@contextmanager
def running(folder: Path, count: int) -> Iterator[Stubs]:
    """Serve ``count`` hosts from a folder that is empty yet; all of them are as their inventory says."""
    for inner in ("facts", "slow", ".ssh"):
        (folder / inner).mkdir()
    for name in ("key", ".ssh/id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("stub_hosts.py")), str(folder)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with server:
        assert server.stdin is not None
        assert server.stdout is not None
        host_key = " ".join((folder / "key.pub").read_text().split()[:2])
        found = Stubs(folder, int(server.stdout.readline()), host_key)
        try:
            _populate(found, count)
            yield found
        finally:
            server.stdin.close()


def _populate(stubs: Stubs, count: int) -> None:
    lines = ["fleet: many", "defaults: {driver: ssh, engine: {labels: [env=test]}}", "machines:"]
    with SqliteStore.open(stubs.folder / "store") as store:
        issued = tls.issue("stub", ("127.0.0.1",), now=datetime.now(UTC))
        for number in range(count):
            name, address = f"stub-{number:04}", address_of(number)
            machine = _machine(name, address, stubs)
            certificates = replace(issued.certificates, sans=(name, address))
            store.put(machine.with_(certificates=certificates), secrets=issued.files)
            facts = {**FACTS, "hostname": name, "repository": ""}
            setup = plan_setup(machine, parse_facts(told({**facts, "complete": "yes"})))
            facts |= {"manifest": setup.manifest.text(), "daemon_json": setup.config.final.decode()}
            facts |= {"complete": "yes"}
            (stubs.folder / "facts" / address).write_text(told(facts))
            lines.append(f"  - {{name: {name}, ssh: {{host: {address}, port: {stubs.port}}}}}")
    (stubs.folder / "fleet.yaml").write_text("\n".join(lines) + "\n")


def _machine(name: str, address: str, stubs: Stubs) -> Machine:
    options = to_document(SshOptions(ssh_host=address, ssh_port=stubs.port))
    ssh = SshAddress(address, stubs.port, host_key=stubs.host_key)
    return Machine(
        name, name, "ssh", Phase.READY, handle={"host": address, "port": stubs.port, "user": "root", "jump": None},
        options=options, ssh=ssh, endpoint=Endpoint(address), engine=EngineSpec(labels=("env=test",)), fleet="many",
        addresses=(address,), engine_version="26.1.5",
    )  # fmt: skip
