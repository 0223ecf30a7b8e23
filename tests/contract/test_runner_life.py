"""The life of a runner that makes machines by ``docker-machine``: what it runs, and what it reads itself.

The runner is imitated: it lists the folders in ``machines``, looks for their config.json, and runs the commands that
GitLab Runner's docker+machine executor runs, as processes of their own, many at once, some killed half-way.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from contract.runner_world import CERTIFICATES, FileHosts
from patience import LIMIT
from pymachine.store.sqlite import SqliteStore

TESTS = Path(__file__).parents[1]
STORE_PATH = "{{.HostOptions.AuthOptions.StorePath}}"


@dataclass
class Runner:
    """A runner, with ``docker-machine`` in its PATH."""

    program: Path
    storage: Path
    hosts: FileHosts
    gate: Path

    def begin(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start a command."""
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.storage.parent), "PYTHONPATH": str(TESTS),
            "MACHINE_STORAGE_PATH": str(self.storage), "FAKE_HOSTS": str(self.hosts.folder), **environ,
        }  # fmt: skip
        return subprocess.Popen(
            [str(self.program), *words], env=env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def get(self, *words: str) -> str | None:
        """Return what a command prints, None if it fails or prints nothing."""
        process = self.begin(*words)
        out, _ = process.communicate(timeout=LIMIT)
        return out.strip() or None if process.returncode == 0 else None

    def create(self, name: str, number: int, **environ: str) -> subprocess.Popen[str]:
        words = (
            "create",
            "--driver",
            "fake",
            "--fake-address",
            f"127.7.0.{number}",
            "--engine-label",
            "ci=yes",
            name,
        )
        return self.begin(*words, **environ)

    def listed(self) -> list[str]:
        """Return the names as the runner lists them."""
        folder = self.storage / "machines"
        return sorted(each.name for each in os.scandir(folder) if each.is_dir() and each.name[0] != ".")

    def exists(self, name: str) -> bool:
        return (self.storage / "machines" / name / "config.json").is_file() and self.get("inspect", name) is not None

    def can_connect(self, name: str) -> bool:
        return self.get("config", name) is not None

    def remove(self, name: str) -> bool:
        """Remove a machine as the runner does, which skips those that do not exist; whether it is gone."""
        if self.exists(name):
            process = self.begin("rm", "-y", name)
            _, told = process.communicate(timeout=LIMIT)
            assert process.returncode == 0, told
        return name not in self.listed()

    def killed(self, words: Callable[[dict[str, str]], subprocess.Popen[str]], until: Callable[[], bool]) -> None:
        """Kill a command with SIGKILL as soon as it has come that far."""
        self.gate.touch()
        process = words({"FAKE_SLOW": str(self.gate)})
        wait_for(until)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=LIMIT)
        self.gate.unlink()
        assert process.returncode == -signal.SIGKILL


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it did not come that far"
        time.sleep(0.02)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    program = tmp_path / "docker-machine"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom contract.runner_world import run\nsys.exit(run())\n")
    program.chmod(0o755)
    (tmp_path / "hosts").mkdir()
    made = Runner(program, tmp_path / "store", FileHosts(tmp_path / "hosts"), tmp_path / "gate")
    assert made.get("compat", "view", "on") is not None
    return made


def all_ended(processes: dict[str, subprocess.Popen[str]], watch: Callable[[], None]) -> dict[str, str]:
    """Wait for processes, and return what those said that failed; ``watch`` is called meanwhile."""
    with ThreadPoolExecutor(len(processes)) as pool:
        ends = [pool.submit(process.communicate, timeout=LIMIT) for process in processes.values()]
        while not all(end.done() for end in ends):
            watch()
            time.sleep(0.05)
        told = dict(zip(processes, (end.result()[1] for end in ends), strict=True))
    return {name: told[name] for name, process in processes.items() if process.returncode}


