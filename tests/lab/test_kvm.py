"""A virtual machine's life under real libvirt and QEMU: made, used, switched off and on, kept, grown, and gone.

The tests are one story told in order: a boot takes most of a minute where it is emulated.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.images import rootfs
from lab.kvm_fixtures import Virtual, kvm
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

NAME = "vm-life"
MIB = 1 << 20


@pytest.fixture(scope="module")
def before(virtual: Virtual) -> dict[str, set[str]]:
    return virtual.leftovers()


@pytest.fixture(scope="module")
def told(before: object, vm_users: Workstation) -> Iterator[str]:
    """What the create of the machine printed."""
    done = vm_users.pymachine("--debug", *kvm(NAME, "--kvm-memory", "1536", "--kvm-disk", "8G"))
    yield done.stdout + done.stderr
    vm_users.pymachine("rm", "-y", NAME, check=None)


@pytest.fixture(scope="module")
def user(told: str, vm_users: Workstation) -> Workstation:
    return vm_users


def containers(user: Workstation) -> list[str]:
    return user.docker(NAME, "ps", "-a", "--format", "{{.Names}}").stdout.split()


def in_guest(user: Workstation, script: str) -> str:
    return user.pymachine("ssh", NAME, "--", script).stdout.strip()


def test_its_engine_answers_and_runs_a_container(user: Workstation) -> None:
    user.docker(NAME, "import", str(rootfs()), "busybox")
    assert user.docker(NAME, "run", "--rm", "busybox", "echo", "hello from inside").stdout == "hello from inside\n"
    assert user.states() == {NAME: "Running"}


def test_the_console_shows_on_debug_and_phases_always(told: str) -> None:
    assert "booting: kernel" in told
    assert "Linux version" in told
    assert "PRIVATE KEY" not in told


def test_the_address_was_reserved_before_it_booted(user: Workstation, virtual: Virtual) -> None:
    record = user.inspect(NAME)
    reserved = [line for line in virtual.reservations() if NAME in line]
    assert len(reserved) == 1
    assert f"ip='{record['ssh']['host']}'" in reserved[0]
    assert record["endpoint"]["host"] == record["ssh"]["host"]


def test_the_host_key_is_ours_and_no_other_is_there(user: Workstation) -> None:
    shown = in_guest(user, "cat /etc/ssh/ssh_host_*_key.pub")
    assert len(shown.splitlines()) == 1
    assert shown.split()[:2] == user.inspect(NAME)["ssh"]["host_key"].split()[:2]


def test_the_seed_that_stays_holds_no_secret(user: Workstation, virtual: Virtual) -> None:
    handle = user.inspect(NAME)["handle"]
    path = Path(virtual.virsh("vol-path", "--pool", "default", handle["seed"]).strip())
    content = path.read_bytes()
    assert b"instance-id" in content
    assert b"PRIVATE KEY" not in content
    assert b"server-key" not in content


def test_the_engine_of_the_image_was_not_installed_again(user: Workstation) -> None:
    assert in_guest(user, "ls /var/lib/apt/lists 2>/dev/null | grep -c Packages; true") == "0"
    assert in_guest(user, "hostname; id -nG").split() == [NAME, "pymachine", "docker"]


def test_it_is_like_new_apart_from_its_name(user: Workstation) -> None:
    """An image is sealed: its machines have a machine-id and an engine id of their own, and a disk as asked."""
    assert len(in_guest(user, "cat /etc/machine-id")) == 32
    assert in_guest(user, "sudo test -s /var/lib/docker/engine-id && echo there") == "there"
    assert int(in_guest(user, "df -B1 --output=size / | tail -1")) > 7000 * MIB


def test_stop_and_start_keep_address_and_certificates(user: Workstation) -> None:
    before = user.inspect(NAME)
    user.docker(NAME, "run", "-d", "--name", "steady", "--restart", "always", "busybox", "sleep", "100000")
    user.pymachine("stop", NAME)
    assert user.states() == {NAME: "Stopped"}
    user.pymachine("start", NAME)
    after = user.inspect(NAME)
    assert after["endpoint"] == before["endpoint"]
    assert after["certificates"] == before["certificates"]
    assert user.docker(NAME, "inspect", "-f", "{{.State.Running}}", "steady").stdout == "true\n"


def test_a_snapshot_of_a_running_machine_brings_back_what_was_removed(user: Workstation) -> None:
    user.pymachine("snapshot", "create", NAME, "good")
    user.docker(NAME, "rm", "-f", "steady")
    user.docker(NAME, "create", "--name", "regret", "busybox", "true")
    assert containers(user) == ["regret"]
    user.pymachine("snapshot", "restore", "-y", NAME, "good")
    assert containers(user) == ["steady"]
    assert "good" in user.pymachine("snapshot", "ls", NAME).stdout
    user.pymachine("snapshot", "rm", NAME, "good")
    assert "good" not in user.pymachine("snapshot", "ls", NAME).stdout


def test_paused_behind_our_back_it_is_shown_so_and_start_wakes_it(user: Workstation, virtual: Virtual) -> None:
    virtual.virsh("suspend", NAME)
    assert user.states() == {NAME: "Paused"}
    user.pymachine("start", NAME)
    assert user.states() == {NAME: "Running"}


def test_killed_and_grown_it_comes_back_larger_with_its_network(user: Workstation, virtual: Virtual) -> None:
    user.pymachine("kill", NAME)
    assert user.states() == {NAME: "Stopped"}
    virtual.virsh("net-destroy", "default")
    user.pymachine("resize", NAME, "--memory", "1G", "--disk", "10G")
    user.pymachine("restart", NAME)
    assert user.docker(NAME, "version", "--format", "{{.Server.Os}}").stdout == "linux\n"
    assert int(in_guest(user, "df -B1 --output=size / | tail -1")) > 9000 * MIB
    assert int(in_guest(user, "awk '/MemTotal/ { print $2 }' /proc/meminfo")) < 1024 * 1024


def test_the_console_tells_the_whole_story(user: Workstation) -> None:
    assert user.pymachine("console", NAME).stdout.count("Linux version") >= 3


def test_rm_leaves_the_host_as_it_was(user: Workstation, virtual: Virtual, before: dict[str, set[str]]) -> None:
    user.pymachine("rm", "-y", NAME)
    assert virtual.leftovers() == before
    assert user.pymachine("ls", "-q").stdout == ""
