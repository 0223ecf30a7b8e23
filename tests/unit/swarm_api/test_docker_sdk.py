"""The docker SDK at work against an engine's API: what goes over the wire, and how its errors become ours."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from patience import LIMIT
from pymachine.clock import Clock
from pymachine.errors import EngineError, QuorumLost, Unreachable
from pymachine.model import Endpoint
from pymachine.swarm_api import connect
from pymachine.swarm_api.bounded_http import BoundedClient
from pymachine.swarm_api.docker_sdk import CONFLICT_PATIENCE, DockerEngine
from pymachine.swarm_api.protocol import ClusterEngine, NodeChange, Rotation, SwarmInit, SwarmSettings
from unit.stub_swarm_engine import StubEngine, serving
from unit.world import FakeClock

SPEC = {
    "Name": "default",
    "Labels": {},
    "Orchestration": {"TaskHistoryRetentionLimit": 5},
    "CAConfig": {"NodeCertExpiry": 7776000000000000, "ForceRotate": 2},
    "EncryptionConfig": {"AutoLockManagers": False},
}
SWARM = {
    "ID": "c1",
    "Version": {"Index": 7},
    "Spec": SPEC,
    "DefaultAddrPool": ["10.0.0.0/8"],
    "JoinTokens": {"Worker": "SWMTKN-1-w", "Manager": "SWMTKN-1-m"},
    "RootRotationInProgress": True,
}
NODE = {
    "ID": "n1",
    "Version": {"Index": 3},
    "Spec": {"Role": "manager", "Availability": "active", "Labels": {"a": "1"}},
    "Description": {"Hostname": "host", "Engine": {"EngineVersion": "26.1.5"}},
    "Status": {"State": "ready", "Addr": "0.0.0.0"},
    "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": "192.0.2.7:2377"},
}
STALE = (500, {"message": "whatever an engine says of it"})


@pytest.fixture
def stub() -> Iterator[StubEngine]:
    with serving(StubEngine()) as served:
        yield served


@pytest.fixture
def engine(stub: StubEngine) -> Iterator[ClusterEngine]:
    with connect(stub.endpoint, None, deadline=LIMIT) as connected:
        yield connected


def test_the_place_of_a_manager_is_read(stub: StubEngine, engine: ClusterEngine) -> None:
    swarm = {
        "NodeID": "n1", "NodeAddr": "192.0.2.7", "LocalNodeState": "active", "ControlAvailable": True, "Error": "",
        "RemoteManagers": [{"NodeID": "n1", "Addr": "192.0.2.7:2377"}], "Cluster": {"ID": "c1"},
    }  # fmt: skip
    stub.answer("GET /info", (200, {"Name": "host", "LiveRestoreEnabled": False, "Swarm": swarm}))
    standing = engine.node_status()
    assert (standing.state, standing.node, standing.cluster, standing.control) == ("active", "n1", "c1", True)
    assert standing.managers == (("n1", "192.0.2.7:2377"),)


def test_the_place_of_an_engine_in_no_swarm_is_read(stub: StubEngine, engine: ClusterEngine) -> None:
    swarm = {"LocalNodeState": "inactive", "RemoteManagers": None, "Cluster": None}
    stub.answer("GET /info", (200, {"Name": "host", "LiveRestoreEnabled": True, "Swarm": swarm}))
    standing = engine.node_status()
    assert (standing.state, standing.managers, standing.live_restore) == ("inactive", (), True)


def test_a_manager_that_calls_itself_unspecified_has_the_address_of_its_raft(
    stub: StubEngine, engine: ClusterEngine
) -> None:
    stub.answer("GET /nodes", (200, [NODE]))
    (node,) = engine.nodes()
    assert (node.address, node.leader, node.is_manager, node.engine) == ("192.0.2.7", True, True, "26.1.5")


def test_init_says_all_that_cannot_be_changed_later(stub: StubEngine, engine: ClusterEngine) -> None:
    stub.answer("POST /swarm/init", (200, "n1"))
    founding = SwarmInit(
        "192.0.2.7", ("10.80.0.0/16",), 26, 4790, SwarmSettings(autolock=True, certificate_life=3600)
    )
    assert engine.init(founding) == "n1"
    body = stub.asked[-1][2]
    assert body["AdvertiseAddr"] == "192.0.2.7"
    assert body["ListenAddr"] == "0.0.0.0:2377"
    assert (body["DefaultAddrPool"], body["SubnetSize"], body["DataPathPort"]) == (["10.80.0.0/16"], 26, 4790)
    assert body["Spec"] == {
        "EncryptionConfig": {"AutoLockManagers": True}, "CAConfig": {"NodeCertExpiry": 3600000000000}
    }  # fmt: skip
    assert body["ForceNewCluster"] is False


def test_init_on_an_address_of_the_new_family_listens_there(stub: StubEngine, engine: ClusterEngine) -> None:
    stub.answer("POST /swarm/init", (200, "n1"))
    engine.init(SwarmInit("fd00::7"))
    assert stub.asked[-1][2]["ListenAddr"] == "[::]:2377"


LATE = "Timeout was reached before node joined. The attempt to join the swarm will continue in the background."
MEMBER = "This node is already part of a swarm."


def place(state: str, **more: Any) -> tuple[int, dict[str, Any]]:
    """An answer of /info."""
    return 200, {"Name": "host", "Swarm": {"LocalNodeState": state, **more}}


@pytest.mark.parametrize("text", [LATE, "Zeitablauf"])
@pytest.mark.parametrize("after", ["pending", "active"])
def test_a_join_that_goes_on_in_the_background_is_no_error(
    stub: StubEngine, engine: ClusterEngine, text: str, after: str
) -> None:
    stub.answer("GET /info", place("inactive"), place(after))
    stub.answer("POST /swarm/join", (503, {"message": text}))
    engine.join(("192.0.2.7:2377",), "SWMTKN-1-w", "192.0.2.8")
    assert stub.asked_for("POST /swarm/join")[0][2] == {
        "RemoteAddrs": ["192.0.2.7:2377"], "ListenAddr": "0.0.0.0:2377", "JoinToken": "SWMTKN-1-w",
        "AdvertiseAddr": "192.0.2.8",
    }  # fmt: skip


@pytest.mark.parametrize("text", [LATE, MEMBER])
@pytest.mark.parametrize(("before", "after"), [("active", "active"), ("pending", "pending"), ("inactive", "error")])
def test_a_join_that_does_not_go_on_is_an_error(
    stub: StubEngine, engine: ClusterEngine, text: str, before: str, after: str
) -> None:
    stub.answer("GET /info", place(before), place(after))
    stub.answer("POST /swarm/join", (503, {"message": text}))
    with pytest.raises(EngineError, match=f"503: {text}"):
        engine.join(("192.0.2.7:2377",), "SWMTKN-1-secret", "192.0.2.8")


def test_a_join_after_which_nobody_can_be_asked_is_an_error(stub: StubEngine, engine: ClusterEngine) -> None:
    stub.answer("GET /info", place("inactive"), (500, {"message": "busy"}))
    stub.answer("POST /swarm/join", (503, {"message": LATE}))
    with pytest.raises(EngineError, match="503: Timeout"):
        engine.join(("192.0.2.7:2377",), "SWMTKN-1-secret", "192.0.2.8")


def test_a_change_of_a_node_is_made_again_on_what_somebody_else_changed(
    stub: StubEngine, engine: ClusterEngine
) -> None:
    later = {**NODE, "Version": {"Index": 4}, "Spec": {**NODE["Spec"], "Labels": {"a": "1", "b": "2"}}}  # type: ignore[dict-item]
    stub.answer("GET /nodes/n1", (200, NODE), (200, later))
    stub.answer("POST /nodes/n1/update", STALE, (200, ""))
    engine.change_node("n1", NodeChange(availability="drain", labels=lambda labels: {**labels, "c": "3"}))
    (_, first, _), (_, second, body) = stub.asked_for("POST /nodes/n1/update")
    assert (first, second) == ("version=3", "version=4")
    assert body == {"Role": "manager", "Availability": "drain", "Labels": {"a": "1", "b": "2", "c": "3"}}


def test_a_change_that_others_are_always_faster_than_is_given_up(stub: StubEngine) -> None:
    waits = FakeClock()
    stub.answer("GET /nodes/n1", *((200, {**NODE, "Version": {"Index": index}}) for index in range(100)))
    stub.answer("POST /nodes/n1/update", STALE)
    client = BoundedClient(stub.endpoint, "1.40", None, deadline=LIMIT)
    with (
        DockerEngine(client, stub.endpoint.url, Clock(waits.now, waits.sleep)) as engine,
        pytest.raises(EngineError, match="answered 500"),
    ):
        engine.change_node("n1", NodeChange(availability="drain"))
    assert 2 < len(stub.asked_for("POST /nodes/n1/update")) < 100
    assert sum(waits.slept) == pytest.approx(CONFLICT_PATIENCE)


@pytest.mark.parametrize("text", ["rpc error: code = Unknown desc = update out of sequence", "zu spät"])
def test_a_change_that_nobody_came_before_is_made_once(stub: StubEngine, engine: ClusterEngine, text: str) -> None:
    stub.answer("GET /nodes/n1", (200, NODE))
    stub.answer("POST /nodes/n1/update", (500, {"message": text}))
    with pytest.raises(EngineError, match="answered 500"):
        engine.change_node("n1", NodeChange(availability="drain"))
    assert len(stub.asked_for("POST /nodes/n1/update")) == 1


def test_a_node_that_is_so_already_is_not_written(stub: StubEngine, engine: ClusterEngine) -> None:
    stub.answer("GET /nodes/n1", (200, NODE))
    engine.change_node("n1", NodeChange("manager", "active", dict))
    assert stub.asked_for("POST /nodes/n1/update") == []


def test_a_new_authority_is_asked_for_by_counting_up_and_the_rest_stays(
    stub: StubEngine, engine: ClusterEngine
) -> None:
    stub.answer("GET /swarm", (200, SWARM))
    stub.answer("POST /swarm/update", (200, ""))
    engine.change_cluster(SwarmSettings(task_history=9), Rotation(worker_token=True, authority=True))
    (_, query, body) = stub.asked_for("POST /swarm/update")[0]
    assert "rotateWorkerToken=True" in query
    assert "rotateManagerToken=False" in query
    assert "version=7" in query
    assert body["CAConfig"] == {"NodeCertExpiry": 7776000000000000, "ForceRotate": 3}
    assert body["Orchestration"] == {"TaskHistoryRetentionLimit": 9}


def test_the_tokens_are_read_and_not_shown(stub: StubEngine, engine: ClusterEngine) -> None:
    stub.answer("GET /swarm", (200, SWARM))
    cluster = engine.cluster()
    assert (cluster.worker_token, cluster.manager_token, cluster.rotating) == ("SWMTKN-1-w", "SWMTKN-1-m", True)
    assert "SWMTKN" not in repr(cluster)


@pytest.mark.parametrize("answer", [None, {}, "n1"])
def test_what_is_not_a_list_is_not_taken_for_an_empty_one(
    stub: StubEngine, engine: ClusterEngine, answer: object
) -> None:
    stub.answer("GET /tasks", (200, []))
    stub.answer("GET /services", (200, answer))
    stub.answer("GET /nodes", (200, answer))
    for ask in (engine.services, engine.nodes):
        with pytest.raises(EngineError):
            ask()


def test_tasks_that_have_stopped_are_not_counted(stub: StubEngine, engine: ClusterEngine) -> None:
    states = ["running", "shutdown", "failed", "preparing", "orphaned", "complete"]
    stub.answer("GET /tasks", (200, [{"Status": {"State": state}} for state in states]))
    assert engine.tasks_on("n1") == 2
    assert json.dumps({"node": ["n1"]}).replace(" ", "") in _unquoted(stub.asked[-1][1])


def test_a_node_that_is_gone_is_removed(stub: StubEngine, engine: ClusterEngine) -> None:
    stub.answer("DELETE /nodes/n9", (404, {"message": "node n9 not found"}))
    engine.remove_node("n9")


LEADERLESS = "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers"
CUT_OFF = [
    {**NODE, "ID": f"n{number}", "ManagerStatus": {"Reachability": "unreachable", "Addr": f"192.0.2.{number}:2377"}}
    for number in (2, 3)
]


@pytest.mark.parametrize("text", [LEADERLESS, "rpc error: code = DeadlineExceeded desc = x", "ohne Mehrheit"])
@pytest.mark.parametrize("status", [500, 503, 504])
def test_want_of_a_majority_is_told_as_that(stub: StubEngine, engine: ClusterEngine, text: str, status: int) -> None:
    stub.answer("GET /nodes", (status, {"message": text}))
    stub.answer("GET /info", place("active", ControlAvailable=True, Cluster={"ID": ""}, Error=text))
    with pytest.raises(QuorumLost) as lost:
        engine.nodes()
    assert "swarm recover" in str(lost.value.hint)


def test_a_former_leader_that_still_tells_of_its_nodes_has_no_majority(
    stub: StubEngine, engine: ClusterEngine
) -> None:
    stub.answer("GET /swarm", (500, {"message": "context deadline exceeded"}))
    stub.answer("GET /info", place("active", ControlAvailable=True, Cluster={"ID": "c1"}))
    stub.answer("GET /nodes", (200, [NODE, *CUT_OFF]))
    with pytest.raises(QuorumLost):
        engine.cluster()


@pytest.mark.parametrize("text", [LEADERLESS, "context deadline exceeded"])
def test_an_error_of_managers_with_a_majority_is_none_of_the_quorum(
    stub: StubEngine, engine: ClusterEngine, text: str
) -> None:
    stub.answer("GET /swarm", (500, {"message": text}))
    stub.answer("GET /info", place("active", ControlAvailable=True, Cluster={"ID": "c1"}))
    stub.answer("GET /nodes", (200, [NODE]))
    with pytest.raises(EngineError) as failed:
        engine.cluster()
    assert not isinstance(failed.value, QuorumLost)


@pytest.mark.parametrize(
    ("info", "hint"),
    [
        (place("locked"), "swarm unlock"),
        (place("active"), "swarm status"),
        (place("inactive"), None),
        ((500, {"message": "busy"}), None),
    ],
)
@pytest.mark.parametrize("text", ["Swarm is encrypted and needs to be unlocked", "This node is not a swarm manager."])
def test_errors_of_managers_say_what_to_do(
    stub: StubEngine, engine: ClusterEngine, info: tuple[int, Any], hint: str | None, text: str
) -> None:
    stub.answer("GET /nodes", (503, {"message": text}))
    stub.answer("GET /info", info)
    with pytest.raises(EngineError) as failed:
        engine.nodes()
    assert (hint in str(failed.value.hint)) if hint else failed.value.hint is None


@pytest.mark.parametrize(
    ("info", "hint"),
    [
        ({"LiveRestoreEnabled": True}, "live-restore=false"),
        ({"FirewallBackend": {"Driver": "nftables+firewalld", "Info": None}}, "nftables"),
        ({"FirewallBackend": {"Driver": "iptables"}}, None),
    ],
)
def test_an_engine_that_cannot_begin_a_swarm_says_what_to_do(
    stub: StubEngine, engine: ClusterEngine, info: dict[str, Any], hint: str | None
) -> None:
    stub.answer("POST /swarm/init", (500, {"message": "no"}))
    stub.answer("GET /info", (200, {**info, "Swarm": {"LocalNodeState": "inactive"}}))
    with pytest.raises(EngineError) as failed:
        engine.init(SwarmInit("192.0.2.7"))
    assert (hint in str(failed.value.hint)) if hint else failed.value.hint is None


def test_an_answer_that_is_no_engines_is_an_engine_error(stub: StubEngine, engine: ClusterEngine) -> None:
    stub.answer("GET /nodes", (200, [{"no": "id"}]))
    with pytest.raises(EngineError, match="engine"):
        engine.nodes()


def test_an_engine_that_is_too_old_is_refused() -> None:
    with serving(StubEngine("1.39", "1.12")) as old, pytest.raises(EngineError, match=r"API version 1\.39"):
        connect(old.endpoint, None, deadline=LIMIT)


@pytest.mark.parametrize(
    ("theirs", "oldest", "spoken"), [("1.41", "1.24", "v1.41"), ("1.99", "1.24", "v1.45"), ("1.99", "1.50", "v1.50")]
)
def test_the_newest_version_that_both_speak_is_spoken(theirs: str, oldest: str, spoken: str) -> None:
    with serving(StubEngine(theirs, oldest)) as stub, connect(stub.endpoint, None, deadline=LIMIT) as engine:
        stub.answer("GET /nodes", (200, []))
        engine.nodes()
        assert stub.versions[-1] == spoken


@pytest.mark.parametrize("version", ["x", "", "1.²", "1.٤٥", "-1.45", "1." + "9" * 100 + "x"])
def test_a_version_that_is_none_is_refused(version: str) -> None:
    with serving(StubEngine(version, "")) as odd, pytest.raises(EngineError, match="API version"):
        connect(odd.endpoint, None, deadline=LIMIT)


def test_an_engine_that_went_away_is_unreachable(stub: StubEngine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gone = Endpoint("127.0.0.1", listening.getsockname()[1])
    with pytest.raises(Unreachable):
        connect(gone, None, deadline=LIMIT)


def test_no_proxy_of_the_environment_comes_between(monkeypatch: pytest.MonkeyPatch, stub: StubEngine) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    stub.answer("GET /nodes", (200, []))
    with connect(stub.endpoint, None, deadline=LIMIT) as engine:
        assert engine.nodes() == ()


def _unquoted(text: str) -> Any:
    from urllib.parse import unquote_plus

    return unquote_plus(text).replace(" ", "")
