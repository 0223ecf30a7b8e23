"""One command that looks at a host, and the reading of what it prints.

The command is a constant POSIX sh text: it needs no Python on the host, works under dash and busybox, and
changes nothing. Each fact is one line, ``name base64``, so that no content can be taken for another fact.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymachine.documents import from_document, shortened
from pymachine.engine.hostfacts import DAEMON_JSON, EngineFacts, HostFacts
from pymachine.engine.osfamily import DockerRepo, parse_os_release
from pymachine.errors import EngineError
from pymachine.model import EngineSpec
from pymachine.rendering import render
from pymachine.strict_json import parse_json
from pymachine.transport.command import Command

__all__ = ["FACTS_DEADLINE", "LOCK_WAIT", "EngineFacts", "HostFacts", "facts_command", "parse_facts"]

DOCKER_REPO = "https://download.docker.com"
# A set-up whose client died goes on by itself; looking at the host waits this long (seconds) for its end.
LOCK_WAIT = 900
FACTS_DEADLINE = LOCK_WAIT + 60.0
PORTS = 1 << 16
CLOCK_DIGITS = 22  # seconds and nanoseconds until the year 5138

SERVICE_LABEL = "com.docker.swarm.service.name"  # what an engine puts on the containers of a service's tasks
# Interfaces that containers and virtual machines bring; their addresses are not the host's.
_VIRTUAL = re.compile(r"(docker|veth|br-|docker_gwbridge|virbr|cni|flannel|lxcbr|podman)")
_ENGINES = re.compile(r"(docker0|docker_gwbridge|br-[0-9a-f]{12})(@|$)")


def facts_command(spec: EngineSpec | None = None) -> Command:
    """Return the command to run as root. Docker's repository is probed only if ``spec`` leaves the source open.

    Behind a proxy nothing is probed: the proxy's address may hold a password, which has no place in ``ps``.
    The command takes well under two seconds, unless another set-up still runs on the host: it waits for that
    to end (a line ``@pymachine note …`` says so), so give it ``FACTS_DEADLINE``.
    """
    spec = spec or EngineSpec()
    proxied = spec.http_proxy or spec.https_proxy
    probe = DOCKER_REPO if spec.install == "auto" and not spec.repo_url and not proxied else ""
    return Command.script(render("engine/facts.sh.j2", lock_wait=LOCK_WAIT), probe)


def parse_facts(output: str) -> HostFacts:
    """Read what the facts command printed. Raises ``EngineError`` if it is cut short or is something else."""
    found = _decoded(output)
    if "complete" not in found or "os_release" not in found:
        raise EngineError(
            "the host did not answer with its facts: " + (output.strip().splitlines() or ["no output"])[-1][:200],
            hint="is the login shell or a profile script printing or ending early?",
        )
    return _host(_Texts(found))


class _Texts:
    """The facts by name, as text or as bytes; a fact that is not there is empty."""

    def __init__(self, found: Mapping[str, bytes]) -> None:
        self._found = found

    def __call__(self, name: str) -> str:
        return self._found.get(name, b"").decode(errors="replace").strip()

    def lines(self, name: str) -> list[str]:
        return self(name).splitlines()

    def raw(self, name: str) -> bytes | None:
        return self._found.get(name)

    def number(self, name: str) -> int:
        """Return a whole number, 0 for a fact that is not there. Raises ``EngineError``."""
        return _number(self(name) or "0", name)

    def json(self, name: str) -> Any:
        """Return a JSON value, None for a fact that is not there or not JSON: the engine did not answer in time."""
        try:
            return parse_json(self._found.get(name, b""))
        except ValueError:
            return None


def _number(text: str, name: str, *, base: int = 10, limit: int = 1 << 63) -> int:
    try:
        value = int(text, base) if len(text) < 20 and text.isascii() and text.isalnum() else -1
    except ValueError:
        value = -1
    if not 0 <= value < limit:
        raise _wrong(name, text)
    return value


def _wrong(name: str, found: object) -> EngineError:
    return EngineError(
        f"the host answered {name!r} with {shortened(found)}, which is not what its tools print",
        hint="is a program of that name on the host replaced by another one? --debug shows the command",
    )


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


def _host(text: _Texts) -> HostFacts:
    return HostFacts(
        os=parse_os_release(text("os_release")),
        arch=text("arch"),
        kernel=text("kernel"),
        init=text("init"),
        hostname=text("hostname"),
        etc_hosts=text("etc_hosts"),
        debian_version=text("debian_version"),
        addresses=_addresses(text.lines("addresses")),
        bridges=_bridges(text.lines("addresses")),
        clock=_clock(text("clock")),
        ipv6=bool(text("ipv6")),
        uid=text.number("uid"),
        user=text("user") or "root",
        groups=frozenset(text("groups").split()),
        free=_free(text.lines("free")),
        listening=frozenset(_number(port, "listening", base=16, limit=PORTS) for port in text.lines("listening")),
        listeners=_listeners(text.lines("listeners")),
        cloud_init=text("cloud_init") or "absent",
        tools=frozenset(text.lines("tools")),
        apparmor=text("apparmor") == "Y",
        firewalld=text("firewalld") == "running",
        ufw="yes" in text("ufw"),
        docker_sources=tuple(text.lines("docker_sources")),
        repository=_repository(text),
        odd_engines=frozenset(text.lines("odd_engines")),
        daemon_json=text.raw("daemon_json"),
        daemon_json_path=text("daemon_json_path") or DAEMON_JSON,
        engine=_engine(text),
        manifest=_manifest(text),
        installed=tuple(text.lines("installed")),
        extras=tuple(text.lines("extras")),
    )


def _addresses(lines: list[str]) -> tuple[str, ...]:
    found = []
    for line in lines:
        words = line.split()
        usable = len(words) > 3 and not {"temporary", "deprecated", "tentative"} & set(words)
        if usable and words[2] in ("inet", "inet6") and not _VIRTUAL.match(words[1]):
            found.append(words[3].partition("/")[0])
    return tuple(dict.fromkeys(found))


def _bridges(lines: list[str]) -> tuple[str, ...]:
    """Return the networks of the engine's own bridges, as ``ADDRESS/BITS`` of the bridge in them."""
    words = [line.split() for line in lines]
    found = (one for one in words if len(one) > 3 and one[2] in ("inet", "inet6"))
    return tuple(dict.fromkeys(one[3] for one in found if _ENGINES.match(one[1])))


