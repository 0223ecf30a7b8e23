"""A bare host becomes a machine: Debian's own engine, options, repetition, and what rm leaves."""

from __future__ import annotations

import base64
import json
import re
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from lab import Host
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]
OURS = "find /etc /var/lib/pymachine /usr/local /run -iname '*pymachine*' 2>/dev/null; true"

ENVIRONMENT = "/etc/docker/pymachine/environment"
DROP_IN = "/etc/systemd/system/docker.service.d/zz-pymachine.conf"
MANIFEST = "/var/lib/pymachine/manifest.json"
# Everything that means something in a unit file, a file of variables or a shell, and blanks at both ends.
GREETING = ' it\'s 100% %n "$HOME" ${X} `id` \\n \\" #; größer\t\nsecond=line \\\n# third \\' + " "


@pytest.mark.parametrize("suite", ["trixie", pytest.param("bookworm", marks=pytest.mark.soak(45))])
def test_a_bare_host_becomes_a_machine_and_bare_again(
    suite: str, fresh_host: FreshHost, workstation: Workstation
) -> None:
    host = fresh_host(suite=suite)
    created = workstation.create("node1", host.address, "--engine-install", "distro")
    assert re.fullmatch(
        rf"node1 is ready: tcp://{re.escape(host.address)}:2376, engine \d+\.\d+\.\S+, \d+ s\n"
        r'  eval "\$\(pymachine env node1\)"\n',
        created.stdout,
    ), created.stdout
    assert "SHA256:" in created.stderr, "the pinned host key is shown"
    server = json.loads(workstation.docker("node1", "version", "--format", "{{json .Server}}").stdout)
    assert server["Version"] == workstation.inspect("node1")["engine_version"]
    assert host.run("hostname").stdout.strip() == "node1"
    assert workstation.states() == {"node1": "Running"}

    workstation.pymachine("rm", "-y", "node1")
    assert workstation.pymachine("ls", "-q").stdout == ""
    assert not (workstation.store / "certs/node1").exists()
    assert host.run(OURS).stdout == ""
    assert host.run("ss -Hltn sport = :2376").stdout == ""
    assert host.run("docker version --format '{{.Server.Version}}'").stdout.strip() == server["Version"]


@pytest.mark.soak(25)
def test_what_follows_the_engine_is_on_record_until_it_is_there(
    fresh_host: FreshHost, workstation: Workstation
) -> None:
    host = fresh_host()
    workstation.create("node1", host.address, "--engine-install", "distro")
    pending = "cat /var/lib/pymachine/extras; systemctl is-active pymachine-extras.timer; true"
    assert host.exec("command -v git || echo none").stdout.strip() == "none", "nobody waited for it"
    assert host.exec(pending).stdout.split() == ["procps", "xz-utils", "git", "active"]
    assert "git" not in workstation.pymachine("provision", "--dry-run", "node1").stdout, "it comes by itself"

    host.exec("systemctl stop pymachine-extras.timer")  # as a reboot would
    assert "git" in workstation.pymachine("provision", "--dry-run", "node1").stdout
    daemon = host.exec("pidof dockerd").stdout
    workstation.pymachine("provision", "node1")
    assert host.exec(pending).stdout.split()[-1] == "active", "begun again"

    host.exec("systemctl start pymachine-extras.service")
    host.finish_extras()
    assert host.exec("git --version && dpkg --audit").stdout.startswith("git version")
    assert host.exec("pidof dockerd").stdout == daemon
    assert "git" in host.exec("cat /var/lib/pymachine/installed").stdout.split()
    assert host.exec("ls /var/lib/pymachine | grep extras").stdout == "extras.sh\n"


@pytest.mark.soak(25)
def test_rm_with_purge_takes_the_engine_away_too(fresh_host: FreshHost, workstation: Workstation) -> None:
    host = fresh_host()
    workstation.create("node1", host.address, "--engine-install", "distro")
    workstation.pymachine("rm", "-y", "--purge", "node1")
    assert host.run("command -v dockerd /usr/sbin/dockerd || echo none").stdout.strip() == "none"
    assert host.run("ls /var/lib/docker 2>/dev/null || echo none").stdout.strip() == "none"


@pytest.mark.soak(50)
def test_a_purge_leaves_the_disk_of_somebody(fresh_host: FreshHost, workstation: Workstation) -> None:
    host = fresh_host()
    disk = "mkdir -p /srv/disk /srv/data; mount --bind /srv/disk /srv/data; touch /srv/data/of-somebody"
    host.exec(f"{disk}; ln -s /srv/data /var/lib/docker")
    for _ in range(2):  # what a purge leaves must do for the next create
        workstation.create("node1", host.address, "--engine-install", "distro")
        host.exec("docker volume create precious; test -d /srv/data/volumes/precious")
        workstation.pymachine("rm", "-y", "--purge", "node1")
        assert host.run("command -v dockerd /usr/sbin/dockerd || echo none").stdout.strip() == "none"
        assert host.exec("readlink /var/lib/docker; ls -A /srv/data").stdout.split() == ["/srv/data", "of-somebody"]
    assert host.exec("findmnt -n -o TARGET /srv/data").stdout.strip() == "/srv/data"


