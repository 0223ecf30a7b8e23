"""One connection to each host for as long as a fleet is worked on, lent to every verb that asks for one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from pymachine.addresses import parse_jump
from pymachine.clock import REAL, scattered
from pymachine.errors import Unreachable
from pymachine.events import Asker
from pymachine.model import SshAddress
from pymachine.steps.services import Connect
from pymachine.transport import OnLine, RemoteFile, Result, Transport, Tunnel
from pymachine.transport.command import Command

# sshd drops connections beyond ten that have not logged in yet (MaxStartups): a bastion serves all hosts behind it.
STARTS = 8
PAUSE = 1.0
# sshd allows so many sessions on one connection (MaxSessions): more borrowers get another one.
BORROWERS = 10


class Connections:
    """A ``Connect`` that opens one connection to each address and lends it again and again, to ten at a time.

    ``opened`` counts what was really opened. A connection that turns out to be lost is not lent again, nor is one
    whose host shows another key than the caller expects; who has it keeps it until it is given back.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._held: dict[SshAddress, list[_Held]] = {}
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
        """Lend a connection to this address, opened at the first call."""
        place = replace(address, host_key=None)
        with self._lock:
            opening = self._opening.setdefault(place, threading.Lock())
        with opening:
            held = self._free(place, address)
            if held is None:
                held = _Held(self._open(address, asker, notice, deadline, retry_for))
                with self._lock:
                    self._held.setdefault(place, []).append(held)
                    self.opened += 1
        return _Lent(held, lambda: self._given_back(place, held))

    def forget(self, address: SshAddress) -> None:
        """Close the connections to an address, those that are lent as soon as they are given back."""
        place = replace(address, host_key=None)
        with self._lock:
            for held in self._held.get(place, []):
                held.wanted = False
        self._sweep(place)

    def close(self, keep: Iterable[SshAddress] = ()) -> None:
        """Close all connections but those to keep, lent or not; the next call opens them again."""
        kept = {replace(address, host_key=None) for address in keep}
        with self._lock:
            gone = [held for place in self._held.keys() - kept for held in self._held.pop(place)]
        for held in gone:
            held.transport.close()

    def _free(self, place: SshAddress, address: SshAddress) -> _Held | None:
        """Return one that can be lent to one more, who has it from now on."""
        with self._lock:
            for held in self._held.get(place, []):
                held.lost = held.lost or not _expected(address, held.transport)
                if not held.lost and held.borrowers < BORROWERS:
                    held.borrowers += 1
                    return held
        self._sweep(place)
        return None

    def _given_back(self, place: SshAddress, held: _Held) -> None:
        with self._lock:
            held.borrowers -= 1
        self._sweep(place)

    def _sweep(self, place: SshAddress) -> None:
        """Close what nobody has and nobody shall have."""
        with self._lock:
            known = self._held.get(place, [])
            gone = [held for held in known if not held.borrowers and (held.lost or not held.wanted)]
            self._held[place] = [held for held in known if held not in gone]
        for held in gone:
            held.transport.close()

    def _open(
        self, address: SshAddress, asker: Asker, notice: Callable[[str], None], deadline: float, retry_for: float
    ) -> Transport:
        """Open it; at a bastion's door only a few at a time, and a host that boots does not keep the door."""
        failure: Unreachable | None = None
        for _ in REAL.ticks(retry_for, scattered(PAUSE)):
            try:
                with self._door(address) as door:
                    wait = 0.0 if door else retry_for
                    return self._connect(address, asker=asker, notice=notice, deadline=deadline, retry_for=wait)
            except Unreachable as error:
                if not address.jump:
                    raise
                failure = error
        assert failure is not None, "it was tried"
        raise failure

    def _door(self, address: SshAddress) -> AbstractContextManager[bool | None]:
        hops = parse_jump(address.jump or "")
        if not hops:
            return nullcontext()
        with self._lock:
            return self._bastions.setdefault(hops[0].host, threading.BoundedSemaphore(STARTS))


def _expected(address: SshAddress, held: Transport) -> bool:
    """Whether a connection was opened to the host that the caller means; fingerprints are compared by opening."""
    return address.host_key is None or address.host_key == held.address.host_key


@dataclass(eq=False, slots=True)
class _Held:
    """An open connection and how many have it. It is closed when nobody does, if it is ``lost`` or not ``wanted``."""

    transport: Transport
    borrowers: int = 1
    lost: bool = False
    wanted: bool = True


class _Lent:
    """A connection that stays open when its borrower is done with it."""

    def __init__(self, held: _Held, give_back: Callable[[], None]) -> None:
        self._shared = held
        self._held = held.transport
        self._give_back = give_back
        self._open = True

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
        silence: float | None = None,
    ) -> Result:
        """Run a command; a connection that is lost is not lent again."""
        with self._watched():
            return self._held.run(
                command, stdin=stdin, deadline=deadline, root=root, on_line=on_line, silence=silence
            )

    def upload(self, files: Sequence[RemoteFile], folder: str, *, deadline: float = 120.0) -> None:
        """Place files; a connection that is lost is not lent again."""
        with self._watched():
            self._held.upload(files, folder, deadline=deadline)

    def tunnel(self, host: str, port: int) -> Tunnel:
        """Open a TCP connection from the host."""
        return self._held.tunnel(host, port)

    def close(self) -> None:
        """Give it back; safe to call twice."""
        if self._open:
            self._open = False
            self._give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except Unreachable:
            self._shared.lost = True
            raise
