"""One set-up, two couriers: SSH, and cloud-init at a first boot, leave the same host."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lab import Host
from lab.options import Seed
from lab.seeded import Keys, booted
from lab.workstation import Workstation
from pymachine.cloudinit import UserData, meta_data, user_data
from pymachine.driver import CarriedFile, FirstBoot
from pymachine.engine.bundle import TlsFiles, setup_bundle
from pymachine.engine.hostfacts import HostFacts
from pymachine.engine.setup import plan_setup
from pymachine.store.sqlite import SqliteStore

pytestmark = pytest.mark.lab

MANIFEST = "/var/lib/pymachine/manifest.json"
# Path, owner, mode and content of everything that the set-up could touch; backups are named by their time.
FILES = """
for file in $(find /etc/docker /etc/apt /etc/systemd/system /etc/default /etc/hostname /etc/group /var/lib/pymachine \
        ! -path '/var/lib/pymachine/backup/*' ! -name '*cloud-init*' | sort); do
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


def first_boot_of(workstation: Workstation, name: str, os_release: str) -> FirstBoot:
    """The set-up of a machine on record, planned for a host that nobody has seen."""
    with SqliteStore.open(workstation.store) as store:
        machine, secrets = store.get(name), store.secrets(name)
    plan = plan_setup(machine, HostFacts.assumed(os_release, hostname=name), own_host=True)
    tls = TlsFiles(ca=secrets["ca.pem"], cert=secrets["server.pem"], key=secrets["server-key.pem"])
    bundle = setup_bundle(plan, tls, wait_for_cloud_init=False)
    files = tuple(CarriedFile(f"{bundle.folder}/{file.path}", file.content, file.mode) for file in bundle.files)
    return FirstBoot(files, bundle.run.shell())


def manifest_of(host: Host) -> dict[str, Any]:
    """What is on record there, without what was there before: that differs, and nobody could have known it."""
    manifest: dict[str, Any] = json.loads(host.exec(f"cat {MANIFEST}").stdout)
    return {name: value for name, value in manifest.items() if name not in ("hosts_before", "hostname_before")}


def traces(host: Host) -> list[str]:
    lines = host.exec(FILES, check=False, timeout=120).stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(MANIFEST))
    return [*lines[: at + 1], *lines[at + 2 :]]


@pytest.mark.soak(60)
def test_both_couriers_leave_the_same_host(
    fresh_host: Callable[..., Host], workstation: Workstation, keys: Keys
) -> None:
    by_ssh = fresh_host(name="node1")
    workstation.create("node1", by_ssh.address, "--engine-install", "distro")
    first_boot = first_boot_of(workstation, "node1", by_ssh.exec("cat /etc/os-release").stdout)
    seed = Seed(user_data(UserData("node1", "root", keys.login, first_boot)), meta_data("i-1", "node1"))
    by_cloud_init = fresh_host(name="blank", wait=False, seed=seed, root_login=False)
    assert "status: done" in booted(by_cloud_init)

    log = by_cloud_init.exec("cat /run/pymachine-first-boot.log /run/pymachine-first-boot.code").stdout
    assert log.endswith("\n0\n"), log
    assert traces(by_cloud_init) == traces(by_ssh)
    assert manifest_of(by_cloud_init) == manifest_of(by_ssh)
