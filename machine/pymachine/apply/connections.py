"""One connection to each host for as long as a fleet is worked on, lent to every verb that asks for one."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import TracebackType
from typing import Self

from pymachine.errors import Unreachable
from pymachine.events import Asker
from pymachine.model import SshAddress
from pymachine.steps.tools import Connect
from pymachine.transport import OnLine, RemoteFile, Result, Transport, Tunnel
from pymachine.transport.addresses import parse_jump
from pymachine.transport.command import Command

# sshd drops connections beyond ten that have not logged in yet (MaxStartups): a bastion serves all hosts behind it.
STARTS = 8
PAUSE = 1.0


class Connections:
    """A ``Connect`` that opens one connection to each address and lends it again and again.

    ``opened`` counts what was really opened. A connection that turns out to be lost is opened anew at the next call;
    so is one whose host shows another key than the caller expects.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._held: dict[SshAddress, Transport] = {}
        self._opening: dict[SshAddress, threading.Lock] = {}
        self._bastions: dict[str, threading.BoundedSemaphore] = {}
        self.opened = 0

    def __call__(
        self,
        address: SshAddress,
        *,
        asker: Asker,
        notice: Callable[[str], None],
        deadline: float,
        retry_for: float = 0.0,
    ) -> Transport:
        """Lend the connection to this address, opened at the first call."""
        place = replace(address, host_key=None)
        with self._lock:
            opening = self._opening.setdefault(place, threading.Lock())
        with opening:
            held = self._held.get(place)
            if held is None or not _expected(address, held):
                self.forget(place)
                held = self._open(address, asker, notice, deadline, retry_for)
                with self._lock:
                    self._held[place] = held
                    self.opened += 1
        return _Lent(held, lambda: self.forget(place))

    def forget(self, address: SshAddress) -> None:
        """Close the connection to an address, if there is one."""
        with self._lock:
            held = self._held.pop(replace(address, host_key=None), None)
        if held is not None:
            held.close()

    def close(self, keep: Iterable[SshAddress] = ()) -> None:
        """Close all connections but those to keep; the next call opens them again."""
        kept = {replace(address, host_key=None) for address in keep}
        for place in [place for place in self._held if place not in kept]:
            self.forget(place)

    def _open(
        self, address: SshAddress, asker: Asker, notice: Callable[[str], None], deadline: float, retry_for: float
    ) -> Transport:
        """Open it; at a bastion's door only a few at a time, and a host that boots does not keep the door."""
        end = time.monotonic() + retry_for
        while True:
            try:
                with self._door(address) as door:
                    wait = 0.0 if door else retry_for
                    return self._connect(address, asker=asker, notice=notice, deadline=deadline, retry_for=wait)
            except Unreachable:
                if not address.jump or time.monotonic() >= end:
                    raise
            time.sleep(PAUSE * random.uniform(0.5, 1.5))

    def _door(self, address: SshAddress) -> AbstractContextManager[bool | None]:
        hops = parse_jump(address.jump or "")
        if not hops:
            return nullcontext()
        with self._lock:
            return self._bastions.setdefault(hops[0].host, threading.BoundedSemaphore(STARTS))


def _expected(address: SshAddress, held: Transport) -> bool:
    """Whether a connection was opened to the host that the caller means; fingerprints are compared by opening."""
    return address.host_key is None or address.host_key == held.address.host_key


class _Lent:
    """A connection that stays open when its borrower is done with it."""

    def __init__(self, held: Transport, forget: Callable[[], None]) -> None:
        self._held = held
        self._forget = forget

    @property
    def address(self) -> SshAddress:
        """The resolved address."""
        return self._held.address

    @property
    def trips(self) -> int:
        """How many commands and transfers went over the connection, by all borrowers."""
        return self._held.trips

    def run(
        self,
        command: Command,
        *,
        stdin: bytes = b"",
        deadline: float = 60.0,
        root: bool = False,
        on_line: OnLine | None = None,
    ) -> Result:
        """Run a command; a connection that is lost is not lent again."""
        try:
            return self._held.run(command, stdin=stdin, deadline=deadline, root=root, on_line=on_line)
        except Unreachable:
            self._forget()
            raise

    def upload(self, files: Sequence[RemoteFile], folder: str, *, deadline: float = 120.0) -> None:
        """Place files; a connection that is lost is not lent again."""
        try:
            self._held.upload(files, folder, deadline=deadline)
        except Unreachable:
            self._forget()
            raise

    def tunnel(self, host: str, port: int) -> Tunnel:
        """Open a TCP connection from the host."""
        return self._held.tunnel(host, port)

    def close(self) -> None:
        """Give it back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
