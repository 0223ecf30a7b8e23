"""The engine API's documents of a Swarm as values, and values as documents. Pure; durations there are nanoseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymachine.swarm_api.protocol import DATA_PATH_PORT, Cluster, EngineSwarmState, SwarmSettings
from pymachine.swarm_api.view import WORKER, SwarmNode

SECOND = 1_000_000_000

Document = Mapping[str, Any]


def standing_of(info: Document) -> EngineSwarmState:
    """Read the answer of ``/info``."""
    swarm = info.get("Swarm") or {}
    known = swarm.get("RemoteManagers") or ()
    return EngineSwarmState(
        state=swarm.get("LocalNodeState") or "inactive",
        node=swarm.get("NodeID", ""),
        cluster=(swarm.get("Cluster") or {}).get("ID", ""),
        address=swarm.get("NodeAddr", ""),
        managers=tuple((manager.get("NodeID", ""), manager.get("Addr", "")) for manager in known),
        control=bool(swarm.get("ControlAvailable")),
        trouble=swarm.get("Error", ""),
        hostname=info.get("Name", ""),
        live_restore=bool(info.get("LiveRestoreEnabled")),
    )


def node_of(document: Document) -> SwarmNode:
    """Read one node of ``/nodes``."""
    spec, status, host = document.get("Spec") or {}, document.get("Status") or {}, document.get("Description") or {}
    manager = document.get("ManagerStatus") or {}
    return SwarmNode(
        id=document["ID"],
        hostname=host.get("Hostname", ""),
        role=spec.get("Role", WORKER),
        availability=spec.get("Availability", "active"),
        state=status.get("State", "unknown"),
        address=_address(status, manager),
        engine=(host.get("Engine") or {}).get("EngineVersion", ""),
        labels=dict(spec.get("Labels") or {}),
        manager_address=manager.get("Addr", "") if manager else "",
        reachable=manager.get("Reachability") == "reachable",
        leader=bool(manager.get("Leader")),
    )


def _address(status: Document, manager: Document) -> str:
    """A manager's own entry may call itself 0.0.0.0 (moby#35437)."""
    told = str(status.get("Addr", ""))
    unspecified = told in ("", "0.0.0.0", "127.0.0.1")
    return str(manager.get("Addr", "")).rpartition(":")[0].strip("[]") if unspecified else told


def cluster_of(document: Document) -> Cluster:
    """Read the answer of ``/swarm``."""
    tokens = document.get("JoinTokens") or {}
    settings = settings_of(document.get("Spec") or {})
    return Cluster(
        id=document["ID"],
        autolock=bool(settings.autolock),
        settings=settings,
        pools=tuple(document.get("DefaultAddrPool") or ()),
        data_path_port=document.get("DataPathPort") or DATA_PATH_PORT,
        worker_token=tokens.get("Worker", ""),
        manager_token=tokens.get("Manager", ""),
        rotating=bool(document.get("RootRotationInProgress")),
    )


def settings_of(spec: Document) -> SwarmSettings:
    """Read a Swarm's spec."""
    return SwarmSettings(
        autolock=bool(_part(spec, "EncryptionConfig").get("AutoLockManagers")),
        task_history=_part(spec, "Orchestration").get("TaskHistoryRetentionLimit"),
        certificate_life=_seconds(_part(spec, "CAConfig").get("NodeCertExpiry")),
        heartbeat=_seconds(_part(spec, "Dispatcher").get("HeartbeatPeriod")),
    )


def spec_with(spec: Document, settings: SwarmSettings, *, new_authority: bool = False) -> dict[str, Any]:
    """Return a Swarm's spec with these settings; ``new_authority`` counts up what makes its CA anew."""
    changed = {key: dict(value) if isinstance(value, Mapping) else value for key, value in spec.items()}
    wanted = (
        ("EncryptionConfig", "AutoLockManagers", settings.autolock),
        ("Orchestration", "TaskHistoryRetentionLimit", settings.task_history),
        ("CAConfig", "NodeCertExpiry", _nanoseconds(settings.certificate_life)),
        ("Dispatcher", "HeartbeatPeriod", _nanoseconds(settings.heartbeat)),
    )
    for part, key, value in wanted:
        if value is not None:
            changed.setdefault(part, {})[key] = value
    if new_authority:
        authority = changed.setdefault("CAConfig", {})
        authority["ForceRotate"] = int(authority.get("ForceRotate") or 0) + 1
        for given in ("SigningCACert", "SigningCAKey"):  # else the engine would go on with these
            authority.pop(given, None)
    return changed


def _part(spec: Document, name: str) -> Document:
    part = spec.get(name)
    return part if isinstance(part, Mapping) else {}


def _seconds(nanoseconds: int | None) -> int | None:
    return None if nanoseconds is None else nanoseconds // SECOND


def _nanoseconds(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * SECOND
