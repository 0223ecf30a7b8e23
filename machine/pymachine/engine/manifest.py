"""The record of a set-up on the host itself: /var/lib/pymachine/manifest.json, without secrets.

With it any store can remove the set-up, and a host that belongs to one machine is not taken by another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymachine.documents import from_document, to_document
from pymachine.engine.host_facts import DAEMON_JSON, HostFacts
from pymachine.templates import to_json

MANIFEST_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class FirewalldPort:
    """A TCP port that is open in a zone of firewalld; ``zone`` is None for the zone that was the default then."""

    port: int
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The machine that owns this host, and what was added to the host.

    ``fresh``: pymachine installed the engine. ``added`` are the keys, list items and members added to daemon.json
    (see ``daemon_config``); ``config_created`` says that pymachine made the file, else ``config_before`` is its
    former text. ``hosts_before`` is the replaced line of /etc/hosts, ``hostname_text`` the former content of
    /etc/hostname; ``hostname_created`` says that there was no such file. ``group_users`` were added to group docker
    (``group_user`` is the one of older manifests), ``firewall_port`` was opened in ``firewall_zone`` of firewalld,
    ``held`` are the packages kept at their version, ``repository`` says that Docker's package source was added.
    ``environment`` is a digest of the daemon's environment, ``environment_file`` its file, ``server`` the fingerprint
    of its certificate; None in older manifests. On a host that docker-machine had set up, ``drop_in`` is the path of
    its drop-in, which was set aside, ``moved`` are the options of dockerd in it, as a daemon.json, and ``command``
    the words of its command line that stay.
    """

    name: str
    id: str
    fresh: bool = False
    source: str = "none"
    port: int = 2376
    config_path: str = DAEMON_JSON
    config_created: bool = False
    config_before: str | None = None
    added: Mapping[str, Any] = field(default_factory=dict)
    hostname: str | None = None
    hostname_before: str | None = None
    hosts_before: str | None = None
    hostname_text: str | None = None
    hostname_created: bool = False
    group_user: str | None = None
    group_users: tuple[str, ...] = ()
    firewall_port: int | None = None
    firewall_zone: str | None = None
    repository: bool = False
    held: tuple[str, ...] = ()
    environment: str | None = None
    environment_file: str | None = None
    server: str | None = None
    drop_in: str | None = None
    moved: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    schema: int = MANIFEST_SCHEMA

    @property
    def opening(self) -> FirewalldPort | None:
        """The port that was opened in firewalld."""
        return None if self.firewall_port is None else FirewalldPort(self.firewall_port, self.firewall_zone)

    @property
    def members(self) -> tuple[str, ...]:
        """The accounts that a set-up of this machine added to group docker."""
        return tuple(dict.fromkeys((*self.group_users, *([self.group_user] if self.group_user else []))))

    def text(self) -> str:
        """Return the file's content."""
        return to_json(to_document(self), indent=2) + "\n"


def manifest_of(facts: HostFacts) -> Manifest | None:
    """Return the manifest found on the host, or None; an unreadable one counts as none."""
    if facts.manifest is None:
        return None
    try:
        return from_document(Manifest, facts.manifest)
    except (TypeError, ValueError, KeyError):
        return None
