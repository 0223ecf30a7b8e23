"""The life of a machine under the name docker-machine, on a real host, as scripts and GitLab's runner lead it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Host
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.soak(90)]

FreshHost = Callable[..., Host]
PATH_OF = "{{.HostOptions.AuthOptions.StorePath}}"


class Theirs:
    """A user whose docker-machine is the one that ``compat install`` wrote."""

    def __init__(self, workstation: Workstation) -> None:
        self._user = workstation
        self.program = workstation.folder / "bin/docker-machine"
        workstation.pymachine("compat", "install", "--to", str(self.program.parent))

    def __call__(self, *words: str, code: int = 0, stdin: str = "") -> str:
        done = subprocess.run(
            [str(self.program), *words], env=self._user.env(), input=stdin, text=True, capture_output=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def docker(self, *words: str) -> str:
        """Run the docker client with what ``config`` printed."""
        options = self("config", "job").splitlines()
        done = subprocess.run(
            [str(self._user.docker_cli), *options, *words], env=self._user.env(), text=True, capture_output=True,
            timeout=120, check=True,
        )  # fmt: skip
        return done.stdout.strip()


def test_a_machine_lives_from_create_to_rm(engine_host: FreshHost, workstation: Workstation, tmp_path: Path) -> None:
    host, machine = engine_host(), Theirs(workstation)
    address = ["-generic-ip-address", host.address, f"--generic-ssh-key={workstation.key}", "-generic-ssh-user=root"]
    machine(
        "create", "-driver", "generic", *address, "--engine-label", "by=runner", "-engine-opt=log-level=warn", "job"
    )
    assert machine("create", "-d", "generic", *address, "job", code=1) == ""
    machine("provision", "job")

    assert machine("ls", "-q", "--filter", "driver=generic", "--filter", "label=by=RUNNER") == "job"
    assert machine("ls", "-f", "{{.Name}} {{.DriverName}} {{.State}}") == "job generic Running"
    assert machine("ip", "job") == host.address
    assert machine("url", "job") == f"tcp://{host.address}:2376"
    assert machine("status", "job") == "Running"
    folder = Path(machine("inspect", "job", "-f", PATH_OF))
    assert {"ca.pem", "cert.pem", "key.pem"} <= {file.name for file in folder.iterdir()}
    assert "provider=generic" in machine.docker("info", "-f", "{{.Labels}}")
    assert machine("version", "job") == machine.docker("version", "-f", "{{.Server.Version}}")

    (tmp_path / "12:30.log").write_text("content\n")
    machine("scp", "-q", str(tmp_path / "12:30.log"), "job:/root/copy")
    assert machine("ssh", "job", "cat", "/root/copy") == "content"
    assert machine("-native-ssh", "ssh", "job", "cat /root/copy") == "content"
    machine("ssh", "job", "exit 7", code=7)

    before = (folder / "cert.pem").read_bytes()
    machine("regenerate-certs", "-f", "-client-certs=true", "job")
    assert (folder / "cert.pem").read_bytes() != before
    assert machine.docker("ps", "-q") == ""

    machine("rm", "job", stdin="n\n")
    assert machine("ls", "-q") == "job"
    machine("rm", "-y", "job")
    assert machine("ls", "-q") == ""
    assert host.exec("ls /etc/docker", check=False).stdout.find("server") == -1
