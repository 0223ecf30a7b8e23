"""What a set-up leaves behind on the host about itself: /var/lib/pymachine/manifest.json, without secrets.

With it the removal works from any store, and a host that belongs to one machine is not taken by another.
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
    """A TCP port that is open in a zone of firewalld; ``zone`` is None for the one that was the default zone then."""

    port: int
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Whose host this is and what was added to it.

    ``fresh``: the engine is there because of us. ``added`` are the keys, list items and members put into
    daemon.json (see ``daemon_config``); ``config_created`` says that the file itself is ours, else
    ``config_before`` is its text before us. ``hosts_before`` is the line of /etc/hosts that ours replaced,
    ``hostname_text`` the content of /etc/hostname before us; ``hostname_created`` says that there was no such file.
    ``group_users`` were put into group docker (``group_user`` is the one of manifests of before), ``firewall_port``
    opened in ``firewall_zone`` of firewalld, ``held`` are the packages kept at their version, ``repository`` says
    that Docker's package source was added. ``environment`` is a digest of the daemon's environment,
    ``environment_file`` where it is, ``server`` the fingerprint of its certificate; None in manifests of before these
    were noted.
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
    schema: int = MANIFEST_SCHEMA

    @property
    def opening(self) -> FirewalldPort | None:
        """What was opened in firewalld."""
        return None if self.firewall_port is None else FirewalldPort(self.firewall_port, self.firewall_zone)

    @property
    def members(self) -> tuple[str, ...]:
        """Everybody whom a set-up of this machine put into group docker."""
        return tuple(dict.fromkeys((*self.group_users, *([self.group_user] if self.group_user else []))))

    def text(self) -> str:
        """Return the file's content."""
        return to_json(to_document(self), indent=2) + "\n"


def manifest_of(facts: HostFacts) -> Manifest | None:
    """Return the manifest found on the host, or None; one that cannot be read counts as none."""
    if facts.manifest is None:
        return None
    try:
        return from_document(Manifest, facts.manifest)
    except (TypeError, ValueError, KeyError):
        return None
