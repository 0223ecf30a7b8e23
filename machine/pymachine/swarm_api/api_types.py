"""The parts of the Engine API's documents that are read, by the names that the API gives to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ApiPeer:
    """A manager that an engine knows."""

    NodeID: str = ""
    Addr: str = ""


@dataclass(frozen=True, slots=True)
class ApiIdentified:
    """What has an id."""

    ID: str = ""


@dataclass(frozen=True, slots=True)
class ApiSwarmPlace:
    """``Swarm`` of ``/info``."""

    LocalNodeState: str = ""
    NodeID: str = ""
    NodeAddr: str = ""
    ControlAvailable: bool = False
    Error: str = ""
    RemoteManagers: tuple[ApiPeer, ...] | None = None
    Cluster: ApiIdentified | None = None


@dataclass(frozen=True, slots=True)
class ApiFirewallBackend:
    """``FirewallBackend`` of ``/info``, from API 1.49 on: ``iptables``, ``nftables``, with ``+firewalld``."""

    Driver: str = ""


@dataclass(frozen=True, slots=True)
class ApiInfo:
    """``/info``."""

    Name: str = ""
    LiveRestoreEnabled: bool = False
    Swarm: ApiSwarmPlace | None = None
    FirewallBackend: ApiFirewallBackend | None = None
    SystemTime: str = ""


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """What a change names, so that one made in between is noticed."""

    Index: int


@dataclass(frozen=True, slots=True)
class ApiVersioned:
    """A document that can be changed: its ``Spec`` is sent back whole."""

    Version: ApiVersion
    Spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApiNodeSpec:
    """``Spec`` of a node."""

    Role: str = "worker"
    Availability: str = "active"
    Labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ApiNodeState:
    """``Status`` of a node."""

    State: str = "unknown"
    Addr: str = ""


@dataclass(frozen=True, slots=True)
class ApiNodeEngine:
    """``Description.Engine`` of a node."""

    EngineVersion: str = ""


@dataclass(frozen=True, slots=True)
class ApiNodeDescription:
    """``Description`` of a node."""

    Hostname: str = ""
    Engine: ApiNodeEngine | None = None


@dataclass(frozen=True, slots=True)
class ApiManagerState:
    """``ManagerStatus`` of a node."""

    Leader: bool = False
    Reachability: str = ""
    Addr: str = ""


@dataclass(frozen=True, slots=True)
class ApiNode:
    """One of ``/nodes``."""

    ID: str
    Spec: ApiNodeSpec | None = None
    Description: ApiNodeDescription | None = None
    Status: ApiNodeState | None = None
    ManagerStatus: ApiManagerState | None = None


@dataclass(frozen=True, slots=True)
class ApiJoinTokens:
    """``JoinTokens`` of ``/swarm``."""

    Worker: str = field(default="", repr=False)
    Manager: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ApiCluster:
    """``/swarm``."""

    ID: str
    Spec: Mapping[str, Any] | None = None
    JoinTokens: ApiJoinTokens | None = None
    DefaultAddrPool: tuple[str, ...] | None = None
    DataPathPort: int | None = None
    RootRotationInProgress: bool = False


@dataclass(frozen=True, slots=True)
class ApiEncryption:
    """``EncryptionConfig`` of a Swarm's spec."""

    AutoLockManagers: bool = False


@dataclass(frozen=True, slots=True)
class ApiOrchestration:
    """``Orchestration`` of a Swarm's spec."""

    TaskHistoryRetentionLimit: int | None = None


@dataclass(frozen=True, slots=True)
class ApiAuthority:
    """``CAConfig`` of a Swarm's spec; nanoseconds."""

    NodeCertExpiry: int | None = None
    ForceRotate: int | None = None


@dataclass(frozen=True, slots=True)
class ApiDispatcher:
    """``Dispatcher`` of a Swarm's spec; nanoseconds."""

    HeartbeatPeriod: int | None = None


@dataclass(frozen=True, slots=True)
class ApiSwarmSpec:
    """``Spec`` of ``/swarm``."""

    EncryptionConfig: ApiEncryption | None = None
    Orchestration: ApiOrchestration | None = None
    CAConfig: ApiAuthority | None = None
    Dispatcher: ApiDispatcher | None = None


