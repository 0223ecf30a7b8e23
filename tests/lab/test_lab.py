"""The lab itself: hosts are what they claim to be, and nothing of them stays."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import Host, HostSpec, Lab, LabError, Seed, User
from lab.aptrepo import AptRepo
from lab.client import buildx_plugin, compose_plugin, docker
from lab.fixtures import FreshHost
from lab.images import rootfs
from lab.leftovers import sweep
from lab.network import bridge_aliases, rule_owners
from lab.registry import Registry
from lab.supervise import cgroup_places
from lab.tree import mounts_below
from lab.wait import open_direct

pytestmark = pytest.mark.lab

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pair(lab_session: Lab) -> list[Host]:
    """A host of each suite."""
    return lab_session.boot_many([HostSpec("trixie", "trixie"), HostSpec("bookworm", "bookworm")])


def _ping(host: Host, address: str) -> bool:
    return host.exec(f"ping -c1 -W2 {address}", check=False).returncode == 0


@pytest.mark.parametrize("index", [0, 1], ids=["trixie", "bookworm"])
def test_a_fresh_host_is_a_plain_server(pair: list[Host], index: int) -> None:
    host = pair[index]
    assert host.run("systemctl is-system-running --wait", check=False).stdout.strip() == "running"
    assert host.run("hostname").stdout.strip() == host.name
    assert f"VERSION_CODENAME={host.suite}" in host.run("cat /etc/os-release").stdout
    assert host.run("command -v docker dockerd containerd", check=False).stdout == ""
    assert host.exec("id -u").stdout.strip() == "0"
    # Its own sources work out of the box, through whatever mirror and proxy this machine uses.
    updated = host.run("apt-get update 2>&1 && apt-cache policy docker.io", timeout=120).stdout
    assert "Candidate: (none)" not in updated
    assert "docker.io:" in updated


def test_hosts_share_nothing_that_names_them(pair: list[Host]) -> None:
    for path in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub", "/sys/class/net/host0/address"):
        assert len({host.run(f"cat {path}").stdout for host in pair}) == 2, path


def test_hosts_reach_each_other_by_both_protocols(pair: list[Host], lab_session: Lab) -> None:
    first, second = pair
    assert _ping(first, second.address)
    assert _ping(first, second.address6)
    assert _ping(second, lab_session.address6)
    with socket.create_connection((first.address6, 22), timeout=5) as link:
        assert link.recv(4) == b"SSH-"


@pytest.mark.soak(15)
def test_the_bridge_keeps_its_address_when_hosts_come_and_go(fresh_host: FreshHost) -> None:
    first = fresh_host()
    place = Path(f"/sys/class/net/{first.bridge}/address")
    seen = {place.read_text()}
    for _ in range(3):
        host = fresh_host()
        seen.add(place.read_text())
        host.destroy()
        seen.add(place.read_text())
    assert len(seen) == 1, "else the others send to the old address for seconds"


def test_an_air_gapped_host_reaches_the_bridge_alone(
    lab_session: Lab, fresh_host: FreshHost, pair: list[Host]
) -> None:
    server = pair[0].run("awk '/^nameserver/{print $2; exit}' /etc/resolv.conf").stdout.strip()
    assert pair[0].run("ip route get " + server).returncode == 0
    host = fresh_host(route_out=False)
    assert _ping(host, lab_session.address)
    assert _ping(host, pair[0].address)
    assert "unreachable" in host.run(f"ip route get {server} 2>&1", check=False).stdout
    assert host.run("apt-get update -o Acquire::Retries=0 2>&1", check=False).stdout.count("Err:") > 0


def test_power_and_cable(fresh_host: FreshHost) -> None:
    host = fresh_host()
    host.run("echo kept > /root/mark; mkdir /var/lib/docker")
    boots = {host.boot_id()}
    host.stop()
    assert not host.running
    assert "container ended with 0" in host.console
    host.start()
    host.wait_ssh()
    boots.add(host.boot_id())
    host.run("systemctl reboot", check=False)
    _wait_for_new_boot(host, boots)
    host.kill()
    assert not host.running
    host.start()
    host.wait_ssh()
    assert host.run("cat /root/mark").stdout == "kept\n"
    host.cut()
    with pytest.raises(LabError):
        host.run("true", timeout=10)
    assert host.exec("cat /root/mark").stdout == "kept\n", "the way in without network"
    host.mend()
    host.wait_ssh()
    host.run("systemctl poweroff", check=False)
    host.wait_down()


def _wait_for_new_boot(host: Host, known: set[str], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if host.boot_id() not in known:
                host.wait_ssh()
                return
        except LabError:
            pass
        time.sleep(0.2)
    pytest.fail(f"{host.name} did not come back from its reboot\n{host.console[-2000:]}")


def test_users_files_commands_and_sshd_settings(fresh_host: FreshHost) -> None:
    host = fresh_host(
        users=[User("asked", sudo="password", password="pass 'word"), User("free", sudo="nopasswd"), User("plain")],
        files={"/etc/motd-lab": ("hello\n", 0o600)},
        commands=["stat -c %a /etc/motd-lab > /root/mode"],
        ssh_port=2222,
        sshd=["PasswordAuthentication no"],
        root_login=False,
    )
    assert host.user == "asked"
    assert host.exec("cat /root/mode").stdout == "600\n"
    assert host.run("sudo -n true", check=False).returncode != 0
    assert host.run("sudo -S -p '' id -u", input="pass 'word\n").stdout == "0\n"
    assert host.run("sudo -n id -u", user="free").stdout == "0\n"
    assert host.run("sudo -n true", user="plain", check=False).returncode != 0
    with pytest.raises(LabError, match="Permission denied"):
        host.run("true", user="root")


@pytest.mark.soak(25)
@pytest.mark.parametrize("suite", ["trixie", "bookworm"])
def test_a_seed_runs_the_real_cloud_init(suite: str, fresh_host: FreshHost) -> None:
    config = {"write_files": [{"path": "/opt/seeded", "content": "yes"}], "runcmd": [["touch", "/opt/ran"]]}
    host = fresh_host(suite, name=f"seeded-{suite}", seed=Seed("#cloud-config\n" + json.dumps(config)))
    assert "status: done" in host.wait_cloud_init()
    assert host.run("cat /opt/seeded; ls /opt/ran; hostname").stdout == f"yes/opt/ran\nseeded-{suite}\n"


@pytest.mark.soak(10)
def test_a_limited_disk_fills_up(fresh_host: FreshHost) -> None:
    host = fresh_host(disk_limit=300)
    filled = host.run("dd if=/dev/zero of=/var/lib/filler bs=1M count=400", check=False)
    assert "No space left on device" in filled.stderr
    assert "No space left on device" in host.run("cp /bin/bash /usr/local/bin/x", check=False).stderr
    host.run("rm /var/lib/filler && cp /bin/bash /usr/local/bin/x")


@pytest.mark.soak(60)
def test_debians_engine_runs_containers(registry: Registry, fresh_host: FreshHost, tmp_path: Path) -> None:
    settings = {**registry.daemon_settings, "tls": False, "hosts": ["unix:///run/docker.sock", "tcp://0.0.0.0:2375"]}
    host = fresh_host(
        files={
            "/etc/docker/daemon.json": (json.dumps(settings), 0o644),
            "/etc/systemd/system/docker.service.d/lab.conf": (
                "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock\n",
                0o644,
            ),
        }
    )
    host.install("docker.io", "docker-cli")
    host.run("docker import - house:v1", stdin=rootfs(), timeout=60)
    assert host.run("docker run --rm house:v1 id -u").stdout == "0\n"
    compose_plugin(tmp_path)
    buildx_plugin(tmp_path)
    remote = {"DOCKER_HOST": f"tcp://{host.address}:2375"}
    assert registry.tags("redis") == ["alpine"]
    name = registry.reference("redis:alpine")
    docker(tmp_path, "run", "-d", "--name=store", "--memory=64m", "-p", "6379:6379", name, env=remote)
    assert _pong(host) == b"+PONG\r\n"
    (tmp_path / "compose.yaml").write_text(json.dumps({"services": {"store": {"image": name}}}))
    docker(tmp_path, "compose", "-f", str(tmp_path / "compose.yaml"), "up", "-d", env=remote)
    listed = docker(tmp_path, "ps", "--format", "{{.Image}}", env=remote).stdout.split()
    assert listed == [name, name]
    (tmp_path / "Dockerfile").write_text(f"FROM {registry.reference('busybox')}\nRUN adduser -D ann\nUSER ann\n")
    docker(tmp_path, "build", "-q", "-t", "ann", str(tmp_path), env={**remote, "DOCKER_BUILDKIT": "0"})
    assert docker(tmp_path, "run", "--rm", "ann", "id", "-un", env=remote).stdout == "ann\n"


def _pong(host: Host, seconds: float = 10) -> bytes:
    """Ask until the container has got as far as to listen."""
    end = time.monotonic() + seconds
    answer = b""
    while not answer and time.monotonic() < end:
        with contextlib.suppress(ConnectionError), socket.create_connection((host.address, 6379), timeout=5) as link:
            link.sendall(b"PING\r\n")
            answer = link.recv(9)
    return answer


@pytest.mark.soak(45)
@pytest.mark.parametrize("suite", ["trixie", "bookworm"])
def test_dockers_packages_install_without_a_way_out(suite: str, apt_repo: AptRepo, fresh_host: FreshHost) -> None:
    host = fresh_host(suite, route_out=False)
    older, newer = apt_repo.versions(suite)
    host.run("rm -f /etc/apt/sources.list && mkdir -p /etc/apt/keyrings")
    host.run("cat > /etc/apt/sources.list.d/docker.list", input=apt_repo.source_line(suite))
    assert "is not signed" in host.run("apt-get update 2>&1", check=False).stdout, "the signature counts"
    host.run(f"curl -fsS -o /etc/apt/keyrings/docker.asc {apt_repo.key_url}")
    host.run("apt-get update")
    plugins = "containerd.io docker-buildx-plugin docker-compose-plugin"
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -y"
    host.run(f"{install} docker-ce={older} docker-ce-cli={older} {plugins}", timeout=120)
    assert host.run("systemctl is-active docker containerd").stdout == "active\nactive\n"
    assert _engine_version(host) in older
    host.run(f"{install} docker-ce={newer} docker-ce-cli={newer}", timeout=120)
    assert _engine_version(host) in newer
    assert "dockerd -H fd:// --containerd" in host.run("ps -o args= -C dockerd").stdout
    assert host.run("readlink -f /proc/$(pidof dockerd)/exe").stdout == "/usr/bin/dockerd\n"
    assert "/pool/stable/" in apt_repo.requests()


def _engine_version(host: Host) -> str:
    return host.run("docker version -f {{.Server.Version}}").stdout.partition("+")[0]


def test_registry_and_repository_answer_on_the_bridge(registry: Registry, apt_repo: AptRepo) -> None:
    assert registry.tags("busybox") == ["latest"]
    assert b"BEGIN PGP PUBLIC KEY BLOCK" in open_direct(apt_repo.key_url)


DOOMED = """
import sys, time
from lab import Lab, HostSpec
lab = Lab.create("doomed")
lab.boot_many([HostSpec("a"), HostSpec("b", disk_limit=200)])
print(lab.id, flush=True)
time.sleep(300)
"""


def _doomed() -> tuple[subprocess.Popen[str], str]:
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    process = subprocess.Popen([sys.executable, "-c", DOOMED], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def _traces(lab_id: str, home: Path) -> list[str]:
    """What is left of a lab on this machine."""
    found = [name for name in (*bridge_aliases(), *rule_owners()) if name == lab_id] + mounts_below(home)
    found += [str(path) for path in cgroup_places(f"{lab_id}-10") if path.exists()]
    found += [path.name for path in Path("/sys/class/net").glob(f"*{lab_id}*")]
    found += [line for line in _processes() if lab_id in line]
    return found + ([str(home)] if home.exists() else [])


def _processes() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def test_sweep_removes_a_killed_labs_leftovers_and_spares_the_living(
    lab_session: Lab, pair: list[Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A state folder of its own: another test run on this machine sweeps too, and would be first now and then.
    monkeypatch.setenv("PYMACHINE_LAB_DIR", str(tmp_path))
    process, lab_id = _doomed()
    home = tmp_path / lab_id
    with process:
        process.kill()
    with Lab.create() as neighbour:
        kept = Lab.create("kept", detached=True)
        try:
            assert len(_traces(lab_id, home)) > 5, "the hosts outlive their maker"
            assert lab_id in sweep()
            assert _traces(lab_id, home) == []
            assert {neighbour.id, kept.id, lab_session.id} <= set(bridge_aliases()) & rule_owners()
        finally:
            kept.close()
    assert all(host.running and _ping(host, lab_session.address) for host in pair)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak(10))])
def test_an_interrupted_lab_cleans_up_after_itself(lab_session: Lab, number: signal.Signals) -> None:
    process, lab_id = _doomed()
    with process:
        process.send_signal(number)
        process.wait(30)
    assert _traces(lab_id, lab_session.home.with_name(lab_id)) == []


def _command(*words: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    argv = [sys.executable, "-m", "lab", *words]
    return subprocess.run(argv, env=env, check=True, capture_output=True, text=True, timeout=120).stdout


def test_a_detached_lab_stays_until_it_is_taken_down(lab_session: Lab) -> None:
    name = f"demo-{lab_session.id}"
    shown = json.loads(_command("up", name, "--detach", "--json"))
    try:
        host = shown["hosts"][0]
        assert (host["running"], shown["detached"]) == (True, True)
        assert shown["id"] not in sweep()
        assert name in [lab["name"] for lab in json.loads(_command("ls", "--json"))]
        assert _command("ssh", name, "hostname").strip() == name
    finally:
        _command("down", name)
    assert _traces(shown["id"], lab_session.home.with_name(shown["id"])) == []