def _free(lines: list[str]) -> dict[str, int]:
    parts = (line.rpartition(" ") for line in lines)
    return {path: _number(kib, "free") * 1024 for path, _, kib in parts}


def _clock(text: str) -> float | None:
    digits = re.match(r"\d+(\.\d+)?", text)  # busybox prints no fraction
    if digits and len(digits[0]) > CLOCK_DIGITS:
        raise _wrong("clock", text)
    return float(digits[0]) if digits else None


def _listeners(lines: list[str]) -> dict[int, str]:
    found = {}
    for line in lines:
        words = line.split()
        name = re.search(r'users:\(\("([^"]+)"', line)
        if len(words) > 3 and name and (port := words[3].rpartition(":")[2]).isdigit():
            found[_number(port, "listeners", limit=PORTS)] = name[1]
    return found


def _repository(text: _Texts) -> tuple[DockerRepo, ...] | None:
    if text.raw("repository") is None:
        return None
    parts = (line.partition(" ") for line in text.lines("repository"))
    return tuple(DockerRepo(distro, suite) for distro, _, suite in parts)


def _engine(text: _Texts) -> EngineFacts | None:
    if not text("unit") and not text("dockerd"):
        return None
    properties = dict(line.partition("=")[::2] for line in text.lines("unit_properties"))
    package, _, package_version = text("package").partition(" ")
    version = re.search(r"version ([^\s,]+)", text("dockerd_version"))
    running = _containers(text)
    return EngineFacts(
        dockerd=text("dockerd"),
        unit=text("unit"),
        version=version[1] if version else "",
        package=package,
        package_version=package_version,
        offered=tuple(text.lines("offered")),
        active=properties.get("ActiveState") in ("active", "reloading") or text("openrc_active") == "yes",
        fragment=properties.get("FragmentPath", ""),
        drop_ins=tuple(properties.get("DropInPaths", "").split()),
        unit_text=text("unit_text") or text("conf_d"),
        environment=text("unit_environment"),
        cmdline=tuple(text("cmdline").rstrip("\0").split("\0")) if text("cmdline") else (),
        socket=text("socket"),
        info=_info(text.json("info")),
        containers=tuple(sorted(row.name for row in running)),
        tasks={row.name: row.service for row in running if row.service},
    )


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


def _info(document: Any) -> dict[str, Any]:
    """Return the engine's /info, empty where it did not answer. Raises ``EngineError`` for a wrong shape."""
    if document is None:
        return {}
    try:
        from_document(_Info, document)
    except (TypeError, ValueError) as error:
        raise _wrong("info", str(error)) from error
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


def _containers(text: _Texts) -> list[_Container]:
    """Read the running containers: a JSON list from the API, or one document a line from the client."""
    said = text("containers")
    try:
        rows = parse_json(said) if said.startswith("[") else [parse_json(line) for line in said.splitlines()]
    except ValueError:
        return []
    try:
        return [from_document(_Container, row) for row in rows]
    except (TypeError, ValueError) as error:
        raise _wrong("containers", str(error)) from error


def _manifest(text: _Texts) -> Mapping[str, Any] | None:
    document = text.json("manifest")
    return document if isinstance(document, dict) else None
