"""A virtual machine's life under real libvirt and QEMU: made, used, switched off and on, kept, grown, and gone.

The machine is made once, by a create that is followed from power-on. The tests that change it begin with it as that
create left it, restored; what boots it again is one test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.libvirt_objects import own_network
from lab.images import rootfs
from lab.kvm_fixtures import Virtual
from lab.libvirtd import URI
from lab.readymachine import ReadyMachine
from lab.workstation import Workstation
from pymachine_kvm.libvirt_api import connect

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

NAME, CLONE = "vm-life", "vm-twin"
MIB = 1 << 20
OPTIONS = ("--kvm-memory", "1536", "--kvm-disk", "8G", "--kvm-cpus", "1")
Ready = Callable[..., ReadyMachine]


@pytest.fixture(scope="module")
def network(virtual: Virtual) -> Iterator[str]:
    """A network that is defined and down; the default one has other tests' machines on it."""
    with connect(URI) as connection, own_network(connection) as network:
        yield network.name()


@pytest.fixture(scope="module")
def made(network: str, ready_machine: Ready) -> ReadyMachine:
    """The machine, for tests that only look at it."""
    return ready_machine(NAME, *OPTIONS, "--kvm-network", network)


@pytest.fixture(scope="module")
def user(made: ReadyMachine) -> Workstation:
    return made.user


@pytest.fixture
def restored(made: ReadyMachine, ready_machine: Ready) -> Workstation:
    """The user of the machine as its create left it."""
    return ready_machine(NAME).user


def containers(user: Workstation) -> list[str]:
    return user.docker(NAME, "ps", "-a", "--format", "{{.Names}}").stdout.split()


def in_guest(user: Workstation, script: str, name: str = NAME) -> str:
    return user.pymachine("ssh", name, "--", script).stdout.strip()


def run_steady(user: Workstation) -> None:
    user.docker(NAME, "import", str(rootfs()), "busybox")
    user.docker(NAME, "run", "-d", "--name", "steady", "--restart", "always", "busybox", "sleep", "100000")


def test_its_engine_answers_and_runs_a_container(user: Workstation) -> None:
    user.docker(NAME, "import", str(rootfs()), "busybox")
    assert user.docker(NAME, "run", "--rm", "busybox", "echo", "hello from inside").stdout == "hello from inside\n"
    assert user.states() == {NAME: "Running"}


def test_the_console_shows_on_debug_and_phases_always(made: ReadyMachine) -> None:
    assert "booting: kernel" in made.told
    assert "Linux version" in made.told
    assert "PRIVATE KEY" not in made.told


def test_the_address_was_reserved_before_it_booted(user: Workstation, virtual: Virtual, network: str) -> None:
    record = user.inspect(NAME)
    reserved = [line for line in virtual.reservations(network) if NAME in line]
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


def test_a_snapshot_of_a_running_machine_brings_back_what_was_removed(restored: Workstation) -> None:
    run_steady(restored)
    restored.pymachine("snapshot", "create", NAME, "good")
    restored.docker(NAME, "rm", "-f", "steady")
    restored.docker(NAME, "create", "--name", "regret", "busybox", "true")
    assert containers(restored) == ["regret"]
    restored.pymachine("snapshot", "restore", "-y", NAME, "good")
    assert containers(restored) == ["steady"]
    assert "good" in restored.pymachine("snapshot", "ls", NAME).stdout
    restored.pymachine("snapshot", "rm", NAME, "good")
    assert "good" not in restored.pymachine("snapshot", "ls", NAME).stdout


def test_paused_behind_our_back_it_is_shown_so_and_start_wakes_it(restored: Workstation, virtual: Virtual) -> None:
    virtual.virsh("suspend", NAME)
    assert restored.states() == {NAME: "Paused"}
    restored.pymachine("start", NAME)
    assert restored.states() == {NAME: "Running"}


def test_stopped_and_grown_it_comes_back_as_it_was_and_larger(
    restored: Workstation, virtual: Virtual, network: str
) -> None:
    """Address, certificates and containers are kept, its network comes up with it, and the console has both boots."""
    user, before = restored, restored.inspect(NAME)
    run_steady(user)
    user.pymachine("stop", NAME)
    assert user.states() == {NAME: "Stopped"}
    virtual.virsh("net-destroy", network)
    user.pymachine("resize", NAME, "--memory", "1G", "--disk", "10G")
    user.pymachine("start", NAME)
    after = user.inspect(NAME)
    assert after["endpoint"] == before["endpoint"]
    assert after["certificates"] == before["certificates"]
    assert user.docker(NAME, "inspect", "-f", "{{.State.Running}}", "steady").stdout == "true\n"
    assert int(in_guest(user, "df -B1 --output=size / | tail -1")) > 9000 * MIB
    assert int(in_guest(user, "awk '/MemTotal/ { print $2 }' /proc/meminfo")) < 1024 * 1024
    assert user.pymachine("console", NAME).stdout.count("Linux version") >= 2


@pytest.mark.soak(170)
def test_killed_it_is_off_and_restart_brings_it_back(restored: Workstation) -> None:
    run_steady(restored)
    in_guest(restored, "sync")  # dockerd's note that it runs is a file's new name, which the disk has seconds later
    restored.pymachine("kill", NAME)
    assert restored.states() == {NAME: "Stopped"}
    restored.pymachine("restart", NAME)
    assert restored.docker(NAME, "inspect", "-f", "{{.State.Running}}", "steady").stdout == "true\n"


@pytest.mark.soak(180)
def test_a_clone_is_a_machine_of_its_own(restored: Workstation, virtual: Virtual, network: str) -> None:
    """Its first boot is cloud-init's: what tells machines apart is its own, what was on the disk is there."""
    whoami = "hostname; cat /etc/machine-id /etc/ssh/ssh_host_*_key.pub; sudo cat /var/lib/docker/engine-id"
    source = in_guest(restored, whoami)
    in_guest(restored, "echo kept | sudo tee /srv/kept")
    restored.pymachine("stop", NAME)
    restored.pymachine("clone", NAME, CLONE)
    clone = in_guest(restored, whoami, CLONE)
    assert clone.splitlines()[0] == CLONE
    assert not set(clone.splitlines()) & set(source.splitlines())
    assert in_guest(restored, "cat /srv/kept", CLONE) == "kept"
    assert restored.docker(CLONE, "version", "--format", "{{.Server.Os}}").stdout == "linux\n"
    restored.pymachine("rm", "-y", CLONE)
    assert not any(virtual.leftovers(CLONE, network=network).values())


def test_rm_leaves_the_host_as_it_was(restored: Workstation, virtual: Virtual, network: str) -> None:
    assert virtual.leftovers(NAME, network=network)["domains"] == {NAME}
    restored.pymachine("rm", "-y", NAME)
    assert not any(virtual.leftovers(NAME, network=network).values())
    assert restored.pymachine("ls", "-q").stdout == ""
