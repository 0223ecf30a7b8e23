"""Docker's own repository, played by one on the bridge: pin, hold, upgrade, and a host with no way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab import Host
from lab.aptrepo import AptRepo
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]


AUTH = "/etc/apt/auth.conf.d/pymachine-docker.conf"
FOLDERS = " ".join(f"/etc/apt/{name}" for name in ("sources.list.d", "preferences.d", "keyrings", "auth.conf.d"))


def _installed(host: Host) -> str:
    return host.run("dpkg-query -W -f '${Version}' docker-ce").stdout.strip()


@pytest.mark.soak(70)
@pytest.mark.parametrize("suite", ["trixie", "bookworm"])
def test_install_pin_hold_upgrade_and_no_way_back(
    suite: str, fresh_host: FreshHost, apt_repo: AptRepo, workstation: Workstation
) -> None:
    host = fresh_host(suite=suite)
    older, newer = (version.split(":", 1)[1].split("-", 1)[0] for version in apt_repo.versions(suite))
    with_password = apt_repo.url.replace("://", "://reader:hush-hush@")
    workstation.create(
        "node1", host.address,
        "--engine-install", "docker", "--engine-repo-url", with_password, "--engine-version", older,
    )  # fmt: skip
    assert host.run("grep -rl hush-hush /etc; true").stdout == f"{AUTH}\n"
    assert host.run(f"stat -c '%a %U' {AUTH}").stdout == "600 root\n"
    assert older in host.run("su -s /bin/sh nobody -c 'apt-cache policy docker-ce'").stdout
    assert (
        "hush" not in workstation.pymachine("ls", "--json").stdout + workstation.pymachine("inspect", "node1").stdout
    )
    assert older in _installed(host)
    held = host.run("apt-mark showhold").stdout.split()
    assert {"docker-ce", "docker-ce-cli", "containerd.io"} <= set(held)
    source = host.run("cat /etc/apt/sources.list.d/pymachine-docker.sources").stdout
    assert f"URIs: {apt_repo.url}/linux/debian" in source
    assert "Signed-By: /etc/apt/keyrings/" in source
    # Whatever else offers these packages, the repository wins.
    pinned = host.run("apt-cache policy docker-ce | grep -A1 -F '*** '").stdout
    assert " 990\n" in pinned, pinned
    host.finish_extras()
    host.run("apt-get -q update && apt-get -q -y dist-upgrade")
    assert older in _installed(host), "an upgrade of the whole system leaves the engine alone"

    unchanged = workstation.pymachine("upgrade", "--engine-version", "0.9.9", "node1", check=3)
    assert "0.9.9" in unchanged.stderr
    workstation.pymachine("upgrade", "--engine-version", newer, "node1")
    assert newer in _installed(host)
    assert {"docker-ce", "docker-ce-cli", "containerd.io"} <= set(host.run("apt-mark showhold").stdout.split())
    workstation.docker("node1", "version")

    refused = workstation.pymachine("upgrade", "--engine-version", older, "node1", check=3)
    assert "downgrade" in refused.stderr
    assert newer in _installed(host)
    assert workstation.inspect("node1")["fault"] is None, "a refusal is not a fault of the machine"

    workstation.pymachine("rm", "-y", "--purge", "node1")
    assert host.run(f"ls {FOLDERS} | grep -i docker; true").stdout == ""
    assert host.run("apt-mark showhold").stdout == ""


@pytest.mark.soak(40)
def test_upgrade_without_a_version_takes_the_newest(
    fresh_host: FreshHost, apt_repo: AptRepo, workstation: Workstation
) -> None:
    host = fresh_host()
    older, newer = (version.split(":", 1)[1].split("-", 1)[0] for version in apt_repo.versions("trixie"))
    workstation.create("node1", host.address, "--engine-repo-url", apt_repo.url, "--engine-version", older)
    planned = workstation.pymachine("upgrade", "--dry-run", "node1").stdout
    assert newer in planned
    assert older in _installed(host)
    workstation.pymachine("upgrade", "node1")
    assert newer in _installed(host)


def test_a_version_that_the_repository_lacks_names_those_it_has(
    fresh_host: FreshHost, apt_repo: AptRepo, workstation: Workstation
) -> None:
    host = fresh_host()
    failed = workstation.create(
        "node1", host.address, "--engine-repo-url", apt_repo.url, "--engine-version", "99.1", check=None
    )
    assert failed.returncode in (1, 3)
    assert "99.1" in failed.stderr
    assert all(version.split(":", 1)[1].split("-", 1)[0] in failed.stderr for version in apt_repo.versions("trixie"))
    assert host.run("command -v dockerd || echo none").stdout.strip() == "none"


@pytest.mark.soak(30)
def test_a_host_with_no_way_out_installs_from_the_mirror(
    fresh_host: FreshHost, apt_repo: AptRepo, workstation: Workstation
) -> None:
    host = fresh_host(route_out=False)
    assert "default" not in host.run("ip route").stdout
    workstation.create("node1", host.address, "--engine-repo-url", apt_repo.url)
    assert _installed(host) == apt_repo.versions("trixie")[1]
    workstation.docker("node1", "version")


@pytest.mark.soak(30)
def test_an_install_script_of_the_users_own(fresh_host: FreshHost, workstation: Workstation) -> None:
    host = fresh_host()
    script = workstation.folder / "install.sh"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("#!/bin/sh\nset -eu\napt-get -q update\napt-get -q -y install docker.io\n: > /root/was-here\n")
    workstation.create("node1", host.address, "--engine-install", str(script))
    assert host.run("ls /root/was-here").stdout.strip() == "/root/was-here"
    workstation.docker("node1", "version")
