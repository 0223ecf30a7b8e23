from __future__ import annotations

import pytest

from pymachine.addresses import Hop, check_host, check_port, check_user, parse_jump, place
from pymachine.errors import UsageFault


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("10.0.0.5", "10.0.0.5"),
        ("2001:db8::5", "2001:db8::5"),
        ("[2001:DB8:0::5]", "2001:db8::5"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("node1.example.org", "node1.example.org"),
        ("my_alias", "my_alias"),
        ("a", "a"),
    ],
)
def test_a_host_may_be_an_address_a_name_or_an_alias(text: str, host: str) -> None:
    assert check_host(text) == host


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "host name"),
        ("-oProxyCommand=x", "host name"),
        ("root@node1", "--ssh-user"),
        ("10.0.0.300", "0 to 255"),
        ("10.0.0", "0 to 255"),
        ("node1:22", "--ssh-port"),
        ("fe80::1%a;b", "network interface"),
        ("[node1]", "host name"),
        ("a b", "host name"),
        ("a\nb", "host name"),
        ("a..b", "host name"),
        ("a" * 254, "host name"),
        ("∞", "host name"),
    ],
)
def test_what_is_no_host_is_refused_with_the_way_to_write_it(text: str, hint: str) -> None:
    with pytest.raises(UsageFault) as fault:
        check_host(text)
    assert hint in (fault.value.hint or "")


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_refused_by_name(port: int) -> None:
    with pytest.raises(UsageFault, match=f"SSH port {port} "):
        check_port(port, "SSH port")


@pytest.mark.parametrize("user", ["", "-l", "a b", "a;b", "a\n"])
def test_a_user_name_that_ssh_could_misread_is_refused(user: str) -> None:
    with pytest.raises(UsageFault):
        check_user(user)


@pytest.mark.parametrize(
    ("text", "hops"),
    [
        ("bastion", (Hop("bastion"),)),
        ("me@bastion:2222", (Hop("bastion", "me", 2222),)),
        ("ssh://me@bastion:2222/", (Hop("bastion", "me", 2222),)),
        ("a, b@c:1", (Hop("a"), Hop("c", "b", 1))),
        ("[2001:db8::1]:22", (Hop("2001:db8::1", None, 22),)),
        ("2001:db8::1", (Hop("2001:db8::1"),)),
        ("none", ()),
        ("", ()),
    ],
)
def test_jump_hosts_are_read_as_ssh_writes_them(text: str, hops: tuple[Hop, ...]) -> None:
    assert parse_jump(text) == hops


@pytest.mark.parametrize("text", ["a,,b", "a:x", "a:99999", "@a", "a:", "-J"])
def test_a_malformed_jump_host_is_refused(text: str) -> None:
    with pytest.raises(UsageFault):
        parse_jump(text)


def test_a_hop_is_written_as_it_is_read() -> None:
    for hop in (Hop("a"), Hop("2001:db8::1", "me", 22), Hop("a", "b")):
        assert parse_jump(hop.text) == (hop,)


def test_an_ipv6_address_is_bracketed_before_a_port() -> None:
    assert place("2001:db8::1", 22) == "[2001:db8::1]:22"