def test_every_engine_option_takes_effect(engine_host: FreshHost, workstation: Workstation, tmp_path: Path) -> None:
    host = engine_host()
    (tmp_path / "daemon.json").write_text('{"max-concurrent-downloads": 2, "log-opts": {"max-file": "3"}}')
    workstation.create(
        "node1", host.address,
        "--engine-port", "2377",
        "--engine-opt", "log-driver=json-file", "--engine-opt", "log-opt=max-size=5m",
        "--engine-label", "rack=7", "--engine-label", "note=it's 100% \"fine\" $HOME",
        "--engine-env", f"GREETING={GREETING}",
        "--engine-env", "TOKEN=hush-hush",
        "--http-proxy", "http://user:hush-hush@192.0.2.9:3128",
        "--engine-insecure-registry", "registry.example:5000",
        "--engine-registry-mirror", "https://mirror.example",
        "--engine-storage-driver", "overlay2",
        "--engine-config", str(tmp_path / "daemon.json"),
        "--tls-san", "docker.example.org", "--tls-san", "192.0.2.7",
    )  # fmt: skip
    info = json.loads(workstation.docker("node1", "info", "--format", "{{json .}}").stdout)
    assert info["LoggingDriver"] == "json-file"
    assert info["Driver"] == "overlay2"
    assert {"rack=7", 'note=it\'s 100% "fine" $HOME', "provider=ssh"} <= set(info["Labels"])
    assert "registry.example:5000" in info["RegistryConfig"]["IndexConfigs"]
    assert info["RegistryConfig"]["Mirrors"] == ["https://mirror.example/"]
    assert {"TOKEN": "hush-hush", "GREETING": GREETING}.items() <= environ(host).items()
    written = json.loads(host.run("cat /etc/docker/daemon.json").stdout)
    assert written["max-concurrent-downloads"] == 2
    assert written["log-opts"] == {"max-file": "3", "max-size": "5m"}
    served = x509.load_pem_x509_certificate(ssl.get_server_certificate((host.address, 2377)).encode())
    sans = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"node1", "localhost", "docker.example.org"} <= set(sans.get_values_for_type(x509.DNSName))
    addresses = {str(address) for address in sans.get_values_for_type(x509.IPAddress)}
    assert {host.address, host.address6, "127.0.0.1", "::1", "192.0.2.7"} <= addresses

    # No other account of the host is told what may be secret, and what an older pymachine left in the unit is moved.
    assert "hush" not in shown(host)
    assert host.run(f"stat -c '%a %U' {ENVIRONMENT}").stdout == "600 root\n"
    host.exec(
        f"sed -i 's|^EnvironmentFile=.*|Environment=TOKEN=hush-hush|' {DROP_IN} && rm {ENVIRONMENT} && "
        f"sed -i '/\"environment_file\"/d' {MANIFEST} && systemctl daemon-reload && systemctl restart docker"
    )
    assert "hush" in shown(host), "as it was"
    planned = workstation.pymachine("provision", "--dry-run", "node1").stdout
    assert {ENVIRONMENT, "restart"} <= set(planned.split())
    workstation.pymachine("provision", "node1")
    assert "hush" not in shown(host)
    assert {"TOKEN": "hush-hush", "GREETING": GREETING}.items() <= environ(host).items()

    # An engine that would be without its variables does not start.
    host.exec(f"mv {ENVIRONMENT} {ENVIRONMENT}.away; ! systemctl restart docker; mv {ENVIRONMENT}.away {ENVIRONMENT}")
    host.exec("systemctl reset-failed docker; systemctl start docker")

    workstation.pymachine("provision", "--reset", "engine-env", "--reset", "http-proxy", "node1")
    assert not {"TOKEN", "GREETING", "HTTP_PROXY"} & environ(host).keys()
    assert host.run(f"ls {ENVIRONMENT} 2>/dev/null; grep -c Environment {DROP_IN} || true").stdout == "0\n"


def environ(host: Host) -> dict[str, str]:
    """The variables of the daemon."""
    raw = base64.b64decode(host.run("base64 </proc/$(pidof dockerd)/environ").stdout).decode()
    return dict(pair.split("=", 1) for pair in raw.split("\0") if pair)


def shown(host: Host) -> str:
    """What an account without any right can find out of the daemon's variables."""
    looks = f"systemctl show docker; systemctl cat docker; cat {DROP_IN} {ENVIRONMENT} /etc/docker/pymachine/*"
    return host.run(f"su -s /bin/sh nobody -c '{looks}' 2>/dev/null; true").stdout


def test_provision_changes_options_repeats_without_a_restart_and_follows_the_host(
    engine_host: FreshHost, workstation: Workstation
) -> None:
    host = engine_host()
    workstation.create("node1", host.address)
    before = host.run("pidof dockerd").stdout
    workstation.pymachine("provision", "node1")
    assert host.run("pidof dockerd").stdout == before, "nothing changed, so nothing restarts"
    workstation.pymachine("provision", "--engine-label", "rack=8", "node1")
    assert "rack=8" in workstation.docker("node1", "info", "--format", "{{json .Labels}}").stdout
    _moved(host, workstation)


