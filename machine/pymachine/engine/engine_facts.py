"""Reading what the survey prints of the engine on a host."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymachine.documents import from_document
from pymachine.engine.der import certificates_in
from pymachine.engine.fact_texts import FactTexts, wrong
from pymachine.engine.host_facts import Asked, EngineFacts, SocketUnit
from pymachine.strict_json import parse_json

SERVICE_LABEL = "com.docker.swarm.service.name"  # what an engine puts on the containers of a service's tasks


def engine_of(text: FactTexts) -> EngineFacts | None:
    """Return the engine that is on the host, None where there is none. Raises ``EngineError`` for a wrong shape."""
    if not text("unit") and not text("dockerd"):
        return None
    properties = dict(line.partition("=")[::2] for line in text.lines("unit_properties"))
    package, _, package_version = text("package").partition(" ")
    version = re.search(r"version ([^\s,]+)", text("dockerd_version"))
    active = properties.get("ActiveState") in ("active", "reloading") or text("openrc_active") == "yes"
    info, running = _info(text.json("info")), _containers(text)
    return EngineFacts(
        dockerd=text("dockerd"),
        unit=text("unit"),
        version=version[1] if version else "",
        package=package,
        package_version=package_version,
        offered=tuple(text.lines("offered")),
        active=active,
        fragment=properties.get("FragmentPath", ""),
        drop_ins=tuple(properties.get("DropInPaths", "").split()),
        requires=frozenset(properties.get("Requires", "").split()),
        unit_text=text("unit_text") or text("conf_d"),
        environment=text("unit_environment"),
        cmdline=tuple(text("cmdline").rstrip("\0").split("\0")) if text("cmdline") else (),
        asked=_asked(info, running, runs=active or bool(text("cmdline"))),
        sockets=tuple(text.lines("sockets")),
        socket=text("socket"),
        socket_units=_socket_units(text.lines("socket_units")),
        info=info or {},
        containers=tuple(sorted(row.name for row in running or ())),
        tasks={row.name: row.service for row in running or () if row.service},
        trusted=_fingerprint(text("trusted")),
    )


def _fingerprint(pem: str) -> str:
    """Return the SHA-256 fingerprint of the first certificate in a text, empty where none can be read."""
    try:
        return hashlib.sha256(next(certificates_in(pem))).hexdigest()
    except ValueError:
        return ""


def _asked(info: object, running: object, *, runs: bool) -> Asked:
    if info and running is not None:
        return Asked.ANSWERED
    return Asked.UNANSWERED if runs else Asked.ABSENT


def _socket_units(lines: list[str]) -> tuple[SocketUnit, ...]:
    """Read ``docker.socket /run/docker.sock (Stream)``."""
    parts = (line.partition(" ")[::2] for line in lines)
    return tuple(SocketUnit(unit, address.rpartition(" (")[0]) for unit, address in parts)


@dataclass(frozen=True, slots=True)
class _Swarm:
    """The parts of /info's ``Swarm`` that are read."""

    LocalNodeState: str = "inactive"
    NodeID: str = ""
    ControlAvailable: bool = False
    Cluster: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Info:
    """The parts of the engine's /info that are read, by the names of the Engine API."""

    LiveRestoreEnabled: bool = False
    Driver: str = ""
    DockerRootDir: str = "/var/lib/docker"
    Images: int = 0
    Containers: int = 0
    Swarm: _Swarm | None = None


def _info(document: Any) -> dict[str, Any] | None:
    """Return the engine's /info, None where it did not answer. Raises ``EngineError`` for a wrong shape."""
    if document is None:
        return None
    try:
        from_document(_Info, document)
    except (TypeError, ValueError) as error:
        raise wrong("info", str(error)) from error
    return dict(document)


@dataclass(frozen=True, slots=True)
class _Container:
    """A running container: the API gives names as a list and labels as a table, the client each as one text."""

    Names: tuple[str, ...] | str = ()
    Labels: Mapping[str, str] | str | None = None

    @property
    def name(self) -> str:
        names = (self.Names,) if isinstance(self.Names, str) else self.Names
        return (names[0] if names else "?").lstrip("/")

    @property
    def service(self) -> str:
        """The Swarm's service that it is a task of, whose name holds no comma; empty for any other container."""
        labels = self.Labels or {}
        pairs = labels.split(",") if isinstance(labels, str) else [f"{key}={value}" for key, value in labels.items()]
        found = (pair.partition("=")[2] for pair in pairs if pair.startswith(f"{SERVICE_LABEL}="))
        return next(found, "")


def _containers(text: FactTexts) -> list[_Container] | None:
    """Read the running containers, None if untold: a JSON list from the API, or a document a line from the client.

    An answer that has no containers, such as the message of an error, says nothing of them.
    """
    if text.raw("containers") is None:
        return None
    said = text("containers")
    try:
        rows = parse_json(said) if said.startswith("[") else [parse_json(line) for line in said.splitlines()]
    except ValueError:
        return None
    if any(isinstance(row, dict) and "Names" not in row for row in rows):
        return None
    try:
        return [from_document(_Container, row) for row in rows]
    except (TypeError, ValueError) as error:
        raise wrong("containers", str(error)) from error
