"""What one look at a Swarm says: the majority, the labels, what is wrong."""

from __future__ import annotations

import re

import pytest

from pymachine.cli.swarm_output import status_document, trouble_of
from pymachine.errors import QuorumLost
from pymachine.swarm_api.view import (
    KEYS_LABEL,
    MACHINE_LABEL,
    ClusterView,
    Member,
    Quorum,
    SwarmNode,
    node_document,
    quorum_of,
    wanted_labels,
)


def numbers(quorum: Quorum) -> list[str]:
    """The numbers in what is said of it."""
    return re.findall(r"\d+", quorum.in_words())


def manager(name: str, *, up: bool = True, leader: bool = False) -> SwarmNode:
    return SwarmNode(
        name, name, "manager", state="ready" if up else "down", manager_address="192.0.2.1:2377", reachable=up,
        leader=leader,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("managers", "reachable", "holds", "spare"),
    [
        (1, 1, True, 0), (2, 2, True, 0), (3, 3, True, 1), (3, 2, True, 0), (3, 1, False, 0), (5, 5, True, 2),
        (7, 4, True, 0), (0, 0, False, 0),
    ],
)  # fmt: skip
def test_a_majority_of_all_managers_has_to_answer(managers: int, reachable: int, holds: bool, spare: int) -> None:
    quorum = Quorum(managers, reachable)
    assert (quorum.holds, quorum.spare) == (holds, spare)


def test_the_majority_in_words_advises_odd_counts() -> None:
    assert numbers(Quorum(3, 3)) == ["3", "3", "1"]
    assert numbers(Quorum(2, 2))[-3:] == ["2", "1", "3"]
    assert numbers(Quorum(3, 1)) == ["1", "3", "2"]
    assert numbers(Quorum(1, 1))[-1] == "3"


def test_a_node_that_is_being_demoted_counts_until_it_is_none() -> None:
    leaving = SwarmNode("n2", "n2", "worker", manager_address="192.0.2.2:2377", reachable=True)
    assert quorum_of((manager("n1"), leaving)) == Quorum(2, 2)


def test_labels_of_before_go_and_those_of_others_stay() -> None:
    first = wanted_labels({"theirs": "1"}, {"a": "1", "b": "2"}, "id")
    second = wanted_labels(first, {"b": "3"}, "id")
    assert second == {"theirs": "1", "b": "3", MACHINE_LABEL: "id", KEYS_LABEL: "b"}
    assert wanted_labels(second, {}, "id") == {"theirs": "1", MACHINE_LABEL: "id"}


def test_a_view_is_healthy_when_every_node_is_there() -> None:
    whole = ClusterView("c", (Member("m1", manager("m1", leader=True)), Member("w1", SwarmNode("w1", "w1"))), "m1")
    assert whole.healthy
    assert whole.leader == "m1"
    assert not ClusterView("c", whole.members, "m1", missing=("w2",)).healthy
    assert not ClusterView("c", (*whole.members, Member("w2", SwarmNode("w2", "w2", state="down"))), "m1").healthy


def test_a_node_of_no_machine_is_a_stranger_with_null_in_json() -> None:
    member = Member("", SwarmNode("n1", "host", labels={MACHINE_LABEL: "id", "tier": "web"}))
    assert ClusterView("c", (member,)).strangers == (member.node,)
    document = node_document(member)
    assert (document["machine"], document["labels"], document["reachable"]) == (None, {"tier": "web"}, None)


@pytest.mark.parametrize(
    ("view", "lost"),
    [
        (
            ClusterView(
                "s", tuple(Member(n, manager(n, up=n == "m1", leader=n == "m1")) for n in ("m1", "m2", "m3"))
            ),
            True,
        ),
        (ClusterView("s", tuple(Member(n, manager(n, up=n != "m1")) for n in ("m1", "m2", "m3"))), False),
        (ClusterView("s", lost=True, trouble="no leader"), True),
        (ClusterView("s", trouble="nobody answers"), False),
    ],
)
def test_a_quorum_that_is_lost_is_no_success_whoever_tells_of_it(view: ClusterView, lost: bool) -> None:
    """The leader of before lists the nodes for a moment yet."""
    assert view.quorum_lost is lost
    assert status_document(view)["quorum"]["lost"] is lost
    if lost or view.trouble:
        error = trouble_of(view)
        assert (error.exit_code, isinstance(error, QuorumLost), bool(error.hint)) == (1, lost, True)
