"""Conditions that a host must meet before anything on it is touched.

Checks return sentences, none if all is well, or raise ``CheckFailed``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pymachine.engine.exec_start import exec_start
from pymachine.engine.host_facts import EngineFacts, HostFacts
from pymachine.engine.manifest import Manifest
from pymachine.engine.options import TLS_KEYS, key_of_flag
from pymachine.engine.os_family import Family
from pymachine.errors import CheckFailed
from pymachine.model import EngineSpec
from pymachine.options.values import passes_on

MIB = 1024 * 1024
# Free space, in MiB, that a set-up needs: with the engine's packages, and for the configuration alone.
_ROOM_TO_INSTALL = {"/usr": 400, "/var": 200, "/etc": 1, "/run": 4}
_ROOM_TO_CONFIGURE = {"/var/lib": 4, "/etc": 1, "/run": 4}
_NAME = "[A-Za-z_][A-Za-z0-9_]*"


def check_owner(manifest: Manifest | None, name: str, machine_id: str, *, take_over: bool) -> None:
    """Refuse a host that belongs to another machine. Raises ``CheckFailed``."""
    if manifest is None or manifest.id == machine_id or take_over:
        return
    raise CheckFailed(
        f"the host already belongs to machine {manifest.name}",
        hint=f"remove that one first (pymachine rm {manifest.name}); if its record is permanently lost, delete"
        " /var/lib/pymachine/manifest.json on the host",
    )


def check_room(facts: HostFacts, *, installing: bool) -> None:
    """Refuse a host whose disk is full. Raises ``CheckFailed`` with every folder that has too little space."""
    needs = _ROOM_TO_INSTALL if installing else _ROOM_TO_CONFIGURE
    short = [
        f"{folder} has {room // MIB} MiB free, {needed} MiB are needed"
        for folder, needed in needs.items()
        if (room := facts.room(folder)) is not None and room < needed * MIB
    ]
    if short:
        raise CheckFailed("the host's disk is full: " + "; ".join(short), hint="make room on the host and try again")


def port_conflicts(facts: HostFacts, port: int, manifest: Manifest | None) -> list[str]:
    """Name the process at the engine's port, unless it is the engine that an earlier set-up configured."""
    if port not in facts.listening or (manifest is not None and manifest.port == port):
        return []
    holder = facts.listeners.get(port, "another program")
    if holder == "dockerd":  # then its own flags or hosts are named as conflicts
        return []
    return [f"TCP port {port} is in use by {holder}"]


def listener_conflicts(engine: EngineFacts | None, hosts: list[Any], ports: set[int]) -> list[str]:
    """Name other TCP sockets of the engine: requiring client certificates would affect them as well.

    ``ports`` are the wanted port and the former one. A socket on all addresses of such a port is accepted.
    """
    given = [*(engine.flags.get("host", []) if engine else []), *map(str, hosts)]
    fitting = {f"tcp://{address}:{port}" for address in ("[::]", "0.0.0.0", "") for port in ports}
    others = sorted({host for host in given if host.startswith("tcp:") and host not in fitting})
    return [f"the engine listens on {host} already, because of its own configuration" for host in others]


def socket_conflicts(engine: EngineFacts | None, previous: Manifest | None) -> list[str]:
    """Name TCP ports that systemd opens for the engine: their clients have no certificate.

    If a set-up of pymachine is already on the host, the engine requires certificates there anyway.
    """
    if engine is None or previous is not None:
        return []
    return [
        f"{one.unit} listens on {one.address} already, and its clients there have no certificate"
        for one in engine.socket_units
        if one.is_tcp
    ]


