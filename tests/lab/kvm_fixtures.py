"""Pytest fixtures for virtual machines: a libvirt that answers, an image of our own, a user with neither."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import tinyhost
from lab.client import docker_cli
from lab.fixtures import impossible
from lab.ident import cache_dir, locked
from lab.libvirtd import URI, running
from lab.prepare import require_root
from lab.readymachine import ReadyMachine
from lab.sh import LabError
from lab.tinyhost import StandIn
from lab.virtual_leftovers import swept
from lab.workstation import Workstation
from pymachine_kvm.base_images import MARK, base_names
from pymachine_kvm.images import debian
from pymachine_kvm.images.cache import digest_of

__all__ = [
    "engine_image",
    "libvirt_daemon",
    "ready_machine",
    "stand_in",
    "tiny_user",
    "virtual",
    "vm_user",
    "vm_users",
]

IMAGE = "debian-13-docker"
BUILD_DEADLINE = 900


class Virtual:
    """What is to be seen of libvirt from outside, by its own command line tool."""

    def virsh(self, *words: str, check: bool = True) -> str:
        """Run virsh and return what it printed."""
        done = subprocess.run(
            ["virsh", "-c", URI, *words], capture_output=True, text=True, timeout=180, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"virsh {' '.join(words)}: {done.stderr}"
        return done.stdout

    def domains(self) -> set[str]:
        """The names of all domains, running or not."""
        return set(self.virsh("list", "--all", "--name").split())

    def volumes(self) -> set[str]:
        """The names of the volumes of pool default, without the bases that machines share."""
        listed = self.virsh("vol-list", "default", check=False).splitlines()[2:]
        names = {line.split()[0] for line in listed if line.split()}
        return {name for name in names if not name.startswith("pymachine-base-")}

    def bases(self) -> dict[str, os.stat_result]:
        """The base images in pool default, with the state of their files."""
        listed = self.virsh("vol-list", "default", check=False).splitlines()[2:]  # the first machine makes the pool
        paths = [Path(line.split()[1]) for line in listed if line.startswith(" pymachine-base-")]
        return {path.name: path.stat() for path in paths}

    def drop_bases(self, disk: Path) -> None:
        """Remove from the pool what was made of an image of a test's own."""
        for name in set(self.bases()) & {name for own in base_names(digest_of(disk)) for name in (own, own + MARK)}:
            self.virsh("vol-delete", "--pool", "default", name)

    def reservations(self, network: str = "default") -> set[str]:
        """The lines of a network that give a machine its address."""
        text = self.virsh("net-dumpxml", network, check=False)
        return {line.strip() for line in text.splitlines() if "<host mac=" in line}

    def leftovers(self, *names: str, network: str = "default") -> dict[str, set[str]]:
        """Everything that machines of these names may leave behind, of any name where none is given.

        Tests that run beside others name theirs.
        """
        logs = {path.name for path in Path("/var/log/libvirt/qemu").glob("*console*")}
        nvram = {path.name for path in Path("/var/lib/libvirt/qemu/nvram").glob("*")}
        found = {
            "domains": self.domains(),
            "volumes": self.volumes(),
            "reservations": self.reservations(network),
            "console logs": logs,
            "firmware variables": nvram,
        }
        return {kind: {one for one in there if _is_of(one, names)} for kind, there in found.items()}


def _is_of(leftover: str, names: tuple[str, ...]) -> bool:
    """Whether a domain, file or reservation is of a machine with one of these names."""
    return not names or any(
        leftover == name or leftover.startswith((f"{name}-", f"{name}_")) or f"name='{name}'" in leftover
        for name in names
    )


@pytest.fixture(scope="session")
def libvirt_daemon() -> Iterator[str]:
    """The URI of a system daemon that answers; nothing of an earlier run's machines is left there."""
    try:
        require_root()
        with running(), swept(Virtual()):
            yield URI
    except LabError as error:
        impossible(error)


