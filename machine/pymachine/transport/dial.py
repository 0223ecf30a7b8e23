"""Opens TCP connections within a deadline, to names and addresses of both families."""

from __future__ import annotations

import errno
import ipaddress
import os
import selectors
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from typing import Any

from pymachine.addresses import place
from pymachine.clock import Deadline
from pymachine.errors import Unreachable
from pymachine.parallel import Call

STAGGER = 0.25  # seconds between attempts at further addresses (RFC 8305 §5)
DEAD_PEER = 60_000  # milliseconds until unanswered data ends a connection

_Address = tuple[socket.AddressFamily, Any]


def dial(host: str, port: int, *, deadline: float) -> socket.socket:
    """Connect to ``host:port`` within ``deadline`` seconds; without Nagle's delay, and noticing a dead peer.

    All addresses of a name are tried, IPv6 and IPv4 in turn and overlapping, so that a dead one costs little.
    Raises ``Unreachable``, saying whether the name, the port or the whole host does not answer.
    """
    limit = Deadline(deadline)
    sock = _Race(host, port, look_up(host, port, deadline=deadline), limit).run()
    sock.setblocking(True)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with suppress(AttributeError, OSError):  # Linux only
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER)
    return sock


def look_up(host: str, port: int, *, deadline: float) -> list[_Address]:
    """Return the addresses of a host, the families alternating. Raises ``Unreachable`` if there are none in time."""
    try:
        if _is_literal(host):
            return _resolved(host, port)
        # The C library's resolver knows no deadline, so it gets a thread that may be left behind.
        return Call(partial(_resolved, host, port)).begin().result(Deadline(deadline))
    except TimeoutError:
        raise Unreachable(
            f"the name server did not answer for {host!r} within {deadline:g} s",
            hint="give the host's address, or check this computer's network",
        ) from None
    except (OSError, UnicodeError) as error:
        raise Unreachable(
            f"no address for host name {host!r}: {_reason(error)}",
            hint="check the spelling, or give the host's address",
        ) from error


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _resolved(host: str, port: int) -> list[_Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return _interleaved([(family, address) for family, _, _, _, address in found])


def _interleaved(addresses: list[_Address]) -> list[_Address]:
    first = [a for a in addresses if a[0] == addresses[0][0]]
    others = [a for a in addresses if a[0] != addresses[0][0]]
    return [a for pair in zip_longest(first, others) for a in pair if a is not None]


class _Race:
    """Connection attempts to all addresses of one host; the first that connects wins, the others are closed."""

    def __init__(self, host: str, port: int, addresses: list[_Address], limit: Deadline) -> None:
        self._where = place(host, port)
        self._waiting = iter(addresses)
        self._exhausted = False
        self._limit = limit
        self._selector = selectors.DefaultSelector()
        self._failures: list[OSError] = []

    def run(self) -> socket.socket:
        winner: socket.socket | None = None
        try:
            winner = self._run()
            return winner
        finally:
            for key in list(self._selector.get_map().values()):
                if key.fileobj is not winner:
                    key.fileobj.close()  # type: ignore[union-attr]
            self._selector.close()

    def _run(self) -> socket.socket:
        while True:
            self._start_next()
            if self._exhausted and not self._selector.get_map():
                raise self._explained()
            for sock in self._writable():
                failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not failure:
                    return sock
                self._selector.unregister(sock)
                sock.close()
                self._failures.append(OSError(failure, os.strerror(failure)))
            if self._limit.passed:
                raise self._explained()

    def _start_next(self) -> None:
        found = next(self._waiting, None)
        if found is None:
            self._exhausted = True
            return
        family, address = found
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # this machine has no IPv6, say
            self._failures.append(error)
            return
        sock.setblocking(False)
        failure = sock.connect_ex(address)
        if failure in (0, errno.EINPROGRESS):
            self._selector.register(sock, selectors.EVENT_WRITE)
        else:
            sock.close()
            self._failures.append(OSError(failure, os.strerror(failure)))

    def _writable(self) -> Iterator[socket.socket]:
        left = self._limit.left
        if not self._selector.get_map():
            return
        for key, _ in self._selector.select(left if self._exhausted else min(left, STAGGER)):
            assert isinstance(key.fileobj, socket.socket)
            yield key.fileobj

    def _explained(self) -> Unreachable:
        codes = {failure.errno for failure in self._failures}
        if errno.ECONNREFUSED in codes:
            return Unreachable(
                f"connection refused by {self._where}", hint="check the port, and that the service runs there"
            )
        if self._failures:
            return Unreachable(
                f"cannot reach {self._where}: {_reason(self._failures[0])}",
                hint="check the address, and this computer's network and routes",
            )
        return Unreachable(
            f"no answer from {self._where} within {self._limit.spent:.0f} s",
            hint="check that the host is on, and that no firewall drops the port",
        )


def _reason(error: OSError | UnicodeError) -> str:
    text = error.strerror if isinstance(error, OSError) else str(error)
    return (text or str(error)).lower()
