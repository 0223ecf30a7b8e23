"""What can be asked of a host before it boots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

Sudo = Literal["none", "password", "nopasswd"]
Content = str | bytes
Files = Mapping[str, tuple[Content, int]]


@dataclass(frozen=True)
class User:
    """An extra user: with its own password, sudo right, and the lab's key unless authorized is off."""

    name: str
    sudo: Sudo = "none"
    password: str | None = None
    authorized: bool = True
    shell: str = "/bin/bash"
    groups: Sequence[str] = ()


@dataclass(frozen=True)
class Seed:
    """A NoCloud seed: the real cloud-init runs with it on the first boot.

    Without a network_config the host keeps its static address; with one, cloud-init has to give it the same.
    """

    user_data: str | bytes
    meta_data: str | None = None
    network_config: str | None = None
    vendor_data: str | None = None


class HostOptions(TypedDict, total=False):
    """The keyword arguments of Lab.boot; HostSpec says what they mean."""

    route_out: bool
    seed: Seed | None
    users: Sequence[User]
    authorized_keys: Sequence[str]
    root_login: bool
    sshd: Sequence[str]
    ssh_port: int
    files: Files
    commands: Sequence[str]
    disk_limit: int | None
    address: str | None
    engine: bool


@dataclass(frozen=True)
class HostSpec:
    """One host to boot.

    route_out: a default route and name servers; off is an air gap that reaches only the bridge.
    root_login: root takes the lab's key. authorized_keys: more public keys for root, as lines.
    sshd: lines for sshd_config, before Debian's own. ssh_port: where sshd listens.
    files: path in the host to content and mode. commands: shell lines run inside the tree before boot.
    disk_limit: size in MiB of an ext4 file system that the whole host writes to (with /usr from the template).
    engine: comes with Debian's docker.io installed and started on boot.
    address: a given IPv4 address in the lab's subnet instead of the next free one.
    """

    name: str
    suite: str = "trixie"
    route_out: bool = True
    seed: Seed | None = None
    users: Sequence[User] = ()
    authorized_keys: Sequence[str] = ()
    root_login: bool = True
    sshd: Sequence[str] = ()
    ssh_port: int = 22
    files: Files = field(default_factory=dict)
    commands: Sequence[str] = ()
    disk_limit: int | None = None
    address: str | None = None
    engine: bool = False