@pytest.mark.parametrize("most", [6, pytest.param(20, marks=pytest.mark.soak(60))])
def test_a_runner_grows_to_many_machines_at_once_and_shrinks_to_none(runner: Runner, most: int) -> None:
    names = [f"runner-x7-ci-{number}" for number in range(1, most + 1)]
    failing = names[3]

    def watch() -> None:
        listed = runner.listed()
        assert set(listed) <= set(names)
        for name in listed:
            text = (runner.storage / "machines" / name / "config.json").read_text()
            assert json.loads(text)["Name"] == name

    begun = {
        name: runner.create(name, number, **({"FAKE_FAIL": "no capacity"} if name == failing else {}))
        for number, name in enumerate(names, 1)
    }
    failed = all_ended(begun, watch)
    assert set(failed) == {failing}, failed
    assert runner.listed() == sorted(names)
    assert len(runner.hosts.addresses()) == most

    ready = [name for name in names if name != failing]
    assert runner.exists(ready[0])
    assert runner.can_connect(ready[0])
    assert runner.get("ip", ready[0]) == "127.7.0.1"
    assert runner.get("url", ready[0]) == "tcp://127.7.0.1:2376"
    assert runner.get("status", ready[0]) == "Running"
    folder = Path(runner.get("inspect", ready[0], "-f", STORE_PATH) or "")
    assert {file: (folder / file).read_bytes() for file in CERTIFICATES} == CERTIFICATES

    assert not runner.can_connect(failing)
    assert runner.remove(failing)
    runner.hosts.vanish(_id(runner, ready[1]))
    assert not runner.can_connect(ready[1])
    assert runner.remove(ready[1])

    with ThreadPoolExecutor(most) as pool:
        assert all(pool.map(runner.remove, ready[:1] + ready[2:]))
    assert_nothing_is_left(runner)


def test_commands_that_are_killed_leave_nothing_that_a_runner_cannot_remove(runner: Runner) -> None:
    runner.killed(lambda slow: runner.create("a-1", 1, **slow), lambda: len(runner.hosts.addresses()) == 1)
    assert runner.listed() == ["a-1"]
    assert not runner.can_connect("a-1")
    assert runner.remove("a-1")
    assert runner.hosts.addresses() == {}

    runner.create("a-2", 2).communicate(timeout=LIMIT)
    assert runner.can_connect("a-2")
    runner.killed(lambda slow: runner.begin("rm", "-y", "a-2", **slow), lambda: not runner.hosts.addresses())
    assert runner.listed() == ["a-2"]
    assert not runner.can_connect("a-2")
    assert runner.remove("a-2")
    assert_nothing_is_left(runner)


def test_of_two_creates_of_one_name_one_makes_the_machine(runner: Runner) -> None:
    runner.gate.touch()
    first = runner.create("a-1", 1, FAKE_SLOW=str(runner.gate))
    wait_for(lambda: len(runner.hosts.addresses()) == 1)
    second = runner.create("a-1", 2)
    second.communicate(timeout=LIMIT)
    runner.gate.unlink()
    first.communicate(timeout=LIMIT)
    assert (first.returncode, second.returncode) == (0, 1)
    assert runner.listed() == ["a-1"]
    assert list(runner.hosts.addresses().values()) == ["127.7.0.1"]
    assert runner.remove("a-1")
    assert_nothing_is_left(runner)


def test_a_folder_without_a_record_goes_with_the_next_command_that_fails_for_it(runner: Runner) -> None:
    runner.create("a-1", 1).communicate(timeout=LIMIT)
    mark = (runner.storage / "machines/a-1/.pymachine").read_text()
    ghost = runner.storage / "machines/ghost"
    ghost.mkdir()
    (ghost / ".pymachine").write_text(mark)
    (ghost / "config.json").write_text("{}")
    assert not runner.exists("ghost")
    assert runner.listed() == ["a-1"]


def test_a_machine_of_docker_machine_keeps_its_folder_and_its_name(runner: Runner) -> None:
    theirs = runner.storage / "machines/old"
    theirs.mkdir(parents=True)
    (theirs / "config.json").write_text("{}")
    refused = runner.create("old", 1)
    _, err = refused.communicate(timeout=LIMIT)
    assert refused.returncode == 3
    assert f"{runner.storage} old" in err
    assert [path.name for path in theirs.iterdir()] == ["config.json"]
    assert runner.hosts.addresses() == {}


def _id(runner: Runner, name: str) -> str:
    """Return the id of a machine."""
    with SqliteStore.open(runner.storage) as store:
        return store.get(name).id


def assert_nothing_is_left(runner: Runner) -> None:
    assert runner.hosts.addresses() == {}
    assert list((runner.storage / "machines").iterdir()) == []
    assert [path.name for path in (runner.storage / "certs").glob("*")] == []
    assert runner.get("ls", "-q") is None
