"""Converts the engine API's Swarm documents to values and back. Pure; durations there are nanoseconds."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from pymachine.swarm_api.api_reader import read, read_all, short
from pymachine.swarm_api.api_types import (
    ApiAuthority,
    ApiCluster,
    ApiInfo,
    ApiJoinTokens,
    ApiNetwork,
    ApiNode,
    ApiNodeDescription,
    ApiNodeSpec,
    ApiNodeState,
    ApiSwarmPlace,
    ApiSwarmSpec,
)
from pymachine.swarm_api.protocol import DATA_PATH_PORT, INACTIVE, Cluster, NodeStatus, SwarmSettings
from pymachine.swarm_api.view import SwarmNode

SECOND = 1_000_000_000
ERROR_LIMIT = 1000  # characters

Document = Mapping[str, Any]


def node_status_of(document: Any) -> NodeStatus:
    """Read the answer of ``/info``. Raises ``ValueError`` for a wrong shape, as all that read here do."""
    info = read(ApiInfo, document)
    swarm = info.Swarm or ApiSwarmPlace()
    return NodeStatus(
        state=short(swarm.LocalNodeState) or INACTIVE,
        node=short(swarm.NodeID),
        cluster=short(swarm.Cluster.ID) if swarm.Cluster else "",
        address=short(swarm.NodeAddr),
        managers=tuple((short(manager.NodeID), short(manager.Addr)) for manager in swarm.RemoteManagers or ()),
        control=swarm.ControlAvailable,
        trouble=swarm.Error[:ERROR_LIMIT],
        hostname=short(info.Name),
        live_restore=info.LiveRestoreEnabled,
        firewall=short(info.FirewallBackend.Driver) if info.FirewallBackend else "",
    )


def node_of(document: Any) -> SwarmNode:
    """Read one node of ``/nodes``."""
    node = read(ApiNode, document)
    spec, host, manager = node.Spec or ApiNodeSpec(), node.Description or ApiNodeDescription(), node.ManagerStatus
    status = node.Status or ApiNodeState()
    return SwarmNode(
        id=short(node.ID),
        hostname=short(host.Hostname),
        role=short(spec.Role),
        availability=short(spec.Availability),
        state=short(status.State),
        address=_address(short(status.Addr), short(manager.Addr) if manager else ""),
        engine=short(host.Engine.EngineVersion) if host.Engine else "",
        labels=dict(spec.Labels or {}),
        manager_address=manager.Addr if manager else "",
        reachable=bool(manager and manager.Reachability == "reachable"),
        leader=bool(manager and manager.Leader),
    )


def _address(told: str, manager: str) -> str:
    """A manager's own entry may call itself 0.0.0.0 (moby#35437)."""
    unspecified = told in ("", "0.0.0.0", "127.0.0.1")
    return manager.rpartition(":")[0].strip("[]") if unspecified else told


def cluster_of(document: Any) -> Cluster:
    """Read the answer of ``/swarm``."""
    cluster = read(ApiCluster, document)
    tokens = cluster.JoinTokens or ApiJoinTokens()
    settings = settings_of(cluster.Spec or {})
    return Cluster(
        id=short(cluster.ID),
        autolock=bool(settings.autolock),
        settings=settings,
        pools=tuple(str(ip_network(pool, strict=False)) for pool in cluster.DefaultAddrPool or ()),
        data_path_port=cluster.DataPathPort or DATA_PATH_PORT,
        worker_token=short(tokens.Worker),
        manager_token=short(tokens.Manager),
        rotating=cluster.RootRotationInProgress,
    )


def settings_of(spec: Document) -> SwarmSettings:
    """Read a Swarm's spec."""
    found = read(ApiSwarmSpec, spec)
    return SwarmSettings(
        autolock=bool(found.EncryptionConfig and found.EncryptionConfig.AutoLockManagers),
        task_history=found.Orchestration.TaskHistoryRetentionLimit if found.Orchestration else None,
        certificate_life=_seconds(found.CAConfig.NodeCertExpiry) if found.CAConfig else None,
        heartbeat=_seconds(found.Dispatcher.HeartbeatPeriod) if found.Dispatcher else None,
    )


def subnets_of(networks: Any) -> tuple[str, ...]:
    """Read the networks of ``/networks`` that have addresses."""
    found = [
        block for network in read_all(ApiNetwork, networks) if network.IPAM for block in network.IPAM.Config or ()
    ]
    return tuple(str(ip_network(block.Subnet, strict=False)) for block in found if block.Subnet)


def spec_with(spec: Document, settings: SwarmSettings, *, new_authority: bool = False) -> dict[str, Any]:
    """Return a Swarm's spec with these settings; ``new_authority`` raises the counter that replaces its CA."""
    read(ApiSwarmSpec, spec)
    changed = {key: dict(value) if isinstance(value, Mapping) else value for key, value in spec.items()}
    wanted = (
        ("EncryptionConfig", "AutoLockManagers", settings.autolock),
        ("Orchestration", "TaskHistoryRetentionLimit", settings.task_history),
        ("CAConfig", "NodeCertExpiry", _nanoseconds(settings.certificate_life)),
        ("Dispatcher", "HeartbeatPeriod", _nanoseconds(settings.heartbeat)),
    )
    for part, key, value in wanted:
        if value is not None:
            changed[part] = {**(changed.get(part) or {}), key: value}
    if new_authority:
        authority = dict(changed.get("CAConfig") or {})
        authority["ForceRotate"] = (read(ApiAuthority, authority).ForceRotate or 0) + 1
        for given in ("SigningCACert", "SigningCAKey"):  # else the engine would continue to use these
            authority.pop(given, None)
        changed["CAConfig"] = authority
    return changed


def _seconds(nanoseconds: int | None) -> int | None:
    return None if nanoseconds is None else nanoseconds // SECOND


def _nanoseconds(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * SECOND
