"""The survey of a host: one command, and the parsing of its output.

The command is a constant POSIX sh text: it needs no Python on the host, works under dash and busybox, and changes
nothing. Each fact is one line, ``name base64``, so that no content can be mistaken for another fact.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from pymachine.engine.engine_facts import engine_of
from pymachine.engine.fact_texts import FactTexts, number_of, wrong
from pymachine.engine.host_facts import DAEMON_JSON, Asked, EngineFacts, Firewall, HostFacts, Neighbour, NeighbourKind
from pymachine.engine.links import Link, bridge_names, engine_networks, links_of, own_addresses
from pymachine.engine.obstacles import APT_FILES, CONF_D, RPM_FILES, TARGETS, Obstacle, Reason
from pymachine.engine.os_family import DockerRepo, OsRelease, os_release_of, parse_os_release, with_manager
from pymachine.errors import EngineError
from pymachine.model import EngineSpec
from pymachine.templates import render
from pymachine.transport.command import Command

__all__ = ["FACTS_DEADLINE", "LOCK_WAIT", "EngineFacts", "HostFacts", "facts_command", "parse_facts"]

DOCKER_REPO = "https://download.docker.com"
# A set-up whose client died goes on by itself; looking at the host waits this long (seconds) for its end.
LOCK_WAIT = 900
START_WAIT = 60  # and for an engine that is just starting, which can be asked in a moment
FACTS_DEADLINE = LOCK_WAIT + START_WAIT + 120.0
PORTS = 1 << 16
_PATHS = {"targets": TARGETS, "apt_files": APT_FILES, "rpm_files": RPM_FILES, "conf_d": CONF_D}
_FAULT = "fault "  # before what the package manager said that could not read its sources
CLOCK_DIGITS = 22  # seconds and nanoseconds until the year 5138


def facts_command(spec: EngineSpec | None = None) -> Command:
    """Return the command to run as root.

    Docker's repository is probed only if ``spec`` leaves the source open. Behind a proxy nothing is probed, because
    the proxy's address may contain a password, which must not show in ``ps``. The command takes well under two
    seconds, unless another set-up still runs on the host: it waits for that to end (a line ``@pymachine note …`` says
    so), so use ``FACTS_DEADLINE``.
    """
    spec = spec or EngineSpec()
    proxied = spec.http_proxy or spec.https_proxy
    probe = DOCKER_REPO if spec.install == "auto" and not spec.repo_url and not proxied else ""
    text = render("engine/facts.sh.j2", lock_wait=LOCK_WAIT, start_wait=START_WAIT, **_PATHS)
    return Command.script(text, probe, str(spec.port))


def parse_facts(output: str) -> HostFacts:
    """Parse the output of the facts command. Raises ``EngineError`` if it is truncated or something else."""
    found = _decoded(output)
    if "complete" not in found or "os_release" not in found:
        raise EngineError(
            "the host did not answer with its facts: " + (output.strip().splitlines() or ["no output"])[-1][:200],
            hint="check whether the login shell or a profile script prints text or exits early",
        )
    return _host(FactTexts(found))


def _decoded(output: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for line in output.splitlines():
        name, _, code = line.partition(" ")
        if not name.isidentifier():
            continue
        try:
            found[name] = base64.b64decode(code, validate=True)
        except (binascii.Error, ValueError):  # a login banner, not a fact
            continue
    return found


def _host(text: FactTexts) -> HostFacts:
    links, bridges = _links(text), _bridges(text)
    return HostFacts(
        os=_os(text),
        arch=text("arch"),
        kernel=text("kernel"),
        init=text("init"),
        hostname=text("hostname"),
        etc_hosts=text("etc_hosts"),
        etc_hostname=None if text.raw("etc_hostname") is None else _whole(text.raw("etc_hostname")),
        debian_version=text("debian_version"),
        addresses=own_addresses(links, bridges, _routes(text.lines("default_routes"))),
        bridges=engine_networks(links, bridges),
        clock=_clock(text("clock")),
        ipv6=bool(text("ipv6")),
        uid=text.number("uid"),
        user=text("user") or "root",
        groups=frozenset(text("groups").split()),
        free=_free(text.lines("free")),
        listening=frozenset(number_of(port, "listening", base=16, limit=PORTS) for port in text.lines("listening")),
        listeners=_listeners(text.lines("listeners")),
        cloud_init=text("cloud_init") or "absent",
        tools=frozenset(text.lines("tools")),
        apparmor=text("apparmor") == "Y",
        firewall=_firewall(text.lines("firewall")),
        docker_group={"yes": True, "no": False}.get(text("docker_group")),
        docker_sources=tuple(line for line in text.lines("docker_sources") if not line.startswith(_FAULT)),
        sources_fault=_sources_fault(text.lines("docker_sources")),
        half_configured=tuple(text.lines("half_configured")),
        obstacles=_obstacles(text.lines("obstacles")),
        repository=_repository(text),
        neighbours=_neighbours(text.lines("neighbours")),
        units=_units(text),
        daemon_json=text.raw("daemon_json"),
        daemon_json_path=text("daemon_json_path") or DAEMON_JSON,
        engine=engine_of(text),
        manifest=_manifest(text),
        installed=tuple(text.lines("installed")),
        extras=tuple(text.lines("extras")),
    )


def _links(text: FactTexts) -> tuple[Link, ...]:
    try:
        return links_of(text.json("links"), text.lines("addresses"))
    except (TypeError, ValueError) as error:
        raise wrong("links", str(error)) from error


def _whole(content: bytes | None) -> str:
    return (content or b"").decode(errors="replace")


def _sources_fault(lines: list[str]) -> str:
    return next((line.removeprefix(_FAULT) for line in lines if line.startswith(_FAULT)), "")


def _obstacles(lines: list[str]) -> dict[str, Obstacle]:
    found = {}
    for line in lines:
        path, _, rest = line.partition("\t")
        reason, _, where = rest.partition("\t")
        try:
            found[path] = Obstacle(Reason(reason), where)
        except ValueError:
            raise wrong("obstacles", line) from None
    return found


def _bridges(text: FactTexts) -> frozenset[str] | None:
    """Return the names of the engine's bridges, None if unknown."""
    try:
        return bridge_names(text.json("networks"))
    except (TypeError, ValueError) as error:
        raise wrong("networks", str(error)) from error


