"""Every wrong input that needs a host to be noticed: an error, a hint, its exit code, and nothing made."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator

import pytest

from lab import Host
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]
OURS = "find / -xdev -iname '*pymachine*' ! -path '/proc/*' 2>/dev/null; true"


@pytest.fixture(scope="module")
def bare(module_host: Host) -> Host:
    """One bare host for all refusals: none of them changes it."""
    return module_host


@pytest.fixture(autouse=True)
def nothing_is_made(bare: Host, workstation: Workstation) -> Iterator[None]:
    yield
    assert workstation.pymachine("ls", "-q").stdout == ""
    assert bare.exec(OURS).stdout == ""
    assert bare.exec("command -v dockerd || echo none").stdout.strip() == "none"


def _refused(workstation: Workstation, code: int, *words: str) -> str:
    done = workstation.pymachine("create", "-d", "ssh", *words, check=code)
    assert done.stdout == ""
    assert done.stderr.splitlines()[-2].startswith("error: ") or "error: " in done.stderr, done.stderr
    assert "hint: " in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def _at(host: Host, workstation: Workstation, *words: str) -> list[str]:
    return ["--ssh-host", host.address, "--ssh-key", str(workstation.key), *words]


def test_wrong_user(bare: Host, workstation: Workstation) -> None:
    error = _refused(workstation, 3, *_at(bare, workstation, "--ssh-user", "nobody-here"), "node1")
    assert "nobody-here" in error


def test_closed_port(bare: Host, workstation: Workstation) -> None:
    assert "2222" in _refused(workstation, 3, *_at(bare, workstation, "--ssh-port", "2222"), "node1")


def test_host_key_mismatch(bare: Host, workstation: Workstation) -> None:
    wrong = "SHA256:" + "A" * 43
    error = _refused(workstation, 3, *_at(bare, workstation, "--ssh-host-key", wrong), "node1")
    assert wrong in error


def test_a_key_that_the_host_does_not_know(bare: Host, workstation: Workstation, stranger_key: str) -> None:
    _refused(workstation, 3, "--ssh-host", bare.address, "--ssh-key", stranger_key, "node1")


def test_unsupported_operating_system(bare: Host, workstation: Workstation) -> None:
    # A system of an unknown name counts by its package manager: this one has none that is known.
    bare.exec("cp -a --remove-destination $(readlink -f /etc/os-release) /etc/os-release.kept")
    bare.exec("printf 'ID=plan9\\nNAME=\"Plan 9\"\\nVERSION_ID=4\\n' > /etc/os-release.new")
    bare.exec("mv /etc/os-release /etc/os-release.link; mv /etc/os-release.new /etc/os-release")
    bare.exec("mv /usr/bin/apt-get /usr/bin/apt-get.kept")
    try:
        assert "plan9" in _refused(workstation, 3, *_at(bare, workstation), "node1")
    finally:
        bare.exec("mv /usr/bin/apt-get.kept /usr/bin/apt-get")
        bare.exec("mv /etc/os-release.link /etc/os-release; rm /etc/os-release.kept")


@pytest.mark.parametrize(
    ("text", "named"),
    [("{not json", "daemon.json"), ('{"debug": true, "debug": false}', "debug"), ("[1, 2]", "daemon.json")],
)
def test_a_daemon_json_that_cannot_be_merged(bare: Host, workstation: Workstation, text: str, named: str) -> None:
    bare.exec("mkdir -p /etc/docker; cat > /etc/docker/daemon.json", input=text)
    try:
        assert named in _refused(workstation, 3, *_at(bare, workstation), "node1")
        assert bare.exec("cat /etc/docker/daemon.json").stdout == text
    finally:
        bare.exec("rm -r /etc/docker")


def test_a_port_that_something_else_listens_on(bare: Host, workstation: Workstation) -> None:
    error = _refused(workstation, 3, *_at(bare, workstation, "--engine-port", "22"), "node1")
    assert "22" in error


def test_an_engine_version_that_no_source_has(bare: Host, workstation: Workstation) -> None:
    error = _refused(workstation, 3, *_at(bare, workstation, "--engine-install", "none"), "node1")
    assert "--engine-install" in error


def test_a_host_without_room(fresh_host: FreshHost, workstation: Workstation) -> None:
    full = fresh_host(disk_limit=400)
    full.exec("fallocate -l $(($(df --output=avail -B1 /var | tail -1) - 30000000)) /var/filler")
    error = _refused(workstation, 3, *_at(full, workstation), "node1")
    assert "room" in error or "space" in error
    assert full.exec(OURS).stdout == ""


def test_a_store_without_room(bare: Host, workstation: Workstation) -> None:
    workstation.store.mkdir(parents=True)
    place = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(workstation.store)]
    subprocess.run(place, check=True, timeout=20)
    try:
        workstation.pymachine("ls")
        with contextlib.suppress(OSError), (workstation.store / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"\0" * 4096)
        error = _refused(workstation, 1, *_at(bare, workstation), "node1")
        assert "full" in error or "space" in error or "room" in error
        (workstation.store / "filler").unlink()
        assert workstation.pymachine("ls", "-q").stdout == ""
    finally:
        subprocess.run(["umount", str(workstation.store)], check=True, timeout=20)
