"""Pytest fixtures for what users do with the lab's hosts: workstations, a terminal, the course's machines."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.client import compose_binary, compose_plugin, docker_cli
from lab.core import Lab
from lab.fleets import with_image
from lab.host import Host
from lab.images import rootfs
from lab.options import HostSpec
from lab.registry import Registry
from lab.workstation import Workstation

__all__ = [
    "compose",
    "course_created",
    "course_debug_output",
    "course_host",
    "course_machine",
    "second_machine",
    "second_workstation",
    "stranger_key",
    "three_hosts",
    "trio",
    "typed",
    "workstation",
]

COURSE = "course"
# A host with an engine keeps its name unless asked.
NAMED = ("--set-hostname",)
ECHO_PAUSE = 0.3  # seconds for a program to switch the terminal's echo off after its question


def _workstation(lab: Lab, folder: Path) -> Workstation:
    folder.mkdir(exist_ok=True)
    return Workstation(folder, docker_cli(), lab.key)


@pytest.fixture
def workstation(lab_session: Lab, tmp_path: Path) -> Workstation:
    """A user with an empty store."""
    return _workstation(lab_session, tmp_path / "user")


@pytest.fixture
def second_workstation(lab_session: Lab, tmp_path: Path) -> Workstation:
    """Another user, who shares nothing with the first."""
    return _workstation(lab_session, tmp_path / "other")


@pytest.fixture(scope="session")
def course_host(lab_session: Lab) -> Iterator[Host]:
    """The host of the course's machine; it has an engine, since the set-up of a bare one is proved elsewhere."""
    host = lab_session.boot("course-host", engine=True)
    yield host
    host.destroy()


@pytest.fixture(scope="session")
def course_created(
    lab_session: Lab, course_host: Host, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workstation, str]:
    user = _workstation(lab_session, tmp_path_factory.mktemp("course"))
    key = ("--ssh-key", str(user.key), "--engine-insecure-registry", registry.address)
    made = user.pymachine("--debug", "create", "-d", "ssh", "--ssh-host", course_host.address, *key, *NAMED, COURSE)
    return user, made.stdout + made.stderr


@pytest.fixture(scope="session")
def course_machine(course_created: tuple[Workstation, str]) -> tuple[Workstation, str]:
    """A ready machine that may pull from the lab's registry: its user and its name."""
    return course_created[0], COURSE


@pytest.fixture(scope="session")
def course_debug_output(course_created: tuple[Workstation, str]) -> str:
    """All that its create printed with --debug."""
    return course_created[1]


@pytest.fixture(scope="session")
def second_machine(lab_session: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workstation, str]]:
    """A machine with other certificates: a stranger to the course's."""
    user = _workstation(lab_session, tmp_path_factory.mktemp("stranger"))
    host = lab_session.boot("stranger-host", engine=True)
    user.create("stranger", host.address)
    yield user, "stranger"
    host.destroy()


class Trio:
    """Three hosts with an engine, an image, and nothing of ours, that modules use one after another."""

    NAMES = ("mgr", "one", "two")
    CLEAN = "inactive\n"

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._hosts: dict[str, Host] = {}

    def hosts(self) -> dict[str, Host]:
        """The hosts by name: those of before if whoever had them left them as they were."""
        if not (self._hosts and all(map(self._is_clean, self._hosts.values()))):
            self.destroy()
            busybox = {"/root/busybox.tar": (rootfs().read_bytes(), 0o644)}
            specs = [HostSpec(name, engine=True, files=busybox) for name in self.NAMES]
            self._hosts = dict(zip(self.NAMES, self._lab.boot_many(specs), strict=True))
            with_image(list(self._hosts.values()))
        return self._hosts

    def _is_clean(self, host: Host) -> bool:
        looks = "docker info --format '{{.Swarm.LocalNodeState}}'; ls /var/lib/pymachine 2>/dev/null; docker ps -aq"
        return host.running and host.exec(looks, check=False).stdout == self.CLEAN

    def destroy(self) -> None:
        """Remove them."""
        for host in self._hosts.values():
            host.destroy()
        self._hosts = {}


@pytest.fixture(scope="session")
def trio(lab_session: Lab) -> Iterator[Trio]:
    made = Trio(lab_session)
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def three_hosts(trio: Trio) -> dict[str, Host]:
    """Three hosts with an engine and an image: mgr, one, two. A module leaves them as it found them."""
    return trio.hosts()


@pytest.fixture(scope="session")
def compose(course_machine: tuple[Workstation, str]) -> Callable[..., str]:
    """Run Compose in a folder against the course's machine; returns standard output, stripped."""
    user, name = course_machine
    compose_plugin(user.docker_config)
    # Where there is no Buildx, Compose builds with the engine's own builder only if told so.
    environ = {**user.env(), **user.variables(name), "COMPOSE_BAKE": "false"}

    def run(folder: Path, *words: str) -> str:
        done = subprocess.run(
            [str(compose_binary()), "--progress", "plain", *words], cwd=folder, env=environ, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"compose {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    return run


@pytest.fixture(scope="session")
def stranger_key(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A private key that no host knows."""
    key = tmp_path_factory.mktemp("keys") / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=20)
    return str(key)


@pytest.fixture
def typed(workstation: Workstation) -> Callable[[list[str], list[str]], str]:
    """Run pymachine on a terminal of its own, type one line at each question, and return the screen."""

    def run(words: list[str], lines: list[str], deadline: float = 120) -> str:
        parent, child = pty.openpty()
        process = subprocess.Popen(
            workstation.command(*words), env={**workstation.env(), "TERM": "dumb"}, stdin=child, stdout=child,
            stderr=child, start_new_session=True, preexec_fn=_take_terminal,
        )  # fmt: skip
        os.close(child)
        screen = _dialogue(parent, list(lines), time.monotonic() + deadline)
        assert process.wait(timeout=30) == 0, screen
        return screen

    return run


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _dialogue(terminal: int, lines: list[str], end: float) -> str:
    """Read the screen; whenever it needs_power_off at a question or a prompt, type the next line."""
    screen = answered = b""
    while time.monotonic() < end:
        if not select.select([terminal], [], [], ECHO_PAUSE)[0]:
            if lines and screen != answered and re.search(rb"[:#$?] ?$", screen):
                os.write(terminal, lines.pop(0).encode() + b"\n")
                answered = screen
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:  # EIO: the last process closed the terminal
            break
        if not data:
            break
        screen += data
    os.close(terminal)
    return screen.decode(errors="replace")