def _routes(lines: list[str]) -> frozenset[str]:
    """Return the interfaces of default routes."""
    found = (re.search(r" dev (\S+)", line) for line in lines)
    return frozenset(one[1] for one in found if one)


def _os(text: FactTexts) -> OsRelease:
    """Return the operating system, as the host's shell parses os-release, else as pymachine does."""
    fields = dict(line.partition("=")[::2] for line in text.lines("os_fields"))
    release = os_release_of(fields) if fields.get("ID") else parse_os_release(text("os_release"))
    return with_manager(release, text.lines("tools"))


def _neighbours(lines: list[str]) -> tuple[Neighbour, ...]:
    kinds = set(NeighbourKind)
    parts = (line.partition(" ")[::2] for line in lines)
    return tuple(Neighbour(NeighbourKind(kind), what) for kind, what in parts if kind in kinds)


def _units(text: FactTexts) -> dict[str, str] | None:
    """Return the load states of units, None if systemd did not answer."""
    rows = [line.split() for line in text.lines("unit_states")]
    found = {row[0]: row[1] for row in rows if len(row) > 1}
    silent = text("init") == "systemd" and text.raw("unit_states") is not None and not found
    return None if silent else found


def _firewall(lines: list[str]) -> Firewall:
    said = dict(line.partition(" ")[::2] for line in lines)
    return Firewall(
        firewalld=_on(said, "firewalld"),
        interface=said.get("interface", ""),
        zone=said.get("zone", "").strip(),
        is_open=said.get("open") == "yes",
        ufw=_on(said, "ufw"),
        ufw_allows=said.get("ufw") == "allows",
    )


def _on(said: Mapping[str, str], what: str) -> Asked:
    if what not in said:
        return Asked.ABSENT
    return Asked.ANSWERED if said[what] else Asked.UNANSWERED


def _free(lines: list[str]) -> dict[str, int]:
    parts = (line.rpartition(" ") for line in lines)
    return {path: number_of(kib, "free") * 1024 for path, _, kib in parts}


def _clock(text: str) -> float | None:
    digits = re.match(r"\d+(\.\d+)?", text)  # busybox prints no fraction
    if digits and len(digits[0]) > CLOCK_DIGITS:
        raise wrong("clock", text)
    return float(digits[0]) if digits else None


def _listeners(lines: list[str]) -> dict[int, str]:
    found = {}
    for line in lines:
        words = line.split()
        name = re.search(r'users:\(\("([^"]+)"', line)
        if len(words) > 3 and name and (port := words[3].rpartition(":")[2]).isdigit():
            found[number_of(port, "listeners", limit=PORTS)] = name[1]
    return found


def _repository(text: FactTexts) -> tuple[DockerRepo, ...] | None:
    if text.raw("repository") is None:
        return None
    parts = (line.partition(" ") for line in text.lines("repository"))
    return tuple(DockerRepo(distro, suite) for distro, _, suite in parts)


def _manifest(text: FactTexts) -> Mapping[str, Any] | None:
    document = text.json("manifest")
    return document if isinstance(document, dict) else None