@pytest.fixture(scope="session")
def virtual(libvirt_daemon: str) -> Virtual:
    """libvirt, as its own tools show it."""
    return Virtual()


def _user(folder: Path, images: Path | None = None) -> Workstation:
    folder.mkdir(exist_ok=True)
    return Workstation(folder, docker_cli(), folder / "no-key", {"PYMACHINE_IMAGES": str(images or shelf())})


def shelf() -> Path:
    """The folder of the images that tests share: built once on a machine from one recipe."""
    return cache_dir() / f"shelf-{_recipe()}"


def _recipe() -> str:
    """A name for all that an image is made of, and how."""
    total = hashlib.sha256()
    for path in sorted(Path(debian.__file__).parent.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()[:12]


def build_log() -> Path:
    """What the command printed that built the image."""
    return cache_dir() / "image-build.log"


def build_folder() -> Path:
    """Where it worked; empty afterwards."""
    return cache_dir() / "image-build"


@pytest.fixture(scope="session")
def engine_image(libvirt_daemon: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of an image with the engine inside, built by ``pymachine image build`` unless it is there."""
    return ensure_image(tmp_path_factory.mktemp("builder"))


def ensure_image(folder: Path) -> str:
    """Return the image's name, built now unless it is there; two who ask at once build it once."""
    user = _user(folder)
    with locked(cache_dir() / ".image.lock", seconds=BUILD_DEADLINE):
        if IMAGE not in user.pymachine("image", "ls").stdout:
            _build(user)
    return IMAGE


def _build(user: Workstation) -> None:
    build_folder().mkdir(exist_ok=True)
    words = ["image", "build", "debian-13", "--with-engine", "--name", IMAGE]
    done = subprocess.run(
        user.command(*words), env={**user.env(), "TMPDIR": str(build_folder())}, stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, timeout=BUILD_DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    build_log().write_text(done.stderr)


@pytest.fixture
def vm_user(engine_image: str, tmp_path: Path) -> Workstation:
    """A user with an empty store, who has the image."""
    return _user(tmp_path / "user")


@pytest.fixture(scope="module")
def vm_users(engine_image: str, tmp_path_factory: pytest.TempPathFactory) -> Workstation:
    """The same for a whole module: its tests share machines, of which each boot takes a minute."""
    return _user(tmp_path_factory.mktemp("user") / "user")


@pytest.fixture
def tiny_user(virtual: Virtual, tmp_path: Path) -> Iterator[Workstation]:
    """A user with an empty store and the image of one boot sector: see ``lab.tinyhost``. No machine of it stays."""
    images = tmp_path / "images"
    tinyhost.put_image(images)
    user = _user(tmp_path / "user", images)
    yield user
    user.pymachine("rm", "-f", "-y", *user.states(), check=None)
    virtual.drop_bases(images / f"{tinyhost.IMAGE}.img")


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """What answers for guests of one boot sector."""
    stand_in = StandIn()
    yield stand_in
    stand_in.close()


@pytest.fixture(scope="module")
def ready_machine(
    engine_image: str, virtual: Virtual, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., ReadyMachine]]:
    """A machine as a real create of this run left it, restored: ready_machine(name, *options of create).

    The first call makes it; each later one puts it back, whatever was done to it. Gone after the module.
    """
    made: dict[str, ReadyMachine] = {}

    def ready(name: str, *options: str) -> ReadyMachine:
        if name in made:
            made[name].restore()
        else:
            folder = tmp_path_factory.mktemp(name)
            made[name] = ReadyMachine.create(name, _user(folder / "user"), folder / "saved", kvm(name, *options))
        return made[name]

    yield ready
    for machine in made.values():
        machine.user.pymachine("rm", "-f", "-y", machine.name, check=None)


def kvm(name: str, *options: str) -> list[str]:
    """The words of a create on the image with the engine inside."""
    return ["create", "-d", "kvm", "--kvm-image", IMAGE, *options, name]
