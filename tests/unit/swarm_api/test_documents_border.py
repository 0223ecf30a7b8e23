"""Any document in place of the Engine API's is read, or is one kind of error; what is read can be used."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymachine.swarm_api.addresses import overlap
from pymachine.swarm_api.api_reader import read, read_all, read_name
from pymachine.swarm_api.api_types import ApiContainer, ApiInfo, ApiTask, ApiVersioned
from pymachine.swarm_api.containers import container_of, parsed, unsettled_in, was_restarted
from pymachine.swarm_api.documents import cluster_of, node_of, node_status_of, spec_with, subnets_of
from pymachine.swarm_api.log_frames import last_lines
from pymachine.swarm_api.protocol import SwarmSettings
from pymachine.swarm_api.services import Replicas, service_of, unsettled_of
from pymachine.swarm_api.view import ClusterView, Member, node_document, wanted_labels

INFO = {
    "Name": "host", "LiveRestoreEnabled": False, "SystemTime": "2026-01-01T00:00:09.5Z",
    "FirewallBackend": {"Driver": "iptables", "Info": [["a", "b"]]},
    "Swarm": {
        "NodeID": "n1", "NodeAddr": "192.0.2.7", "LocalNodeState": "active", "ControlAvailable": True, "Error": "",
        "RemoteManagers": [{"NodeID": "n1", "Addr": "192.0.2.7:2377"}], "Cluster": {"ID": "c1"},
    },
}  # fmt: skip
NODE = {
    "ID": "n1", "Version": {"Index": 3}, "Spec": {"Role": "manager", "Availability": "active", "Labels": {"a": "1"}},
    "Description": {"Hostname": "host", "Engine": {"EngineVersion": "26.1.5"}},
    "Status": {"State": "ready", "Addr": "0.0.0.0"},
    "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": "192.0.2.7:2377"},
}  # fmt: skip
SWARM = {
    "ID": "c1", "Version": {"Index": 7}, "DefaultAddrPool": ["10.0.0.0/8"], "DataPathPort": 4789,
    "Spec": {
        "Orchestration": {"TaskHistoryRetentionLimit": 5}, "CAConfig": {"NodeCertExpiry": 7776, "ForceRotate": 2},
        "EncryptionConfig": {"AutoLockManagers": False}, "Dispatcher": {"HeartbeatPeriod": 5},
    },
    "JoinTokens": {"Worker": "SWMTKN-1-w", "Manager": "SWMTKN-1-m"}, "RootRotationInProgress": True,
}  # fmt: skip
SERVICE = {
    "ID": "s1", "Spec": {"Name": "shop_web", "Labels": {"com.docker.stack.namespace": "shop"},
    "Mode": {"Replicated": {"Replicas": 2}}, "TaskTemplate": {"ContainerSpec": {"TTY": True}}},
    "UpdateStatus": {"State": "paused"},
}  # fmt: skip
TASKS = [
    {"ID": f"t{number}", "ServiceID": "s1", "DesiredState": "running", "Slot": 1, "Status": {
        "State": state, "Err": "exit (1)", "Timestamp": f"2026-01-0{number}", "ContainerStatus": {"ExitCode": 1}}}
    for number, state in ((1, "failed"), (2, "pending"))
]  # fmt: skip
CONTAINER = {
    "Id": "c1", "Name": "/shop-db-1", "RestartCount": 3, "HostConfig": {"RestartPolicy": {"Name": "always"}},
    "Config": {"Tty": False, "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "db"}},
    "State": {
        "Status": "running", "ExitCode": 1, "Error": "no", "OOMKilled": False, "StartedAt": "2026-01-01T00:00:08Z",
        "Health": {"Status": "unhealthy", "Log": [{"ExitCode": 1, "Output": "no"}]},
    },
}  # fmt: skip
NETWORKS = [{"Name": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}, {"Subnet": "fd00::/64"}]}}]

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.sampled_from(["\x1b[2J", "y" * 5000, "0.0.0.0/0", "10.0.0.0/99", "::", "9999-99-99T00:00:00Z", "\u202e"]),
    st.just([]),
    st.just({}),
    st.lists(st.integers() | st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.lists(st.text(max_size=2)), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of a document, itself among them."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in parts for place in places(part, (*path, key)))]


def with_junk(document: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """The document with something else at that place."""
    if not path:
        return junk
    changed = copy.deepcopy(document)
    part = changed
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = junk
    return changed


def use_info(document: Any) -> None:
    standing = node_status_of(document)
    assert standing.state
    parsed(read(ApiInfo, document).SystemTime)


def use_node(document: Any) -> None:
    node = node_of(document)
    view = ClusterView("c", (Member("m", node), Member("", node_of(NODE))), "m")
    assert json.dumps(node_document(view.members[0])).encode()
    assert isinstance(view.healthy, bool)
    assert wanted_labels(node.labels, {"a": "b"}, "id")
    assert len(view.quorum.in_words()) < 1000
    found = read(ApiVersioned, document)
    assert isinstance(found.Version.Index, int)


def use_swarm(document: Any) -> None:
    cluster = cluster_of(document)
    assert sum(overlap(pool, "192.0.2.7") for pool in cluster.pools) >= 0
    assert spec_with(document.get("Spec") or {}, SwarmSettings(True, 1, 2, 3), new_authority=True)


def use_service(document: Any) -> None:
    service = service_of(document, read_all(ApiTask, TASKS))
    assert unsettled_of("shop", {"shop_web": Replicas(2, 2)}, [service])


def use_tasks(document: Any) -> None:
    service = service_of(SERVICE, read_all(ApiTask, document))
    assert isinstance(service.in_words(), str)
    json.dumps([service.wanted, service.failure and service.failure.code])


def use_container(document: Any) -> None:
    found = read(ApiContainer, document)
    box = container_of(found, parsed("2026-01-01T00:00:09Z") if was_restarted(found) else None)
    assert all(one.in_words() for one in unsettled_in("shop", {"db": Replicas()}, [box]))


def use_networks(document: Any) -> None:
    assert sum(overlap("10.0.0.0/8", subnet) for subnet in subnets_of(document)) >= 0


BORDERS: list[tuple[Any, Callable[[Any], object]]] = [
    (INFO, use_info),
    (NODE, use_node),
    (SWARM, use_swarm),
    (SERVICE, use_service),
    (TASKS, use_tasks),
    (CONTAINER, use_container),
    (NETWORKS, use_networks),
    ("n1", lambda document: use_node({**NODE, "ID": read_name(document)})),
]


@pytest.mark.parametrize(("document", "use"), BORDERS)
def test_what_an_engine_answers_is_read(document: Any, use: Callable[[Any], object]) -> None:
    use(document)


@pytest.mark.parametrize(("document", "use"), BORDERS)
@given(data=st.data())
def test_anything_in_its_place_is_read_or_refused(
    document: Any, use: Callable[[Any], object], data: st.DataObject
) -> None:
    for path in data.draw(st.lists(st.sampled_from(places(document)), min_size=1, max_size=2)):
        junk = data.draw(JUNK)
        try:
            changed = with_junk(document, path, junk)
        except (KeyError, IndexError, TypeError):  # the first one took the place away
            continue
        try:
            use(changed)
        except ValueError as error:
            assert str(error)  # noqa: PT017


@pytest.mark.parametrize("started", ["2026-01-01", "2026-01-01T00:00", "2026-01-01T00:00:08.123456789Z"])
def test_a_container_that_started_on_a_shortened_time_is_read(started: str) -> None:
    use_container(with_junk(CONTAINER, ("State", "StartedAt"), started))


@given(st.binary(max_size=60), st.integers(1, 5), st.booleans())
def test_any_bytes_in_place_of_a_log(data: bytes, lines: int, framed: bool) -> None:
    assert len(last_lines(data, lines, framed=framed)) <= lines
