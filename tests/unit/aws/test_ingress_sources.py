"""From where our own group lets in: what the options say, else whence the instance would see us come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pymachine.errors import DriverError, Unreachable
from pymachine_aws.ingress_sources import sources_of
from unit.aws_wishes import PLAIN, SUBNET_A, access

NEAR = replace(SUBNET_A, cidr="127.0.0.0/24")


def test_what_the_options_say_is_asked_of_nobody() -> None:
    assert sources_of(access(allow=("10.0.0.0/8",)), SUBNET_A) == ("10.0.0.0/8",)


def test_a_private_address_is_reached_from_our_own_on_the_way_there() -> None:
    wanted = replace(access(allow=()), way=replace(PLAIN.way, address="private"))
    assert sources_of(wanted, NEAR) == ("127.0.0.1/32",)


@pytest.mark.parametrize("address", ["private", "ipv6"])
def test_without_a_way_there_the_user_has_to_say(address: str) -> None:
    wanted = replace(access(allow=()), way=replace(PLAIN.way, address=address))
    with pytest.raises(DriverError, match="route to") as caught:
        sources_of(wanted, SUBNET_A)
    assert "--aws-allow" in str(caught.value.hint)


def test_a_public_address_is_reached_from_where_the_page_sees_us() -> None:
    with pytest.raises(Unreachable, match="address"):
        sources_of(access(allow=(), checkip_url="http://127.0.0.1:1/"), SUBNET_A)
