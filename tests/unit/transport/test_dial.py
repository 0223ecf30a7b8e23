from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from patience import AGES, LIMIT, gives_up
from pymachine.errors import Unreachable
from pymachine.transport.dial import dial, look_up


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_listening_port_is_reached_without_delay_of_small_packets(listener: socket.socket) -> None:
    with dial("127.0.0.1", listener.getsockname()[1], deadline=LIMIT) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.gettimeout() is None


def test_a_name_whose_first_address_refuses_is_reached_at_another(listener: socket.socket) -> None:
    # localhost is ::1 and 127.0.0.1 here and there only the latter; either way the port answers.
    dial("localhost", listener.getsockname()[1], deadline=LIMIT).close()


def test_an_ipv6_address_is_reached() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        dial("::1", server.getsockname()[1], deadline=LIMIT).close()


def test_a_closed_port_is_named_and_refused_at_once(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    with gives_up(), pytest.raises(Unreachable, match=f"refused by 127.0.0.1:{port}"):
        dial("127.0.0.1", port, deadline=AGES)


def test_an_ipv6_address_is_bracketed_in_the_message() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable, match=rf"refused by \[::1\]:{port}"):
        dial("::1", port, deadline=LIMIT)


def test_a_name_without_address_is_named() -> None:
    with pytest.raises(Unreachable, match=r"'nowhere\.invalid'|name server"):
        dial("nowhere.invalid", 22, deadline=LIMIT)


def test_a_silent_host_costs_the_deadline_and_no_more() -> None:
    # A full backlog: the kernel drops further connection attempts, as a firewall would.
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        began = time.monotonic()
        with gives_up(), pytest.raises(Unreachable, match=f"{address[1]} within"):
            dial(*address, deadline=0.5)
        assert time.monotonic() - began > 0.4, "it did not wait"
        for sock in waiting:
            sock.close()


def test_a_literal_needs_no_name_server() -> None:
    assert look_up("192.0.2.1", 22, deadline=0.001) == [(socket.AF_INET, ("192.0.2.1", 22))]
