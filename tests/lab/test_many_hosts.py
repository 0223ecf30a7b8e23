"""Two hundred hosts that speak real SSH: plan, and an apply that changes nothing, with dead, wrong and slow ones.

Needs neither root nor the lab, only loopback; it stands here because it takes its time.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pymachine import tls
from pymachine.documents import to_document
from pymachine.engine.facts import parse_facts
from pymachine.engine.setup import plan_setup
from pymachine.model import Endpoint, EngineSpec, Machine, Phase, SshAddress
from pymachine.store.sqlite import SqliteStore
from pymachine_ssh import SshOptions

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

COUNT = int(os.environ.get("PYMACHINE_STUBS", "200"))
DEAD, WRONG, SLOW = range(5), range(5, 10), range(10, 15)
WAIT = 3.0  # seconds that a slow host takes
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
UNIT = "# /usr/lib/systemd/system/docker.service\n[Service]\nExecStart=/usr/sbin/dockerd -H fd://\n"
FACTS = {
    "os_release": 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n', "init": "systemd",
    "unit": "docker.service", "dockerd": "/usr/sbin/dockerd", "dockerd_version": "Docker version 26.1.5, build 1",
    "package": "docker.io 26.1.5", "unit_text": UNIT, "unit_properties": "ActiveState=active",
}  # fmt: skip


@dataclass
class Stubs:
    """The hosts, and a user whose store has a ready machine on each."""

    folder: Path
    port: int
    host_key: str

    def pymachine(self, *words: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "MACHINE_STORAGE_PATH": str(self.folder / "store"),
        }  # fmt: skip
        program = str(Path(sys.executable).with_name("pymachine"))
        done = subprocess.run(
            [program, *words, "-f", str(self.folder / "fleet.yaml")], env=environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert check is None or done.returncode == check, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def logins(self) -> Counter[str]:
        return Counter((self.folder / "logins").read_text().split())

    def forget_logins(self) -> None:
        os.truncate(self.folder / "logins", 0)


def address_of(number: int) -> str:
    return f"127.77.{number // 250}.{number % 250 + 1}"


def told(facts: dict[str, str]) -> str:
    """What the look prints."""
    return "".join(f"{name} {base64.b64encode(text.encode()).decode()}\n" for name, text in facts.items())


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stubs]:
    folder = tmp_path_factory.mktemp("stubs")
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
            _populate(found)
            yield found
        finally:
            server.stdin.close()


def _populate(stubs: Stubs) -> None:
    lines = ["fleet: many", "defaults: {driver: ssh, engine: {labels: [env=test]}}", "machines:"]
    with SqliteStore.open(stubs.folder / "store") as store:
        issued = tls.issue("stub", ("127.0.0.1",), now=datetime.now(UTC))
        for number in range(COUNT):
            name, address = f"stub-{number:04}", address_of(number)
            machine = _machine(name, address, stubs)
            certificates = replace(issued.certificates, sans=(name, address))
            store.put(machine.with_(certificates=certificates), secrets=issued.files)
            facts = {**FACTS, "hostname": name, "repository": ""}
            setup = plan_setup(machine, parse_facts(told({**facts, "complete": "yes"})))
            facts |= {"manifest": setup.manifest.text(), "daemon_json": setup.config.final.decode()}
            facts |= {"info": json.dumps({"Swarm": {"LocalNodeState": "inactive"}}), "complete": "yes"}
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


def test_nothing_to_do_is_found_with_one_connection_a_host(stubs: Stubs) -> None:
    stubs.forget_logins()
    began = time.monotonic()
    done = stubs.pymachine("apply", "-y")
    seconds = time.monotonic() - began
    assert done.stdout == "fleet many is as its inventory says: nothing to do\n"
    assert stubs.logins() == {address_of(number): 1 for number in range(COUNT)}
    print(f"{COUNT} hosts, nothing to do: {seconds:.1f} s")


def test_dead_and_wrong_hosts_are_told_and_the_rest_is_planned(stubs: Stubs) -> None:
    with SqliteStore.open(stubs.folder / "store") as store:
        for number in (*DEAD, *WRONG):
            machine = store.get(f"stub-{number:04}")
            assert machine.ssh is not None
            ssh = replace(machine.ssh, port=1) if number in DEAD else replace(machine.ssh, host_key=OTHER_KEY)
            store.put(machine.with_(ssh=ssh))
    for number in SLOW:
        (stubs.folder / "slow" / address_of(number)).write_text(str(WAIT))
    text = (stubs.folder / "fleet.yaml").read_text()
    (stubs.folder / "fleet.yaml").write_text(
        text.replace("machines:", "machines:", 1).replace("env=test", "env=prod")
    )
    began = time.monotonic()
    done = stubs.pymachine("plan", "--json", check=6)
    seconds = time.monotonic() - began
    plan = json.loads(done.stdout)
    assert set(plan["unseen"]) == {f"stub-{number:04}" for number in (*DEAD, *WRONG)}
    assert {change["action"] for change in plan["changes"]} == {"configure"}
    assert len(plan["changes"]) == COUNT - 10
    assert seconds < 60, "the slow ones held up the others"


def test_drift_of_the_same(stubs: Stubs) -> None:
    table = stubs.pymachine("drift", "--limit", "stub-00[0-2]*", check=6).stdout
    assert "stub-0000" in table
    assert "set labels in /etc/docker/daemon.json" in table
