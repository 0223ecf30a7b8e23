"""A script and a tar that replace cloud-init in pymachine's images if the user gives no user-data.

Both are made from the same ``UserData`` as the user-data and produce the same host. Other images use cloud-init,
which ignores these files. The script runs at every boot, before the network, and ends at once unless the instance id
is new.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable

from pymachine.cloudinit.config import APT_CONF, SUDO, UserData
from pymachine.cloudinit.first_boot import first_boot_files, queue_command
from pymachine.cloudinit.user_data import NOTHING, Theirs
from pymachine.driver import CarriedFile
from pymachine.templates import render

SCRIPT = "pymachine.sh"
FILES = "pymachine.tar"


def settings(data: UserData, instance_id: str, mac: str, theirs: Theirs = NOTHING) -> dict[str, bytes]:
    """Return the files of a seed by name; none if cloud-init is needed. Secret.

    cloud-init is needed for ``theirs``, and for a set-up that has to wait for the network.
    """
    late = data.first_boot is not None and not data.first_boot.early
    if late or theirs != NOTHING or data.default_account:
        return {}
    return {SCRIPT: _script(data, instance_id).encode(), FILES: _tar(_files(data, mac))}


def _script(data: UserData, instance_id: str) -> str:
    return render(
        "cloud-init/settings.sh.j2",
        instance_id=instance_id,
        hostname=data.hostname,
        short=data.hostname.partition(".")[0],
        user=data.user,
        public_key=data.login.public_key.strip(),
        new_host_key=bool(data.login.host_private) or not data.login.host_public,
        host_makes_keys=not data.login.host_public,
        mounts=[folder.entry() for folder in data.folders],
        queue=queue_command(after=()) if data.first_boot else "",
    )


def _files(data: UserData, mac: str) -> Iterable[CarriedFile]:
    yield _public("/etc/hostname", f"{data.hostname}\n")
    name = "/etc/systemd/network/10-cloud-init-eth0"
    yield _public(f"{name}.link", f"[Match]\nMACAddress={mac.lower()}\n\n[Link]\nName=eth0\n")
    yield _public(f"{name}.network", f"[Match]\nMACAddress={mac.lower()}\n\n[Network]\nDHCP=ipv4\n")
    yield _public("/etc/apt/apt.conf.d/94cloud-init-config", APT_CONF)
    if data.user != "root":
        line = f"{data.user} {SUDO}\n".encode()
        yield CarriedFile("/etc/sudoers.d/90-cloud-init-users", line, 0o440)
    if data.login.host_private:
        key = "/etc/ssh/ssh_host_ed25519_key"
        yield CarriedFile(key, data.login.host_private)
        yield _public(f"{key}.pub", f"{data.login.host_public.strip()}\n")
    if data.first_boot is not None:
        yield from first_boot_files(data.first_boot)


def _public(path: str, text: str) -> CarriedFile:
    return CarriedFile(path, text.encode(), 0o644)


def _tar(files: Iterable[CarriedFile]) -> bytes:
    """Return the files as an archive owned by root; missing folders are created when it is unpacked."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size, entry.mode = len(file.content), file.mode
            tar.addfile(entry, io.BytesIO(file.content))
    return made.getvalue()
