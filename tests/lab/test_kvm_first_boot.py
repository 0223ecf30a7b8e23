"""A first boot of our own image with and without cloud-init: the same machine, whatever its seed has it do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.kvm_fixtures import kvm
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400), pytest.mark.soak(500)]

NAMES = ("vm-plain", "vm-data")
USER_DATA = "#cloud-config\nfinal_message: the owner's own\n"
# What a user, an administrator and the engine see of the machine. Left out is what differs from machine to machine,
# and what lasts one boot (/run: the engine's first start is hurried without cloud-init; a port of containerd).
LOOK = r"""
name=$(cat /etc/hostname)
show() {
    echo "== $1"
    shift
    "$@" 2>&1 | sed "s/$name/NAME/g"
}
show account getent passwd pymachine
show groups id -Gn pymachine
show keys sh -c 'stat -c "%n %U:%G %a" /home/pymachine /home/pymachine/.ssh /home/pymachine/.ssh/authorized_keys;
    wc -l </home/pymachine/.ssh/authorized_keys'
show password passwd -S pymachine
show root sh -c 'cat /root/.ssh/authorized_keys 2>/dev/null | grep -c ^ssh-'
show sudo sudo -l -U pymachine
show name sh -c 'hostname; getent hosts "$(hostname)"'
show hosts grep -v -e '^#' -e '^$' /etc/hosts
show host-keys sh -c 'stat -c "%n %U:%G %a" /etc/ssh/ssh_host_*'
show network sh -c 'ip -br link | cut -d" " -f1; networkctl list --no-legend | sed "s/ \+/ /g"'
show apt apt-config dump DPkg::Lock::Timeout
show disk sh -c 'lsblk -nro NAME,SIZE,MOUNTPOINTS /dev/vda; df -B1 --output=size /'
show engine sh -c 'cat /etc/docker/daemon.json; find /etc/docker /var/lib/pymachine -not -path "*/backup/*" \
    -not -name instance-id | sort | xargs stat -c "%n %U:%G %a"'
show unit sh -c 'cat /usr/lib/systemd/system/docker.service /etc/systemd/system/docker.service.d/*;
    systemctl is-enabled docker.service docker.socket'
show listening sh -c 'ss -Hltn | sed "s/ \+/ /g" | cut -d" " -f4 | sed "s/^127.0.0.1:.*/containerd/" | sort'
show failed systemctl --failed --no-legend
"""


@pytest.fixture(scope="module")
def machines(vm_users: Workstation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    """Two machines of one image, of which the second has user-data of its owner's."""
    theirs = tmp_path_factory.mktemp("data") / "user.yaml"
    theirs.write_text(USER_DATA)
    vm_users.pymachine(*kvm(NAMES[0]))
    vm_users.pymachine(*kvm(NAMES[1], "--kvm-user-data", str(theirs)))
    yield vm_users
    vm_users.pymachine("rm", "-f", "-y", *NAMES, check=None)


def look(machines: Workstation, name: str, script: str) -> str:
    return machines.pymachine("ssh", name, "--", f"sudo sh -c {_quoted(script)}").stdout


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"


def test_what_the_seed_holds_decides(machines: Workstation) -> None:
    began = [look(machines, name, "systemctl is-active cloud-init.target || :").strip() for name in NAMES]
    assert began == ["inactive", "active"]
    assert "the owner" in look(machines, NAMES[1], "cloud-init status --wait >/dev/null; cat /var/log/cloud-init.log")


def test_both_ways_leave_the_same_machine(machines: Workstation) -> None:
    plain, data = (look(machines, name, LOOK) for name in NAMES)
    assert plain == data
    assert "== failed" in plain.splitlines()[-1]


def test_a_second_boot_does_nothing_again_and_the_engine_is_back(machines: Workstation) -> None:
    machines.pymachine("restart", NAMES[0])
    machines.docker(NAMES[0], "version")
    assert look(machines, NAMES[0], "journalctl -b -u pymachine-first-boot -q").strip() == ""
    assert look(machines, NAMES[0], "systemctl is-active cloud-init.target || :").strip() == "inactive"
    assert look(machines, NAMES[0], "systemctl --failed --no-legend").strip() == ""


def test_another_kernel_gets_an_initrd_like_it(machines: Workstation) -> None:
    """It holds the same files: none that only a machine which knows its disk would add (fsck)."""
    files = "lsinitramfs /boot/initrd.img-* | sort"
    before = look(machines, NAMES[0], files)
    look(machines, NAMES[0], "update-initramfs -u -k all")
    assert look(machines, NAMES[0], files) == before


def test_a_file_system_with_errors_on_record_is_checked_before_it_is_written_to(machines: Workstation) -> None:
    """systemd has the root file system checked, and boots once more where that mended something."""
    state = "dumpe2fs -h /dev/vda1 2>/dev/null | sed -n 's/^Filesystem state: *//p'"
    look(machines, NAMES[0], "tune2fs -E force_fsck /dev/vda1")
    assert look(machines, NAMES[0], state) == "clean with errors\n"
    machines.pymachine("restart", NAMES[0])
    assert look(machines, NAMES[0], state) == "clean\n"
    assert look(machines, NAMES[0], "findmnt -no OPTIONS /").startswith("rw")
