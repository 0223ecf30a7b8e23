"""What cannot work as a virtual machine is refused with what, where and what to do, before anything is made."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from lab.kvm_fixtures import Virtual, kvm
from lab.tinyguest import sector, write_disk
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

FOREIGN = """<domain type='qemu'><name>vm-foreign</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"""
POOL, SMALL_POOL = "pymachine-lab-refused", "pymachine-lab-small"
Refused = Callable[..., str]


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that QEMU's user may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="pymachine-lab-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def pool(virtual: Virtual, reachable: Path) -> Iterator[Path]:
    """The folder of a pool that nobody else puts anything into."""
    folder = reachable / "pool"
    folder.mkdir()
    virtual.virsh("pool-create-as", POOL, "dir", "--target", str(folder))
    yield folder
    virtual.virsh("pool-destroy", POOL)


@pytest.fixture
def refused(vm_user: Workstation, virtual: Virtual, pool: Path) -> Refused:
    """Create with these options; it must be refused with this code, leave nothing, and say what to do."""

    def run(*options: str, code: int = 3, name: str = "vm-wrong") -> str:
        before = virtual.leftovers(name)
        if "--kvm-pool" not in options:
            options = ("--kvm-pool", POOL, *options)
        words = ["create", "-d", "kvm", *options, name] if "--kvm-image" in options else kvm(name, *options)
        done = vm_user.pymachine(*words, check=None)
        assert done.returncode == code, done.stderr
        assert "hint:" in done.stderr
        assert "Traceback" not in done.stderr
        assert virtual.leftovers(name) == before
        assert vm_user.pymachine("ls", "-q").stdout == ""
        assert list(pool.iterdir()) == []
        return done.stderr

    return run


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a folder with an image in it, on loopback."""
    write_disk(tmp_path / "tiny.img", sector("hello"), size=1 << 20)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/tiny.img"
        server.shutdown()


def test_a_file_that_is_no_image(refused: Refused, tmp_path: Path, vm_user: Workstation) -> None:
    letter = tmp_path / "letter.img"
    letter.write_text("Dear libvirt,\n" * 100)
    assert str(letter) in refused("--kvm-image", str(letter))


def test_a_checksum_that_does_not_match(refused: Refused, served: str) -> None:
    told = refused("--kvm-image", f"{served}#sha256={'0' * 64}")
    assert "0000" in told


def test_a_disk_smaller_than_its_image(refused: Refused) -> None:
    told = refused("--kvm-disk", "1G")
    assert "1" in told
    assert "3" in told


def test_a_pool_that_qemu_does_not_get_to(refused: Refused, reachable: Path) -> None:
    reachable.chmod(0o700)
    told = refused()
    assert f"u:libvirt-qemu:x {reachable}" in told


def test_more_memory_than_the_host_has(refused: Refused) -> None:
    assert "memory" in refused("--kvm-memory", "900G")


def test_a_network_that_is_not_there(refused: Refused) -> None:
    told = refused("--kvm-network", "nosuch")
    assert "'nosuch'" in told
    assert "net-list" in told


def test_a_pool_that_is_not_there(refused: Refused) -> None:
    assert "nosuch" in refused("--kvm-pool", "nosuch")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--kvm-memory", "lots"), "lots"),
        (("--kvm-disk", "-5G"), "-5G"),
        (("--kvm-mount", "somewhere"), "somewhere"),
        (("--kvm-cpus", "0"), "--kvm-cpus"),
        (("--kvm-network", "a b"), "a b"),
        (("--kvm-ssh-user", "a;b"), "a;b"),
        (("--kvm-user-data", "/nonexistent"), "/nonexistent"),
        (("--kvm-virt-type", "magic"), "magic"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_an_option_that_makes_no_sense(options: tuple[str, ...], word: str, refused: Refused) -> None:
    assert word in refused(*options, code=2)


def test_a_uri_that_libvirt_does_not_know(refused: Refused) -> None:
    assert "qemu:///nope" in refused("--kvm-uri", "qemu:///nope")


def test_the_name_of_a_domain_that_is_not_ours(
    refused: Refused, virtual: Virtual, tmp_path: Path, vm_user: Workstation
) -> None:
    definition = tmp_path / "foreign.xml"
    definition.write_text(FOREIGN)
    virtual.virsh("define", str(definition))
    try:
        assert "'vm-foreign'" in refused(name="vm-foreign")
        assert "vm-foreign" in virtual.domains()
    finally:
        virtual.virsh("undefine", "vm-foreign")


@pytest.fixture
def small_pool(reachable: Path, virtual: Virtual) -> Iterator[str]:
    """A pool on a file system of 64 MiB."""
    folder = reachable / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True, timeout=20)
    virtual.virsh("pool-create-as", SMALL_POOL, "dir", "--target", str(folder))
    yield SMALL_POOL
    virtual.virsh("pool-destroy", SMALL_POOL)
    subprocess.run(["umount", str(folder)], check=True, timeout=20)


def test_a_pool_without_room_for_the_image(refused: Refused, small_pool: str) -> None:
    told = refused("--kvm-pool", small_pool)
    assert f"'{small_pool}' has 64M free" in told
