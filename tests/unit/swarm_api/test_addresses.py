"""Which address a node tells the others, and which networks a Swarm may take."""

from __future__ import annotations

import pytest

from pymachine.errors import CheckFailed, UsageFault
from pymachine.swarm_api.addresses import advertised, check_advertised, check_pools, free_pool


@pytest.mark.parametrize(
    ("own", "reached", "peers", "told"),
    [
        (["192.0.2.7", "10.0.0.7"], "192.0.2.7", ["10.0.0.8"], "192.0.2.7"),
        (["172.31.5.6"], "203.0.113.9", ["172.31.40.2"], "172.31.5.6"),
        (["192.168.122.5", "10.1.0.5", "fd00::5"], "node.example.org", ["10.1.9.9"], "10.1.0.5"),
        (["127.0.0.1", "169.254.3.4", "fe80::1", "10.1.0.5"], "203.0.113.9", [], "10.1.0.5"),
        (["81.2.69.142", "10.1.0.5"], "node.example.org", [], "10.1.0.5"),
        (["fd00::5"], "fd00::5", [], "fd00::5"),
        ([], "192.0.2.7", [], "192.0.2.7"),
    ],
    ids=["its own", "behind translation", "nearest", "usable", "private first", "new family", "nothing known"],
)
def test_the_address_that_a_node_tells(own: list[str], reached: str, peers: list[str], told: str) -> None:
    assert advertised("m1", own, reached, peers) == told


def test_no_address_at_all_is_said_with_the_way_to_give_one() -> None:
    with pytest.raises(UsageFault, match="address") as refused:
        advertised("m1", ["127.0.0.1"], "node.example.org", [])
    assert "--advertise m1=ADDRESS" in str(refused.value.hint)


@pytest.mark.parametrize("text", ["eth0", "192.0.2.7:2377", "0.0.0.0", "127.0.0.1", "fe80::1", "node.example.org"])
def test_what_others_cannot_use_is_no_address_to_tell(text: str) -> None:
    with pytest.raises(UsageFault):
        check_advertised("m1", text)


def test_pools_where_nothing_lies_are_taken_as_they_are() -> None:
    taken = [("192.0.2.7", "an address of m1"), ("172.17.0.0/16", "a bridge"), ("node.example.org", "a name")]
    assert check_pools(("10.80.0.0/16", "10.81.0.0/16"), 24, taken) == (
        "10.80.0.0/16", "10.81.0.0/16",
    )  # fmt: skip


@pytest.mark.parametrize("pool", ["10.80.0.0/33", "10.80.0.1/16", "shop", "10.80.0.0/28"])
def test_what_is_no_pool_is_refused(pool: str) -> None:
    with pytest.raises(UsageFault):
        check_pools((pool,), 24, [])


def test_a_subnet_of_fewer_than_eight_addresses_is_refused() -> None:
    with pytest.raises(UsageFault, match=" /30"):
        check_pools(("10.80.0.0/16",), 30, [])


def test_a_clash_names_the_pool_the_place_and_another_pool() -> None:
    with pytest.raises(CheckFailed, match=r"10\.80\.0\.0/16 contains 10\.80\.3\.4, .* web") as refused:
        check_pools(("10.80.0.0/16",), 24, [("10.80.3.4", "an address of web")])
    assert "10.192.0.0/12" in str(refused.value.hint)


def test_the_engines_own_choice_is_left_to_it_where_nothing_lies_in_it() -> None:
    assert free_pool([("192.0.2.7", "m1")]) is None
    assert free_pool([("10.200.0.7", "m1")]) == "10.64.0.0/12"


def test_where_every_usual_pool_is_taken_one_has_to_be_given() -> None:
    taken = [(place, "a host") for place in ("10.192.0.1", "10.64.0.1", "172.24.0.1", "192.168.200.1")]
    with pytest.raises(CheckFailed, match="private network"):
        free_pool(taken)
