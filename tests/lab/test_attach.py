"""A host that another computer set up is attached to this store: both have access, and containers keep running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Host
from lab.test_docker_machine import theirs as theirs
from lab.workstation import Workstation
from unit.docker_machine.their_store import TheirStore

pytestmark = [pytest.mark.lab, pytest.mark.soak(90)]

FreshHost = Callable[..., Host]
TENANT = "docker inspect -f '{{.State.Pid}}' tenant"


def test_both_computers_have_access(theirs: tuple[Host, TheirStore], workstation: Workstation) -> None:
    host, _ = theirs
    key = workstation.folder / "key"
    key.write_bytes(Path(workstation.folder / "home/.docker/machine/machines/web/id_rsa").read_bytes())
    key.chmod(0o600)
    way = [f"root@{host.address}", "mine", "--ssh-key", str(key)]
    workstation.pymachine("import", "docker-machine", "-y")
    before, tenant = host.exec("cat /etc/docker/ca.pem").stdout, host.exec(TENANT).stdout
    assert "restart" in workstation.pymachine("attach", *way, "--dry-run").stdout
    assert host.exec("cat /etc/docker/ca.pem").stdout == before
    workstation.pymachine("attach", *way, "-y")
    for name in ("web", "mine"):
        assert workstation.docker(name, "ps", "--format", "{{.Names}}").stdout.split() == ["tenant"]
    assert host.exec(TENANT).stdout == tenant
    assert host.exec("cat /etc/docker/ca.pem").stdout.startswith(before)
    workstation.pymachine("provision", "mine", check=3)
    workstation.pymachine("rm", "-y", "mine")
    assert host.exec("cat /etc/docker/ca.pem").stdout == before
    assert workstation.docker("web", "ps", "--format", "{{.Names}}").stdout.split() == ["tenant"]
    assert host.exec(TENANT).stdout == tenant
