"""A machine's config.json, of each version that docker-machine wrote (0 to 3), as one type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymachine.strict_json import parse_json

NEWEST = 3
DEFAULT_SCRIPT = "https://get.docker.com"


@dataclass(frozen=True, slots=True)
class RecordedEngine:
    """The options of the engine, as docker-machine was given them."""

    install_url: str = ""
    storage_driver: str = ""
    opts: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedFiles:
    """Paths of certificates and keys, absolute, of the computer that wrote them; empty where none is on record."""

    ca: str = ""
    ca_key: str = ""
    server: str = ""
    server_key: str = ""
    client: str = ""
    client_key: str = ""
    sans: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """A machine of docker-machine. ``driver`` is the name of its driver, ``raw`` what that one keeps for itself.

    ``swarm`` says that it took part in a Swarm of before the engine's own.
    """

    name: str
    driver: str
    raw: Mapping[str, Any]
    engine: RecordedEngine = field(default_factory=RecordedEngine)
    files: RecordedFiles = field(default_factory=RecordedFiles)
    swarm: bool = False


def read_config(name: str, data: bytes) -> MachineConfig:
    """Return the configuration of a machine. Raises ``ValueError`` with the reason for what is not one."""
    if not data.strip():
        raise ValueError("its config.json is empty")
    try:
        document = parse_json(data)
    except ValueError as error:
        raise ValueError(f"its config.json is not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise ValueError("its config.json is not a JSON object")
    version = document.get("ConfigVersion", 0)
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= NEWEST:
        raise ValueError(f"its config.json is of version {version!r}, and {NEWEST} is the newest that is known")
    raw, driver = document.get("Driver"), document.get("DriverName")
    if not isinstance(raw, Mapping) or not isinstance(driver, str) or not driver:
        raise ValueError("its config.json does not name a driver")
    host = _mapping(document, "HostOptions")
    swarm = _mapping(host, "SwarmOptions") if version else document
    return MachineConfig(
        name,
        driver,
        raw,
        _engine(_mapping(host, "EngineOptions")),
        _files(document if version == 0 else _mapping(host, "AuthOptions")),
        bool(swarm.get("IsSwarm") or swarm.get("Discovery") or swarm.get("SwarmDiscovery")),
    )


def _engine(options: Mapping[str, Any]) -> RecordedEngine:
    return RecordedEngine(
        _text(options, "InstallURL"),
        _text(options, "StorageDriver"),
        _texts(options, "ArbitraryFlags"),
        _texts(options, "Env"),
        _texts(options, "Labels"),
        _texts(options, "InsecureRegistry"),
        _texts(options, "RegistryMirror"),
    )


def _files(options: Mapping[str, Any]) -> RecordedFiles:
    """Versions 0 and 1 called the authority's key ``PrivateKeyPath``."""
    return RecordedFiles(
        _text(options, "CaCertPath"),
        _text(options, "CaPrivateKeyPath") or _text(options, "PrivateKeyPath"),
        _text(options, "ServerCertPath"),
        _text(options, "ServerKeyPath"),
        _text(options, "ClientCertPath"),
        _text(options, "ClientKeyPath"),
        _texts(options, "ServerCertSANs"),
    )


# Go writes null for what is not set; a value of another type is a configuration that something else wrote.


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key)
    if found is not None and not isinstance(found, Mapping):
        raise _wrong(key, "an object")
    return found or {}


def _text(document: Mapping[str, Any], key: str) -> str:
    found = document.get(key)
    if found is not None and not isinstance(found, str):
        raise _wrong(key, "a text")
    return found or ""


def _texts(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = document.get(key)
    if found is not None and not (isinstance(found, list) and all(isinstance(each, str) for each in found)):
        raise _wrong(key, "a list of texts")
    return tuple(found or ())


def _wrong(key: str, expected: str) -> ValueError:
    return ValueError(f"its config.json is not one of docker-machine: {key} is not {expected}")