def _moved(host: Host, workstation: Workstation) -> None:
    """Move it to another address, with an sshd that only the system's ssh can speak to, and look who may follow."""
    there = f"{host.address.rpartition('.')[0]}.250"
    host.exec(f"ip addr add {there}/24 dev host0")
    host.exec("echo 'Ciphers chacha20-poly1305@openssh.com' >/etc/ssh/sshd_config.d/one.conf; systemctl restart ssh")
    planned = workstation.pymachine("provision", "--dry-run", "--ssh-host", there, "node1").stdout
    assert there in planned
    assert workstation.inspect("node1")["endpoint"]["host"] == host.address
    workstation.pymachine("provision", "--ssh-host", there, "node1")
    host.exec(f"ip addr del {host.address}/24 dev host0")
    assert workstation.variables("node1")["DOCKER_HOST"] == f"tcp://{there}:2376"
    workstation.docker("node1", "version")
    assert workstation.pymachine("ssh", "node1", "hostname").stdout.strip() == host.name

    host.exec(f"ip addr add {host.address}/24 dev host0")
    host.exec("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh")
    refused = workstation.pymachine("provision", "--ssh-host", host.address, "node1", check=3)
    assert "SHA256:" in refused.stderr
    workstation.docker("node1", "version")
    assert workstation.inspect("node1")["ssh"]["host"] == there


def test_new_certificates_shut_out_whoever_has_the_old_ones(
    engine_host: FreshHost, workstation: Workstation, tmp_path: Path
) -> None:
    host = engine_host()
    workstation.create("node1", host.address)
    folder, old = workstation.store / "certs/node1", tmp_path / "old"
    shutil.copytree(folder, old)
    planned = workstation.pymachine("provision", "--new-certificates", "--dry-run", "node1").stdout
    assert "issue a new certificate authority" in planned
    assert "restart the engine once" in planned
    _asked_with(workstation, folder / "ca.pem", old)

    workstation.pymachine("provision", "--new-certificates", "node1")
    workstation.docker("node1", "version")
    _asked_with(workstation, folder / "ca.pem", folder)
    with pytest.raises(AssertionError, match=r"remote error: tls|reset by peer|EOF|broken pipe"):
        _asked_with(workstation, folder / "ca.pem", old)
    with pytest.raises(AssertionError, match="x509: certificate signed by unknown authority"):
        _asked_with(workstation, old / "ca.pem", old)


def _asked_with(workstation: Workstation, authority: Path, client: Path) -> None:
    """Ask the engine of node1 with a client's files, whatever the environment says."""
    files = {"--tlscacert": authority, "--tlscert": client / "cert.pem", "--tlskey": client / "key.pem"}
    flags = [word for flag, path in files.items() for word in (flag, str(path))]
    workstation.docker("node1", "--tlsverify", *flags, "version")


@pytest.mark.soak(30)
def test_dry_runs_change_nothing(fresh_host: FreshHost, workstation: Workstation) -> None:
    host = fresh_host()
    listing = "find /etc /usr /opt /srv /home /root /var/lib /var/tmp -xdev -newer /run/mark -type f"
    host.run("touch /run/mark; sleep 1.1")
    planned = workstation.create("node1", host.address, "--dry-run", "--engine-install", "distro").stdout
    assert "docker.io" in planned
    assert workstation.pymachine("ls", "-q").stdout == ""
    assert host.run(listing).stdout == ""
    workstation.create("node1", host.address, "--engine-install", "distro")
    host.finish_extras()
    before = host.run("find /etc -type f -exec sha256sum {} +; pidof dockerd").stdout
    for words in (("provision", "--engine-label", "a=b"), ("upgrade",), ("rm",)):
        assert workstation.pymachine(*words, "--dry-run", "node1").stdout
    assert host.run("find /etc -type f -exec sha256sum {} +; pidof dockerd").stdout == before


def test_restart_comes_back_with_the_same_certificates(engine_host: FreshHost, workstation: Workstation) -> None:
    host = engine_host()
    workstation.create("node1", host.address)
    boot = host.boot_id()
    workstation.pymachine("restart", "node1")
    assert host.boot_id() != boot
    workstation.docker("node1", "version")


@pytest.mark.soak(45)
def test_stop_and_start_say_what_they_can_and_cannot(engine_host: FreshHost, workstation: Workstation) -> None:
    host = engine_host()
    workstation.create("node1", host.address)
    workstation.pymachine("stop", "node1")
    assert workstation.states("--timeout", "5")["node1"] in ("Unreachable", "Timeout")
    refused = workstation.pymachine("start", "node1", check=3)
    assert "hint:" in refused.stderr
    host.wait_down()
    host.start()  # a hand at the machine
    host.wait_ssh()
    workstation.pymachine("start", "node1")
    workstation.docker("node1", "version")
    workstation.pymachine("kill", "node1")
    assert workstation.states("--timeout", "5")["node1"] in ("Unreachable", "Timeout")
