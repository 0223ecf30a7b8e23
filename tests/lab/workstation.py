"""The user's side in the lab tests: a store, the pymachine command and the real docker client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proof.tally import cache_folder

CREATE_DEADLINE = 600


@dataclass(frozen=True)
class Workstation:
    """One user: ``folder`` holds the store and the docker client's configuration; ``docker_cli`` is the client."""

    folder: Path
    docker_cli: Path
    key: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def docker_config(self) -> Path:
        return self.folder / "docker"

    def env(self) -> dict[str, str]:
        """The user's environment: no agent, no configuration of whoever runs the tests."""
        keep = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        path = os.pathsep.join((str(self.docker_cli.parent), os.environ["PATH"]))
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        return {
            **keep,
            "PATH": path,  # pymachine itself calls the docker client as well
            "HOME": str(home),
            "MACHINE_STORAGE_PATH": str(self.store),
            "DOCKER_CONFIG": str(self.docker_config),
            "DOCKER_BUILDKIT": "0",  # the classic builder needs no plugin on this side
            **_shared(),
            **self.environ,
        }

    def command(self, *words: str) -> list[str]:
        """The pymachine command that is installed beside this Python."""
        return [str(Path(sys.executable).with_name("pymachine")), *words]

    def pymachine(
        self, *words: str, stdin: str | None = None, check: int | None = 0, timeout: float = CREATE_DEADLINE
    ) -> subprocess.CompletedProcess[str]:
        """Run pymachine and return what it printed; ``check`` is the exit code it must end with, None for any."""
        done = subprocess.run(
            self.command(*words), env=self.env(), text=True, capture_output=True, timeout=timeout, check=False,
            **_input(stdin),
        )  # fmt: skip
        return _checked(done, check)

    def create(
        self, name: str, address: str, *options: str, check: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Create a machine on a host of the lab."""
        return self.pymachine(
            "create", "-d", "ssh", "--ssh-host", address, "--ssh-key", str(self.key), *options, name, check=check
        )

    def docker(
        self,
        machine: str,
        *words: str,
        stdin: str | None = None,
        check: int | None = 0,
        cwd: Path | None = None,
        timeout: float = 180,
    ) -> subprocess.CompletedProcess[str]:
        """Run the real docker client against a machine, with the variables that ``pymachine env`` prints."""
        done = subprocess.run(
            [str(self.docker_cli), *words], env={**self.env(), **self.variables(machine)}, text=True, cwd=cwd,
            capture_output=True, timeout=timeout, check=False, **_input(stdin),
        )  # fmt: skip
        return _checked(done, check)

    def variables(self, machine: str) -> dict[str, str]:
        """What ``eval "$(pymachine env NAME)"`` sets, read by a real shell."""
        lines = self.pymachine("env", "--shell", "sh", machine).stdout
        script = f"{lines}\nenv -0"
        done = subprocess.run(
            ["sh", "-c", script],
            env={"PATH": os.environ["PATH"]},
            text=True,
            capture_output=True,
            timeout=20,
            check=True,
        )
        pairs = (line.partition("=") for line in done.stdout.split("\0") if line)
        return {name: value for name, _, value in pairs if name.startswith("DOCKER_")}

    def inspect(self, machine: str) -> dict[str, Any]:
        """The machine's record."""
        record: dict[str, Any] = json.loads(self.pymachine("inspect", machine).stdout)
        return record

    def states(self, *options: str) -> dict[str, str]:
        """The state of each machine by name."""
        rows = json.loads(self.pymachine("ls", "--json", *options).stdout)
        return {row["name"]: row["state"] for row in rows}


def _shared() -> dict[str, str]:
    """What all users of one run share: what one of them found out about this computer need not be asked again."""
    cache = cache_folder()
    return {"XDG_CACHE_HOME": str(cache)} if cache else {}


def _input(stdin: str | None) -> dict[str, Any]:
    return {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}


def _checked(done: subprocess.CompletedProcess[str], code: int | None) -> subprocess.CompletedProcess[str]:
    shown: Sequence[str] = done.args
    assert code is None or done.returncode == code, (
        f"{' '.join(shown)} ended with {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
    )
    return done