def open_listeners(engine: EngineFacts | None, theirs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sockets beyond this host on which the engine requires no certificate now."""
    if engine is None:
        return ()
    units = [one for one in engine.socket_units if not one.is_file]
    if _demanded(engine.flags.get("tlsverify"), theirs.get("tlsverify")):
        return tuple(one.address for one in units if not one.is_tcp)
    given = [*engine.flags.get("host", []), *map(str, theirs.get("hosts", []))]
    return tuple(
        dict.fromkeys([*(host for host in given if host.startswith("tcp:")), *(one.address for one in units)])
    )


def _demanded(flag: list[str] | None, key: object) -> bool:
    return flag[-1] != "false" if flag else key is True


def flag_conflicts(engine: EngineFacts, wanted: Mapping[str, Any]) -> list[str]:
    """Name keys that the engine gets as flags: dockerd does not start if a key is in the file as well."""
    _, origin = exec_start(engine.unit_text)
    # Our own drop-in has them together, with our files.
    ours = TLS_KEYS if engine.flags.get("tlskey") == [TLS_KEYS["tlskey"]] else {}
    found = sorted(flag for flag in engine.flags if key_of_flag(flag) in wanted and flag not in ours)
    return [f"--{flag} is given as a flag in {origin or 'the unit'}" for flag in found]


def storage_conflicts(engine: EngineFacts, wanted: Mapping[str, Any]) -> list[str]:
    """Refuse another storage driver for an engine with data, because images and containers would seem to be gone."""
    driver = wanted.get("storage-driver")
    if not driver or not engine.storage_driver or driver == engine.storage_driver or not engine.has_data:
        return []
    return [f"storage driver {driver} would hide the images and containers of {engine.storage_driver}"]


def swarm_conflicts(engine: EngineFacts, wanted: Mapping[str, Any]) -> list[str]:
    """Refuse live-restore for a Swarm member, which does not start with it."""
    if engine.swarm and wanted.get("live-restore"):
        return ["a Swarm member cannot use live-restore"]
    return []


def check_version(spec: EngineSpec, engine: EngineFacts | None, *, allow_downgrade: bool = False) -> None:
    """Refuse a version that differs from the installed engine's. Raises ``CheckFailed``."""
    if engine is None or not spec.version or not engine.version or matches_version(engine.version, spec.version):
        return
    if compare_versions(spec.version, engine.version) > 0:
        raise CheckFailed(
            f"engine {engine.version} is installed, {spec.version} is requested",
            hint="omit --engine-version to use it as it is, then use pymachine upgrade",
        )
    if not allow_downgrade:
        raise CheckFailed(
            f"engine {engine.version} is installed, {spec.version} would be a downgrade",
            hint="engines cannot read what newer ones wrote; omit --engine-version",
        )


def check_choice_of_version(version: str | None, family: Family | None) -> None:
    """Refuse a version if the package manager offers only one. Raises ``CheckFailed``."""
    if version and family in (Family.ZYPPER, Family.PACMAN, Family.APK):
        raise CheckFailed(
            f"this system has a single engine version: {family} offers no others",
            hint="omit --engine-version",
        )


def matches_version(version: str, wanted: str) -> bool:
    """Whether ``26.1.5+dfsg1`` or ``5:26.1.5-1~debian`` is the requested ``26.1.5`` (or ``26.1``, or ``26``)."""
    have = upstream(version)
    return version == wanted or have == upstream(wanted) or have.startswith(wanted + ".")


def upstream(version: str) -> str:
    """Return the upstream part of a package version: no epoch, no revision, no build suffix."""
    return re.split(r"[-+~]", version.rpartition(":")[2])[0]


def compare_versions(one: str, other: str) -> int:
    """Return -1, 0 or 1 by the numbers of the upstream parts."""
    first, second = (tuple(map(int, re.findall(r"\d+", upstream(v)))) for v in (one, other))
    length = min(len(first), len(second))
    return (first[:length] > second[:length]) - (first[:length] < second[:length])


def environment_pairs(assignments: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Split ``NAME=value``. Raises ``CheckFailed`` for what is not an environment variable."""
    pairs = []
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not re.fullmatch(_NAME, name):
            raise CheckFailed(f"engine environment {name!r} is not of the form NAME=value")
        if not passes_on(value):
            raise CheckFailed(f"engine environment {name} contains a control character, which services do not accept")
        pairs.append((name, value))
    return tuple(pairs)
