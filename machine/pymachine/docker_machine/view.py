"""A machine as docker-machine shows its own: the document that its config.json has, for formats and callers of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pymachine.docker_machine.config import DEFAULT_SCRIPT, NEWEST
from pymachine.errors import UsageFault
from pymachine.model import EngineSpec, Machine
from pymachine.redaction import hidden_value, redacted
from pymachine.sizes import GIB, MIB, parse_size
from pymachine.store.client_files import LOGIN_KEY

THEIR_NAMES = {"ssh": "generic", "aws": "amazonec2", "kvm": "kvm", "none": "none"}
OURS = {"generic": "ssh", "amazonec2": "aws", "kvm2": "kvm", "libvirt": "kvm"}  # names that are ours too


def _as_is(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    """Return a text; of several the first, which is tried first."""
    found = value[0] if isinstance(value, list | tuple) and value else value
    return found if isinstance(found, str) else ""


def _in(unit: int) -> Callable[[Any], int]:
    """Return what converts the text of a size to a number of units; 0 for what is not one."""

    def count(value: Any) -> int:
        try:
            return parse_size(str(value), "size") // unit
        except UsageFault:
            return 0

    return count


# By the name of our driver: its options under the names of docker-machine's driver, and of its types.
_OPTIONS: Mapping[str, Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "aws": {
        "aws_region": ("Region", _text), "aws_instance_type": ("InstanceType", _text), "aws_image": ("AMI", _text),
        "aws_zone": ("Zone", _text), "aws_vpc": ("VpcId", _text), "aws_subnet": ("SubnetId", _text),
        "aws_volume_type": ("VolumeType", _text), "aws_root_size": ("RootSize", _in(GIB)),
        "aws_security_group": ("SecurityGroupNames", list), "aws_open_port": ("OpenPorts", list),
        "aws_instance_profile": ("IamInstanceProfile", _text), "aws_spot": ("RequestSpotInstance", bool),
        "aws_spot_price": ("SpotPrice", _text), "aws_monitoring": ("Monitoring", bool),
        "aws_ebs_optimized": ("UseEbsOptimizedInstance", bool), "aws_use_private_address": ("UsePrivateIP", bool),
        "aws_private_address_only": ("PrivateIPOnly", bool), "aws_endpoint_url": ("Endpoint", _text),
    },
    "kvm": {
        "kvm_memory": ("Memory", _in(MIB)), "kvm_cpus": ("CPU", _as_is), "kvm_disk": ("DiskSize", _in(MIB)),
        "kvm_network": ("Network", _text),
    },
}  # fmt: skip
# Likewise what they remember of an instance.
_HANDLES: Mapping[str, Mapping[str, str]] = {"aws": {"instance": "InstanceId", "key_pair": "KeyName"}}


def config_of(machine: Machine, store: Path, client: Path) -> dict[str, Any]:
    """Return the document: keys and shapes of version 3, without secrets.

    ``store`` is the folder of the store, ``client`` that of the machine's client certificates: docker-machine's
    callers take ca.pem, cert.pem and key.pem from ``AuthOptions.StorePath``.
    """
    return {
        "ConfigVersion": NEWEST,
        "Driver": _driver(machine, store, client),
        "DriverName": their_name(machine.driver),
        "HostOptions": {
            "Driver": "",
            "Memory": 0,
            "Disk": 0,
            "EngineOptions": _engine(machine.engine),
            "SwarmOptions": _swarm(),
            "AuthOptions": _auth(machine, client),
        },
        "Name": machine.name,
    }


def their_name(driver: str) -> str:
    """Return what docker-machine calls a driver; other drivers keep their names."""
    return THEIR_NAMES.get(driver, driver)


def _driver(machine: Machine, store: Path, client: Path) -> dict[str, Any]:
    ssh, endpoint = machine.ssh, machine.endpoint
    key = "" if ssh is None or ssh.key_path is None else ssh.key_path
    own = _own(machine)
    return {
        "IPAddress": endpoint.host if endpoint else "",
        "MachineName": machine.name,
        "SSHUser": "" if ssh is None else ssh.user or "root",
        "SSHPort": 0 if ssh is None else ssh.port or 22,
        "SSHKeyPath": str(client / LOGIN_KEY) if key == LOGIN_KEY else key,
        "StorePath": str(store),
        "SwarmMaster": False,
        "SwarmHost": "",
        "SwarmDiscovery": "",
        **({"EnginePort": endpoint.port} if endpoint else {}),
        **({"URL": endpoint.url} if endpoint and machine.driver == "none" else {}),
        **redacted(own),
    }


def _own(machine: Machine) -> dict[str, Any]:
    """Return what docker-machine's driver keeps for itself, as far as ours has it."""
    driver = OURS.get(machine.driver, machine.driver)
    named = _OPTIONS.get(driver, {})
    known = {named[name][0]: named[name][1](value or "") for name, value in machine.options.items() if name in named}
    remembered = _HANDLES.get(driver, {})
    handle = machine.handle or {}
    return known | {name: _text(handle[key]) for key, name in remembered.items() if key in handle}


