"""A machine of somebody without root: qemu:///session, reached through ports on loopback; libvirt dies meanwhile.

In each run with a guest of one boot sector, which has no network: it is never reached. The soak has a whole Debian.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import tinyhost
from lab.client import docker_cli
from lab.images import rootfs
from lab.kvm_fixtures import kvm, shelf

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

ACCOUNT = "nobody"
NAME, TINY = "vm-own", "vm-own-tiny"


class Ordinary:
    """An account without rights, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.account = pwd.getpwnam(ACCOUNT)
        for part in ("home", "run", "images"):
            (folder / part).mkdir(mode=0o700)
            os.chown(folder / part, self.account.pw_uid, self.account.pw_gid)

    def command(self, *words: str) -> list[str]:
        """The command line that does it as that account, with nothing of ours in the environment."""
        environ = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "LIBVIRT_DEFAULT_URI": "qemu:///session",
            "XDG_RUNTIME_DIR": str(self.folder / "run"), "PYMACHINE_IMAGES": str(self.folder / "images"),
        }  # fmt: skip
        account = ["setpriv", f"--reuid={self.account.pw_uid}", f"--regid={self.account.pw_gid}", "--clear-groups"]
        # The Python that runs these tests may lie in a folder of root's: it can be read there, and nothing else.
        account += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        return [*account, "env", "-i", *(f"{k}={v}" for k, v in environ.items()), *words]

    def pymachine(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run pymachine as that account."""
        own = str(Path(sys.executable).with_name("pymachine"))
        return subprocess.run(
            self.command(own, *words), capture_output=True, text=True, timeout=600, check=False,
            stdin=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip

    def daemons(self) -> list[int]:
        """The processes of the account's own libvirt."""
        found = subprocess.run(
            ["pgrep", "-u", ACCOUNT, "libvirtd|virtlogd|virtqemud"], capture_output=True, text=True
        )
        return [int(pid) for pid in found.stdout.split()]


@pytest.fixture(scope="module")
def person() -> Iterator[Ordinary]:
    folder = Path(f"/var/tmp/pymachine-session-{os.getpid()}")
    folder.mkdir(mode=0o711)
    try:
        person = Ordinary(folder)
        yield person
        person.pymachine("rm", "-f", "-y", NAME, TINY)
    finally:
        for pid in person.daemons():
            os.kill(pid, signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


def _give(person: Ordinary, image: str, images: Path) -> None:
    """Put an image on the account's own shelf."""
    for ending in (".img", ".json"):
        copy = person.folder / "images" / f"{image}{ending}"
        shutil.copy2(images / copy.name, copy)
        os.chown(copy, person.account.pw_uid, person.account.pw_gid)


@pytest.fixture(scope="module")
def engine_create(person: Ordinary, engine_image: str) -> list[str]:
    """The words that make a whole machine."""
    _give(person, engine_image, shelf())
    return kvm(NAME, "--kvm-memory", "1536", "--kvm-cpus", "1")


@pytest.fixture
def tiny_create(person: Ordinary, tmp_path: Path) -> list[str]:
    """The words that make a guest of one boot sector."""
    tinyhost.put_image(tmp_path / "images")
    _give(person, tinyhost.IMAGE, tmp_path / "images")
    return tinyhost.kvm(TINY)


@contextmanager
def creating(person: Ordinary, create: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Give the command as that account, and stand where its guest has begun to boot."""
    own = str(Path(sys.executable).with_name("pymachine"))
    with subprocess.Popen(
        person.command(own, *create), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, stdin=subprocess.DEVNULL, cwd="/",
    ) as process:  # fmt: skip
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if "booting" in line:
                break
        assert "booting" in seen, seen
        yield process


def _kill_libvirt(person: Ordinary, create: list[str]) -> None:
    """Kill the account's libvirt under its create, which says so and how to go on."""
    with creating(person, create) as process:
        subprocess.run(["pkill", "-KILL", "-u", ACCOUNT, "-x", "libvirtd"], check=True)
        assert process.stderr is not None
        seen = process.stderr.read()
        assert process.wait(120) == 1, seen
    assert "libvirt was lost" in seen, seen
    assert "run the command again" in seen or "run the same command again" in seen


def _nothing_left(person: Ordinary, name: str) -> None:
    left = [path.name for path in (person.folder / "home").rglob("*") if path.name.startswith(name)]
    assert left == [f"{name}.log"], "libvirt's own log of QEMU, which it keeps of every domain"
    guests = ["pgrep", "-u", ACCOUNT, "qemu-system"]
    end = time.monotonic() + 10  # QEMU's process is reaped a moment after libvirt calls it gone
    while subprocess.run(guests, capture_output=True).returncode == 0:
        assert time.monotonic() < end, "a guest runs on"
        time.sleep(0.1)


def test_libvirt_may_die_under_a_create_which_goes_on_and_rm_leaves_nothing(
    person: Ordinary, tiny_create: list[str]
) -> None:
    _kill_libvirt(person, tiny_create)
    with creating(person, tiny_create) as process:  # with the same guest, which ran on and still tells its boot
        process.kill()
    assert person.pymachine("ls", "-q").stdout == f"{TINY}\n"
    removed = person.pymachine("rm", "-y", TINY)
    assert removed.returncode == 0, removed.stderr
    _nothing_left(person, TINY)


@pytest.mark.soak(150)
class TestWholeDebian:
    """One machine, in the order of its life."""

    def test_libvirt_may_die_in_the_middle_and_the_create_goes_on(
        self, person: Ordinary, engine_create: list[str]
    ) -> None:
        _kill_libvirt(person, engine_create)
        again = person.pymachine(*engine_create)
        assert again.returncode == 0, again.stderr
        assert "tcp://127.0.0.1:" in again.stdout

    def test_its_engine_answers_on_loopback(self, person: Ordinary) -> None:
        told = person.pymachine("env", "--shell", "sh", NAME)
        assert told.returncode == 0, told.stderr
        script = (
            f'{told.stdout}\n"$0" import {rootfs()} busybox >/dev/null && "$0" run --rm busybox echo from a session'
        )
        done = subprocess.run(
            person.command("sh", "-c", script, str(docker_cli())), capture_output=True, text=True, timeout=180,
            check=False, cwd="/",
        )  # fmt: skip
        assert done.stdout == "from a session\n", done.stderr

    def test_ssh_leads_in_and_rm_leaves_nothing(self, person: Ordinary) -> None:
        assert person.pymachine("ssh", NAME, "--", "hostname").stdout == f"{NAME}\n"
        record = json.loads(person.pymachine("inspect", NAME).stdout)
        assert person.pymachine("rm", "-y", NAME).returncode == 0
        assert record["ssh"]["host"] == "127.0.0.1"
        _nothing_left(person, NAME)
