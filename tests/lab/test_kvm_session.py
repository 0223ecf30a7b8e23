"""A machine of somebody without root: qemu:///session, reached through ports on loopback; libvirt dies meanwhile."""

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
from pathlib import Path

import pytest

from lab.client import docker_cli
from lab.images import rootfs
from lab.kvm_fixtures import IMAGE, kvm, shelf

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

ACCOUNT = "nobody"
NAME = "vm-own"


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
def person(engine_image: str) -> Iterator[Ordinary]:
    folder = Path(f"/var/tmp/pymachine-session-{os.getpid()}")
    folder.mkdir(mode=0o711)
    try:
        person = Ordinary(folder)
        for ending in (".img", ".json"):
            copy = folder / "images" / f"{IMAGE}{ending}"
            shutil.copy2(shelf() / copy.name, copy)
            os.chown(copy, person.account.pw_uid, person.account.pw_gid)
        yield person
        person.pymachine("rm", "-f", "-y", NAME)
    finally:
        for pid in person.daemons():
            os.kill(pid, signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


def test_libvirt_may_die_in_the_middle_and_the_create_goes_on(person: Ordinary) -> None:
    own = str(Path(sys.executable).with_name("pymachine"))
    with subprocess.Popen(
        person.command(own, *kvm(NAME, "--kvm-memory", "1536")), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, stdin=subprocess.DEVNULL, cwd="/",
    ) as process:  # fmt: skip
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if "booting" in line:
                subprocess.run(["pkill", "-KILL", "-u", ACCOUNT, "-x", "libvirtd"], check=True)
                break
        seen += process.stderr.read()
        assert process.wait(120) == 1, seen
    assert "libvirt went away" in seen, seen
    assert "give the command again" in seen or "give the same command again" in seen
    again = person.pymachine(*kvm(NAME, "--kvm-memory", "1536"))
    assert again.returncode == 0, again.stderr
    assert "tcp://127.0.0.1:" in again.stdout


def test_its_engine_answers_on_loopback(person: Ordinary) -> None:
    told = person.pymachine("env", "--shell", "sh", NAME)
    assert told.returncode == 0, told.stderr
    script = f'{told.stdout}\n"$0" import {rootfs()} busybox >/dev/null && "$0" run --rm busybox echo from a session'
    done = subprocess.run(
        person.command("sh", "-c", script, str(docker_cli())), capture_output=True, text=True, timeout=180,
        check=False, cwd="/",
    )  # fmt: skip
    assert done.stdout == "from a session\n", done.stderr


def test_ssh_leads_in_and_rm_leaves_nothing(person: Ordinary) -> None:
    assert person.pymachine("ssh", NAME, "--", "hostname").stdout == f"{NAME}\n"
    record = json.loads(person.pymachine("inspect", NAME).stdout)
    assert person.pymachine("rm", "-y", NAME).returncode == 0
    left = [path.name for path in (person.folder / "home").rglob("*") if path.name.startswith(NAME)]
    assert left == [f"{NAME}.log"], "libvirt's own log of QEMU, which it keeps of every domain"
    assert record["ssh"]["host"] == "127.0.0.1"
    time.sleep(0.5)
    assert subprocess.run(["pgrep", "-u", ACCOUNT, "qemu-system"], capture_output=True).returncode == 1
