"""A machine that is ready, saved by libvirt once a real create has made it, and restored for each test that wants it.

Restoring costs a twentieth of a boot. The disk and the seed, the definition, the address and the user's store are put
back with the memory: whatever was done to the machine, `rm` included, it is as its create left it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lab.libvirtd import URI
from lab.sh import run
from lab.workstation import Workstation


@dataclass(frozen=True)
class ReadyMachine:
    """One machine of a user of its own; ``saved`` is where its saved state lies, ``told`` what its create printed."""

    name: str
    user: Workstation
    saved: Path
    network: str
    told: str

    @classmethod
    def create(cls, name: str, user: Workstation, saved: Path, create: list[str]) -> Self:
        """Make it by these words, keep its state, and leave it running."""
        done = user.pymachine("--debug", *create)
        network = user.inspect(name)["handle"]["network"]
        machine = cls(name, user, saved, network, done.stdout + done.stderr)
        machine._save()
        machine.restore()
        return machine

    def restore(self) -> None:
        """Put everything back; the machine goes on from when it was saved, with its clock set right by `start`."""
        _virsh("destroy", self.name, check=False)
        _virsh("undefine", self.name, "--managed-save", "--snapshots-metadata", "--nvram", check=False)
        self._put_back_files()
        self._put_back_address()
        _virsh("define", str(self.saved / "domain.xml"))
        _virsh("restore", str(self.saved / "memory"), "--paused")
        self.user.pymachine("start", self.name)

    def _save(self) -> None:
        self.saved.mkdir()
        _virsh("save", self.name, str(self.saved / "memory"))
        (self.saved / "domain.xml").write_text(_virsh("dumpxml", "--inactive", "--security-info", self.name))
        (self.saved / "host.xml").write_text(self._reservation())
        (self.saved / "volumes").mkdir()
        _copy(self._volumes(), self.saved / "volumes")
        shutil.copytree(self.user.store, self.saved / "store", symlinks=True)

    def _put_back_files(self) -> None:
        for volume in self._volumes():
            volume.unlink()
        _copy(list((self.saved / "volumes").iterdir()), self._pool())
        _virsh("pool-refresh", "default")
        shutil.rmtree(self.user.store)
        shutil.copytree(self.saved / "store", self.user.store, symlinks=True)

    def _put_back_address(self) -> None:
        _virsh("net-start", self.network, check=False)
        if not self._reservation():
            _virsh(
                "net-update", self.network, "add", "ip-dhcp-host", str(self.saved / "host.xml"), "--live", "--config"
            )

    def _reservation(self) -> str:
        found = re.search(f"<host mac=.* name='{re.escape(self.name)}' .*/>", _virsh("net-dumpxml", self.network))
        return found[0] if found else ""

    def _pool(self) -> Path:
        found = re.search("<path>(.*)</path>", _virsh("pool-dumpxml", "default"))
        assert found is not None
        return Path(found[1])

    def _volumes(self) -> list[Path]:
        return list(self._pool().glob(f"{self.name}-*"))


def _copy(files: list[Path], folder: Path) -> None:
    """Copy with owners and modes, sharing the blocks where the file system can."""
    run(["cp", "-a", "--reflink=auto", *map(str, files), str(folder)], timeout=120)


def _virsh(*words: str, check: bool = True) -> str:
    done = subprocess.run(
        ["virsh", "-c", URI, *words], capture_output=True, text=True, timeout=180, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert not check or done.returncode == 0, f"virsh {' '.join(words)}: {done.stderr}"
    return done.stdout
