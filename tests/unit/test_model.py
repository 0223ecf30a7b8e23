"""Names, addresses and records."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from pymachine.errors import UsageFault
from pymachine.model import Endpoint, Machine, Phase, check_name


@pytest.mark.parametrize("name", ["a", "A9", "node-1", "web.example.org", "a" * 63, "0"])
def test_a_name_that_can_be_a_host_name_is_one(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "a_b", "-x", "x-", "..", ".", "a..b", "a.", "∞", "ä", "a b", "a/b", "a\n", "٣", "a" * 64, "a" * 65]
)
def test_any_other_is_refused_with_a_way_out(name: str) -> None:
    with pytest.raises(UsageFault) as caught:
        check_name(name)
    assert caught.value.hint


def test_a_long_name_is_not_repeated_in_full() -> None:
    with pytest.raises(UsageFault) as caught:
        check_name("x" * 5000)
    assert len(caught.value.message) < 100


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (Endpoint("10.0.0.5"), "tcp://10.0.0.5:2376"),
        (Endpoint("docker.example", 2400), "tcp://docker.example:2400"),
        (Endpoint("2001:db8::5"), "tcp://[2001:db8::5]:2376"),
    ],
)
def test_an_endpoint_is_what_docker_host_takes(endpoint: Endpoint, url: str) -> None:
    assert endpoint.url == url


def test_a_record_is_changed_by_copies_only() -> None:
    machine = Machine("node1", "id1", "ssh")
    assert machine.with_(phase=Phase.READY).phase is Phase.READY
    assert machine.phase is Phase.REQUESTED
    with pytest.raises(FrozenInstanceError):
        machine.phase = Phase.READY  # type: ignore[misc]
    with pytest.raises(TypeError):
        machine.with_(colour="red")
