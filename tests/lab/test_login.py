"""Every way to log in: users with sudo, encrypted keys, other ports, IPv6, names, bastions, ssh and scp."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Host, User
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]
PASSWORD = "correct horse 'battery' $taple"


@pytest.fixture(scope="module")
def busy(module_engine_host: FreshHost) -> Host:
    """A host with an engine, users of all kinds, on another SSH port."""
    return module_engine_host(
        ssh_port=2222,
        users=[
            User("ann", sudo="nopasswd"),
            User("bob", sudo="password", password=PASSWORD),
            User("eve"),
            User("fay", sudo="nopasswd", shell="/bin/tcsh"),  # noqa: S604 - a login shell, not a call
        ],
        commands=["apt-get -q update && apt-get install -y -q tcsh"],
    )


def _created(workstation: Workstation, host: Host, *words: str) -> None:
    workstation.create("node1", host.address, "--ssh-port", "2222", *words)
    workstation.docker("node1", "version")
    workstation.pymachine("rm", "-y", "node1")


@pytest.mark.parametrize("user", ["ann", pytest.param("fay", marks=pytest.mark.soak(30))])
def test_a_user_with_sudo(user: str, busy: Host, workstation: Workstation) -> None:
    _created(workstation, busy, "--ssh-user", user)


def test_a_user_whose_sudo_wants_a_password(busy: Host, workstation: Workstation, typed: Callable[..., str]) -> None:
    words = ["create", "-d", "ssh", "--ssh-host", busy.address, "--ssh-port", "2222", "--ssh-user", "bob"]
    words += ["--ssh-key", str(workstation.key)]
    screen = typed([*words, "node1"], [PASSWORD])
    assert screen.lower().count("password") == 1, screen
    assert PASSWORD not in screen
    workstation.docker("node1", "version")
    refused = workstation.pymachine("rm", "-y", "node1", check=2)
    assert "sudo" in refused.stderr, "without a terminal nobody can be asked"
    typed(["rm", "-y", "node1"], [PASSWORD])
    assert PASSWORD not in busy.exec("journalctl --no-pager -o cat; ps axww -o args").stdout


def test_a_user_without_sudo_is_refused(busy: Host, workstation: Workstation) -> None:
    refused = workstation.create("node1", busy.address, "--ssh-port", "2222", "--ssh-user", "ann-x", check=3)
    assert "ann-x" in refused.stderr
    busy.exec("useradd -m -s /bin/sh gil; install -d -m 700 -o gil /home/gil/.ssh")
    busy.exec("install -m 600 -o gil /root/.ssh/authorized_keys /home/gil/.ssh/authorized_keys")
    refused = workstation.create("node1", busy.address, "--ssh-port", "2222", "--ssh-user", "gil", check=2)
    assert "sudo" in refused.stderr


@pytest.mark.soak(30)
def test_an_encrypted_key_is_asked_for_once(busy: Host, workstation: Workstation, typed: Callable[..., str]) -> None:
    locked = workstation.folder / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", str(locked)], check=True)
    busy.exec("cat >> /root/.ssh/authorized_keys", input=locked.with_suffix(".pub").read_text())
    screen = typed([*_by_key(busy, locked), "node1"], ["open sesame"])
    assert screen.count("assphrase") == 1, screen
    workstation.docker("node1", "version")
    refused = workstation.pymachine("rm", "-y", "node1", check=2)
    assert "agent" in refused.stderr
    typed(["rm", "-y", "node1"], ["open sesame"])


@pytest.mark.soak(20)
@pytest.mark.parametrize(("kind", "bits"), [("ecdsa", "256"), ("rsa", "3072")])
def test_other_kinds_of_keys(kind: str, bits: str, busy: Host, workstation: Workstation) -> None:
    key = workstation.folder / kind
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f", str(key)], check=True)
    busy.exec("cat >> /root/.ssh/authorized_keys", input=key.with_suffix(".pub").read_text())
    workstation.pymachine(*_by_key(busy, key), "--dry-run", "node1")


def test_ipv6_all_the_way(busy: Host, workstation: Workstation) -> None:
    workstation.create("node1", busy.address6, "--ssh-port", "2222")
    assert workstation.pymachine("url", "node1").stdout == f"tcp://[{busy.address6}]:2376\n"
    workstation.docker("node1", "version")
    assert workstation.pymachine("ssh", "node1", "echo", "through", "6").stdout == "through 6\n"
    workstation.pymachine("rm", "-y", "node1")


def test_the_ssh_configuration_counts_with_a_bastion(
    busy: Host, workstation: Workstation, fresh_host: FreshHost
) -> None:
    bastion = fresh_host()
    config = workstation.folder / "home/.ssh"
    config.mkdir(parents=True, exist_ok=True)
    (config / "hosts").write_text(
        f"Host inner\n  HostName {busy.address}\n  Port 2222\n  User ann\n  IdentityFile {workstation.key}\n"
        f"  ProxyJump root@{bastion.address}\n"
        f"Host {bastion.address}\n  IdentityFile {workstation.key}\n"
    )
    (config / "config").write_text("Include hosts\n")
    workstation.pymachine("create", "-d", "ssh", "--ssh-host", "inner", "node1")
    assert workstation.pymachine("url", "node1").stdout == f"tcp://{busy.address}:2376\n"
    seen_from = workstation.pymachine("ssh", "node1", "echo $SSH_CONNECTION").stdout.split()[0]
    assert seen_from == bastion.address
    workstation.docker("node1", "version")
    workstation.pymachine("rm", "-y", "node1")


@pytest.mark.soak(30)
def test_an_explicit_bastion(busy: Host, workstation: Workstation, fresh_host: FreshHost) -> None:
    bastion = fresh_host(ssh_port=2022)
    jump = f"root@{bastion.address}:2022"
    workstation.create("node1", busy.address, "--ssh-port", "2222", "--ssh-jump", jump)
    assert workstation.pymachine("ssh", "node1", "echo $SSH_CONNECTION").stdout.split()[0] == bastion.address
    workstation.pymachine("rm", "-y", "node1")


def test_ssh_and_scp(busy: Host, workstation: Workstation, tmp_path: Path, typed: Callable[..., str]) -> None:
    workstation.create("node1", busy.address, "--ssh-port", "2222")
    assert workstation.pymachine("ssh", "node1", "exit 7", check=7).stdout == ""
    assert workstation.pymachine("ssh", "node1", "cat", stdin="piped\n").stdout == "piped\n"
    assert workstation.pymachine("ssh", "node1", "--", "echo", "-n", "plain").stdout == "plain"
    assert "2222" in typed(["ssh", "node1"], ["echo $SSH_CONNECTION $(tty)", "exit"])
    (tmp_path / "a file").write_text("content\n")
    workstation.pymachine("scp", str(tmp_path / "a file"), "node1:/root/copied")
    workstation.pymachine("scp", "node1:/root/copied", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "content\n"
    assert workstation.pymachine("docker", "node1", "ps", "--format", "{{json .}}").returncode == 0
    record = json.dumps(workstation.inspect("node1"))
    assert "PRIVATE KEY" not in record
    workstation.pymachine("rm", "-y", "node1")


def test_a_reinstalled_host_is_refused_until_its_new_key_is_given(
    module_engine_host: FreshHost, workstation: Workstation
) -> None:
    host = module_engine_host()
    workstation.create("node1", host.address)
    host.exec("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh")
    refused = workstation.pymachine("provision", "node1", check=1)
    new = host.exec("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").stdout.split()[1]
    assert new in refused.stderr
    assert "hint:" in refused.stderr
    workstation.pymachine("provision", "--ssh-host-key", new, "node1")
    workstation.pymachine("rm", "-y", "node1")


def _by_key(host: Host, key: Path) -> list[str]:
    """Words that create a machine on a host, logging in by one key alone."""
    return ["create", "-d", "ssh", "--ssh-host", host.address, "--ssh-port", "2222", "--ssh-key", str(key)]
