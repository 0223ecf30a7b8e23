"""One set-up, three couriers: SSH, cloud-init, and what our image has in its place, leave the same host."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lab import Host
from lab.options import Seed
from lab.seeded import Keys, booted
from lab.workstation import Workstation
from pymachine.cloudinit import UserData, meta_data, settings, user_data
from pymachine.driver import CarriedFile, FirstBoot
from pymachine.engine.bundle import TlsFiles, setup_bundle
from pymachine.engine.host_facts import HostFacts
from pymachine.engine.setup import plan_setup
from pymachine.store.sqlite import SqliteStore

pytestmark = pytest.mark.lab

MANIFEST = "/var/lib/pymachine/manifest.json"
# Path, owner, mode and content of everything that the set-up could touch; backups are named by their time, and only a
# host without cloud-init notes whose first boot it has done.
FILES = """
for file in $(find /etc/docker /etc/apt /etc/systemd/system /etc/default /etc/hostname /etc/group /var/lib/pymachine \
        ! -path '/var/lib/pymachine/backup/*' ! -name instance-id ! -name '*cloud-init*' | sort); do
    stat -c '%n %U:%G %a' "$file"
    [ ! -f "$file" ] || md5sum <"$file"
done
dpkg-query -W -f '${Package} ${Version} ${Status}\\n'
apt-mark showhold
systemctl is-enabled docker.service docker.socket
systemctl is-active docker.service docker.socket
systemctl cat docker.service
ss -Hltn sport = :2376
ls /run/pymachine 2>&1
getent hosts node1 | cut -d' ' -f1
"""


def first_boot_of(workstation: Workstation, name: str, os_release: str, *, early: bool = False) -> FirstBoot:
    """The set-up of a machine on record, planned for a host that nobody has seen."""
    with SqliteStore.open(workstation.store) as store:
        machine, secrets = store.get(name), store.secrets(name)
    plan = plan_setup(machine, HostFacts.assumed(os_release, hostname=name), own_host=True)
    assert machine.certificates is not None
    plan = replace(plan, manifest=replace(plan.manifest, server=machine.certificates.server))
    tls = TlsFiles(ca=secrets["ca.pem"], cert=secrets["server.pem"], key=secrets["server-key.pem"])
    bundle = setup_bundle(plan, tls, wait_for_cloud_init=False)
    files = tuple(CarriedFile(f"{bundle.folder}/{file.path}", file.content, file.mode) for file in bundle.files)
    return FirstBoot(files, bundle.run.shell(), early=early)


OF_BEFORE = ("hosts_before", "hostname_before", "hostname_text", "hostname_created")


def manifest_of(host: Host) -> dict[str, Any]:
    """What is on record there, without what was there before: that differs, and nobody could have known it."""
    manifest: dict[str, Any] = json.loads(host.exec(f"cat {MANIFEST}").stdout)
    return {name: value for name, value in manifest.items() if name not in OF_BEFORE}


# A folder that a set-up over SSH keeps its lock in.
OF_ONE_WAY = ("ls: cannot access '/run/pymachine'", "/run/pymachine")


def traces(host: Host) -> list[str]:
    """What is there once what follows the engine in the background is there as well."""
    host.finish_extras()
    lines = host.exec(FILES, check=False, timeout=120).stdout.splitlines()
    lines = [line for line in lines if not line.startswith(OF_ONE_WAY)]
    at = next(number for number, line in enumerate(lines) if line.startswith(MANIFEST))
    return [*lines[: at + 1], *lines[at + 2 :]]


def run_settings(host: Host, data: UserData) -> None:
    """Have the host do what an image of ours does early at its first boot, and wait for the set-up's end."""
    folder = host.root / "root/seed"
    folder.mkdir()
    for name, content in settings(data, "i-1", "52:54:00:00:00:01").items():
        (folder / name).write_bytes(content)
    host.exec("sh /root/seed/pymachine.sh /root/seed")
    end = time.monotonic() + 300
    while time.monotonic() < end and host.exec("test -s /run/pymachine-first-boot.code", check=False).returncode:
        time.sleep(0.5)


@pytest.mark.soak(60)
def test_all_couriers_leave_the_same_host(
    fresh_host: Callable[..., Host], workstation: Workstation, keys: Keys
) -> None:
    by_ssh = fresh_host(name="node1")
    workstation.create("node1", by_ssh.address, "--engine-install", "distro")
    os_release = by_ssh.exec("cat /etc/os-release").stdout
    first_boot = first_boot_of(workstation, "node1", os_release)
    seed = Seed(user_data(UserData("node1", "root", keys.login, first_boot)), meta_data("i-1", "node1"))
    by_cloud_init = fresh_host(name="blank", wait=False, seed=seed, root_login=False)
    assert "status: done" in booted(by_cloud_init)
    by_settings = fresh_host(name="plain")
    early = first_boot_of(workstation, "node1", os_release, early=True)
    run_settings(by_settings, UserData("node1", "root", keys.login, early))

    for host in (by_cloud_init, by_settings):
        log = host.exec("cat /run/pymachine-first-boot.log /run/pymachine-first-boot.code").stdout
        assert log.endswith("\n0\n"), log
        assert traces(host) == traces(by_ssh)
        assert manifest_of(host) == manifest_of(by_ssh)
