"""Real cloud-init on real systemd hosts, given our user-data: who gets in, what runs, how often, who may read it."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from lab import Host
from lab.options import Seed
from lab.seeded import Keys, booted
from pymachine.cloudinit import NOTHING, UserData, meta_data, read_theirs, user_data
from pymachine.driver import CarriedFile, FirstBoot

pytestmark = pytest.mark.lab

FILES = (CarriedFile("/run/pymachine/0123/secret", b"s3cret\n"),)
# Says where and when it runs, with the file that was carried and the account there, and ends with a code of its own.
COMMAND = """echo again >>/root/runs
cat /run/pymachine/0123/secret
id -u && id -un {user} && getent passwd {user} | cut -d: -f6
cat /proc/self/cgroup
echo "cloud-final: $(systemctl is-active cloud-final.service)"
echo loud >&2; exit 3"""
OWNERS = """\
#cloud-config
write_files:
  - {path: /opt/theirs/file, content: theirs}
users:
  - {name: second, ssh_authorized_keys: [ssh-ed25519 AAAATHEIRS]}
runcmd:
  - cp /run/pymachine-first-boot.code /opt/theirs/code
  - [touch, /opt/theirs/ran]
"""
SCRIPT = "#!/bin/sh\ncp /run/pymachine-first-boot.code /root/code-then\n"


def holders(host: Host, secret: str) -> set[str]:
    """Mode and owner of every file that holds the text; at least one does."""
    command = f"grep -rlsFZ -e {secret} /etc /home /root /run /tmp /var | xargs -0 stat -c '%a %U'"
    return set(host.exec(command, check=False).stdout.splitlines()) or {"none"}


def test_an_early_set_up_runs_once_beside_the_boot(fresh_host: Callable[..., Host], keys: Keys) -> None:
    first_boot = FirstBoot(FILES, COMMAND.format(user="docker"), early=True)
    data = UserData("node1", "docker", keys.login, first_boot)
    seed = Seed(user_data(data, read_theirs(OWNERS, "user.yaml")), meta_data("i-1", "node1"))
    host = fresh_host(name="blank", wait=False, seed=seed, root_login=False, commands=["groupadd -r docker"])
    state = booted(host)
    assert "status: done" in state
    assert "degraded" not in state, state

    facts = keys.enter(host, "docker", "hostname; id -gn; sudo -n id -u; getent hosts node1; ls /etc/ssh/*_key")
    assert facts.stdout.split() == [
        "node1",
        "docker",
        "0",
        "127.0.1.1",
        "node1",
        "node1",
        "/etc/ssh/ssh_host_ed25519_key",
    ]

    log = host.exec("cat /run/pymachine-first-boot.log").stdout
    assert log.startswith("s3cret\n0\ndocker\n/home/docker\n")
    assert "pymachine-first-boot.service" in log
    assert "cloud-final: inactive" in log
    assert log.endswith("loud\n")
    assert host.exec("cat /run/pymachine-first-boot.code").stdout == "3\n"
    assert host.exec("cat /opt/theirs/file /opt/theirs/code; ls /opt/theirs").stdout == "theirs3\ncode\nfile\nran\n"
    assert "AAAATHEIRS" in host.exec("cat /home/second/.ssh/authorized_keys").stdout
    assert "ordering cycle" not in host.exec("journalctl -b --no-pager").stdout
    assert "Valid schema user-data" in host.exec("cloud-init schema --system 2>&1").stdout
    for secret in (
        "s3cret",
        base64.b64encode(b"s3cret\n").decode(),
        keys.login.host_private.decode().splitlines()[3],
    ):
        assert holders(host, secret) <= {"400 root", "600 root"}
        logged = host.exec(f"journalctl --no-pager | grep -F -e {secret} /var/log/cloud-init* -", check=False)
        assert logged.stdout == ""

    host.stop()
    host.start()
    assert "status: done" in booted(host)
    assert host.exec("cat /root/runs").stdout == "again\n"
    assert keys.enter(host, "docker", "hostname").stdout == "node1\n"


@pytest.mark.soak(40)
def test_a_late_set_up_runs_before_the_owners_script(fresh_host: Callable[..., Host], keys: Keys) -> None:
    name = "node1.example.org"
    data = UserData(name, "root", keys.login, FirstBoot(FILES, COMMAND.format(user="root")))
    text = user_data(data, read_theirs(SCRIPT, "user.sh"))
    host = fresh_host("bookworm", name="blank", wait=False, seed=Seed(text, meta_data("i-1", name)), root_login=False)
    assert "status: done" in booted(host)
    assert keys.enter(host, "root", "hostname; cat /root/code-then /root/runs").stdout == f"{name}\n3\nagain\n"
    assert "cloud-final: activating" in host.exec("cat /run/pymachine-first-boot.log").stdout

    host.stop()
    host.start()
    assert "status: done" in booted(host)
    assert keys.enter(host, "root", "hostname; cat /root/runs").stdout == f"{name}\nagain\n"


@pytest.mark.soak(25)
def test_an_early_set_up_that_could_not_be_queued_runs_at_the_end(
    fresh_host: Callable[..., Host], keys: Keys
) -> None:
    data = UserData("node1", "admin", keys.login, FirstBoot(FILES, COMMAND.format(user="admin"), early=True))
    broken = ["printf '#!/bin/sh\\nexit 1\\n' >/usr/bin/systemd-run"]
    seed = Seed(user_data(data, NOTHING), meta_data("i-1", "node1"))
    host = fresh_host("bookworm", name="blank", wait=False, seed=seed, root_login=False, commands=broken)
    assert "status: done" in booted(host)
    assert keys.enter(host, "admin", "sudo cat /root/runs").stdout == "again\n"
    assert "cloud-final: activating" in host.exec("cat /run/pymachine-first-boot.log").stdout
