"""Hosts whose first boot is told by a seed of ours: the keys that open them, and waiting for cloud-init."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.host import Host
from lab.sh import Completed, run
from pymachine.driver import Login
from pymachine.transport.key_pair import new_private_key, public_line

__all__ = ["keys"]


@dataclass(frozen=True)
class Keys:
    """Both keys that a driver hands over, and the file from which ssh reads the login's."""

    login: Login
    path: Path

    def enter(self, host: Host, user: str, command: str) -> Completed:
        """Run a command over SSH, with the host's key known beforehand."""
        known = self.path.with_name("known_hosts")
        known.write_text(f"{host.address} {self.login.host_public}\n")
        options = [f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "BatchMode=yes"]
        flags = [word for option in options for word in ("-o", option)]
        return run(["ssh", "-F", "/dev/null", *flags, "-i", self.path, f"{user}@{host.address}", "--", command])


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    key, host_key = new_private_key(), new_private_key()
    path = tmp_path / "id_ed25519"
    path.touch(0o600)
    path.write_bytes(key)
    return Keys(Login(public_line(key), public_line(host_key), host_key), path)


def booted(host: Host) -> str:
    """Wait for init, then for cloud-init; return what that says of itself: "degraded" with the least warning."""
    end = time.monotonic() + 30
    while host.leader() is None and time.monotonic() < end:
        time.sleep(0.1)
    host.exec("until [ -d /run/systemd/system ]; do sleep 0.1; done")
    return host.wait_cloud_init()