@dataclass(frozen=True, slots=True)
class ApiUnlockKey:
    """``/swarm/unlockkey``."""

    UnlockKey: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ApiEnded:
    """``Status.ContainerStatus`` of a task."""

    ExitCode: int | None = None


@dataclass(frozen=True, slots=True)
class ApiTaskState:
    """``Status`` of a task."""

    State: str = ""
    Err: str = ""
    Timestamp: str = ""
    ContainerStatus: ApiEnded | None = None


@dataclass(frozen=True, slots=True)
class ApiTask:
    """One of ``/tasks``."""

    ID: str = ""
    ServiceID: str = ""
    DesiredState: str = ""
    Slot: int | None = None
    Status: ApiTaskState = ApiTaskState()


@dataclass(frozen=True, slots=True)
class ApiReplicated:
    """``Mode.Replicated`` of a service."""

    Replicas: int | None = None


@dataclass(frozen=True, slots=True)
class ApiReplicatedJob:
    """``Mode.ReplicatedJob`` of a service."""

    TotalCompletions: int | None = None


@dataclass(frozen=True, slots=True)
class ApiServiceMode:
    """``Mode`` of a service; the one that is there is the one that it has."""

    Replicated: ApiReplicated | None = None
    ReplicatedJob: ApiReplicatedJob | None = None
    GlobalJob: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ApiTaskContainer:
    """``ContainerSpec`` of a service's tasks."""

    TTY: bool = False


@dataclass(frozen=True, slots=True)
class ApiTaskTemplate:
    """``TaskTemplate`` of a service."""

    ContainerSpec: ApiTaskContainer | None = None


@dataclass(frozen=True, slots=True)
class ApiServiceSpec:
    """``Spec`` of a service."""

    Name: str
    Labels: Mapping[str, str] | None = None
    Mode: ApiServiceMode | None = None
    TaskTemplate: ApiTaskTemplate | None = None


@dataclass(frozen=True, slots=True)
class ApiUpdateState:
    """``UpdateStatus`` of a service."""

    State: str = ""


@dataclass(frozen=True, slots=True)
class ApiService:
    """One of ``/services``."""

    ID: str
    Spec: ApiServiceSpec
    UpdateStatus: ApiUpdateState | None = None


@dataclass(frozen=True, slots=True)
class ApiListedContainer:
    """One of ``/containers/json``."""

    Id: str
    Labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ApiHealthCheck:
    """One of the last checks of a container's health."""

    ExitCode: int = 0
    Output: str = ""


@dataclass(frozen=True, slots=True)
class ApiHealth:
    """``State.Health`` of a container."""

    Status: str = ""
    Log: tuple[ApiHealthCheck, ...] | None = None


@dataclass(frozen=True, slots=True)
class ApiContainerState:
    """``State`` of a container."""

    Status: str
    ExitCode: int = 0
    Error: str = ""
    OOMKilled: bool = False
    StartedAt: str = ""
    Health: ApiHealth | None = None


@dataclass(frozen=True, slots=True)
class ApiRestartPolicy:
    """``HostConfig.RestartPolicy`` of a container."""

    Name: str = ""


@dataclass(frozen=True, slots=True)
class ApiHostConfig:
    """``HostConfig`` of a container."""

    RestartPolicy: ApiRestartPolicy | None = None


@dataclass(frozen=True, slots=True)
class ApiContainerConfig:
    """``Config`` of a container."""

    Labels: Mapping[str, str] | None = None
    Tty: bool = False


@dataclass(frozen=True, slots=True)
class ApiContainer:
    """``/containers/ID/json``."""

    Id: str
    Name: str
    State: ApiContainerState
    Config: ApiContainerConfig | None = None
    HostConfig: ApiHostConfig | None = None
    RestartCount: int = 0


@dataclass(frozen=True, slots=True)
class ApiAddressBlock:
    """One of ``IPAM.Config`` of a network."""

    Subnet: str = ""


@dataclass(frozen=True, slots=True)
class ApiAddressManagement:
    """``IPAM`` of a network."""

    Config: tuple[ApiAddressBlock, ...] | None = None


@dataclass(frozen=True, slots=True)
class ApiNetwork:
    """One of ``/networks``."""

    IPAM: ApiAddressManagement | None = None