def _engine(engine: EngineSpec) -> dict[str, Any]:
    return {
        "ArbitraryFlags": redacted(list(engine.opts)),
        "Dns": None,
        "GraphDir": "",
        "Env": [hidden_value(pair) for pair in engine.env],
        "Ipv6": False,
        "InsecureRegistry": list(engine.insecure_registries),
        "Labels": list(engine.labels),
        "LogLevel": "",
        "StorageDriver": engine.storage_driver or "",
        "SelinuxEnabled": False,
        "TlsVerify": True,
        "RegistryMirror": redacted(list(engine.registry_mirrors)),
        "InstallURL": redacted(engine.install) if "://" in engine.install else DEFAULT_SCRIPT,
    }


def _swarm() -> dict[str, Any]:
    """The Swarm of before the engine's own, which no machine is in."""
    return {
        "IsSwarm": False, "Address": "", "Discovery": "", "Agent": False, "Master": False, "Host": "", "Image": "",
        "Strategy": "", "Heartbeat": 0, "Overcommit": 0, "ArbitraryFlags": [], "ArbitraryJoinFlags": [], "Env": None,
        "IsExperimental": False,
    }  # fmt: skip


def _auth(machine: Machine, client: Path) -> dict[str, Any]:
    """The authority's and the server's keys are in the store's database, where no path leads."""
    return {
        "CertDir": str(client),
        "CaCertPath": str(client / "ca.pem"),
        "CaPrivateKeyPath": "",
        "CaCertRemotePath": "",
        "ServerCertPath": "",
        "ServerKeyPath": "",
        "ClientKeyPath": str(client / "key.pem"),
        "ServerCertRemotePath": "",
        "ServerKeyRemotePath": "",
        "ClientCertPath": str(client / "cert.pem"),
        "ServerCertSANs": list(machine.engine.sans),
        "StorePath": str(client),
    }


# The columns that docker-machine heads its list with, by the fields of a format.
LIST_HEADERS: Mapping[str, str] = {
    "Name": "NAME", "Active": "ACTIVE", "ActiveHost": "ACTIVE_HOST", "ActiveSwarm": "ACTIVE_SWARM",
    "DriverName": "DRIVER", "State": "STATE", "URL": "URL", "SwarmOptions": "SWARM_OPTIONS", "Swarm": "SWARM",
    "EngineOptions": "ENGINE_OPTIONS", "Error": "ERRORS", "DockerVersion": "DOCKER", "ResponseTime": "RESPONSE",
}  # fmt: skip


def list_fields(row: Mapping[str, Any], machine: Machine | None) -> dict[str, Any]:
    """Return a row of the list, which is a document, under docker-machine's names; None for a record not readable."""
    seconds = row["seconds"]
    return {
        "Name": row["name"],
        "Active": "*" if row["active"] else "-",
        "ActiveHost": row["active"],
        "ActiveSwarm": False,
        "DriverName": "not found" if machine is None else their_name(machine.driver),
        "State": row["state"],
        "URL": row["url"] or "",
        "SwarmOptions": _swarm(),
        "Swarm": "",
        "EngineOptions": {} if machine is None else _engine(machine.engine),
        "Error": "; ".join(row["errors"]),
        "DockerVersion": f"v{row['engine']}" if row["engine"] else "Unknown",
        "ResponseTime": "" if seconds is None else _duration(seconds),
    }


def _duration(seconds: float) -> str:
    """Return a duration as Go writes it, in whole milliseconds: ``12ms``, ``1.5s``, ``1m2s``."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{text}" if minutes else text
