"""pymachine's own cloud-config: identity, login, host key, and maintenance jobs that must not delay the set-up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from pymachine.cloudinit.first_boot import first_boot_config
from pymachine.driver import FirstBoot, Login
from pymachine.errors import UsageFault

APT_LOCK_SECONDS = 300  # cloud-init itself waits 30 s; a first boot's own apt-daily holds the lock for minutes
APT_CONF = f'DPkg::Lock::Timeout "{APT_LOCK_SECONDS}";\n'
SUDO = "ALL=(ALL) NOPASSWD:ALL"

# 9p needs the transport and the dialect named; mmap works only with that cache (kernel documentation, 9p.rst).
_OPTIONS = {"9p": "trans=virtio,version=9p2000.L,msize=262144,cache=mmap", "virtiofs": "defaults"}


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A folder of the virtual machine's host, to mount at ``target`` from the device named ``tag``."""

    tag: str
    target: str
    read_only: bool
    filesystem: Literal["9p", "virtiofs"]

    def entry(self) -> list[str]:
        """Return the mount as an entry of cloud-init's ``mounts``.

        Raises ``UsageFault`` if a path contains a blank.
        """
        if re.search(r"[\s\\]", self.target):
            raise UsageFault(
                f"the mount point {self.target!r} contains a blank or a backslash",
                hint="choose a mount point without them; /etc/fstab and cloud-init disagree on how to write it",
            )
        mode = "ro" if self.read_only else "rw"
        # Without nofail a share that the host no longer offers would keep the machine from booting.
        return [self.tag, self.target, self.filesystem, f"{_OPTIONS[self.filesystem]},{mode},nofail", "0", "0"]


@dataclass(frozen=True, slots=True)
class UserData:
    """The state of a machine after its first boot. ``user`` may be root.

    A login without the host's private key keeps the host's keys: this is for a seed that stays with a machine after
    its boot, which must not contain secrets. A login without the public key as well has the host generate its own
    keys. ``default_account`` keeps the image's default account.
    """

    hostname: str
    user: str
    login: Login
    first_boot: FirstBoot | None = None
    folders: tuple[SharedFolder, ...] = ()
    default_account: bool = False


def cloud_config(data: UserData) -> dict[str, Any]:
    """Return the cloud-config, with only keys and values that cloud-init 22.4 and later support."""
    config = {
        **_identity(data.hostname),
        **_login(data.user, data.login),
        **_host_key(data.login),
        **_upkeep(),
    }
    if data.default_account:
        # An entry of that account's own name is merged with the image's; key pairs of a cloud are let in there only.
        config["users"].append("default")
    if data.folders:
        config["mounts"] = [folder.entry() for folder in data.folders]
    if data.first_boot is not None:
        config.update(first_boot_config(data.first_boot))
    return config


def required(config: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the cloud-config that users cannot change, because pymachine could not log in without it."""
    kept = {name: value for name, value in config.items() if name in ("ssh_keys", "ssh_deletekeys")}
    return kept if config["disable_root"] else {**kept, "disable_root": False}


def _identity(hostname: str) -> dict[str, Any]:
    identity = {
        "hostname": hostname,
        "preserve_hostname": False,
        # Adds the line of 127.0.1.1 and keeps the rest of /etc/hosts; true would rewrite the file at every boot.
        "manage_etc_hosts": "localhost",
    }
    if "." in hostname:
        identity["prefer_fqdn_over_hostname"] = True  # cloud-init would cut it at the first dot
    return identity


def _login(user: str, login: Login) -> dict[str, Any]:
    account: dict[str, Any] = {
        "name": user,
        "lock_passwd": True,
        "ssh_authorized_keys": [login.public_key.strip()],
    }
    if user != "root":
        account |= {
            "gecos": "pymachine",
            "shell": "/bin/bash",
            "sudo": SUDO,
            # Named, because useradd refuses an account whose group is there already (docker); cloud-init makes
            # a primary group that is missing only where it is among the others.
            "primary_group": user,
            "groups": [user],
        }
    return {"users": [account], "disable_root": user != "root"}


def _host_key(login: Login) -> dict[str, Any]:
    if not login.host_public:  # the host makes its own; a key that lies in the image would be everybody's
        return {"ssh_deletekeys": True}
    if not login.host_private:  # it is on the host already
        return {"ssh_deletekeys": False}
    return {
        "ssh_deletekeys": True,
        # With keys given nothing is generated; the list is for images whose sshd-keygen reads it.
        "ssh_genkeytypes": ["ed25519"],
        "ssh_keys": {
            "ed25519_private": login.host_private.decode(),
            "ed25519_public": login.host_public.strip(),
        },
        "no_ssh_fingerprints": True,
        "ssh": {"emit_keys_to_console": False},
    }


def _upkeep() -> dict[str, Any]:
    return {
        "package_update": False,
        "package_upgrade": False,
        "apt": {
            "preserve_sources_list": True,
            "conf": APT_CONF,
        },
        "growpart": {"mode": "auto", "devices": ["/"]},
        "resize_rootfs": True,
    }
