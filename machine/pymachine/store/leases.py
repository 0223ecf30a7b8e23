"""Leases as rows: the exclusive right to work on one machine, while its holder lives and renews it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from functools import cached_property

from pymachine.clock import REAL, Clock, Deadline
from pymachine.errors import LeaseHeld, StoreError
from pymachine.store.database import Database
from pymachine.store.processes import Life, Process, seconds_since_boot
from pymachine.store.protocol import Holder

_PROCESS = "user, host, host_id, boot, namespace, pid, started"


@dataclass(frozen=True, slots=True)
class Terms:
    """The timing of leases in seconds: one ends ``span`` after its last renewal, and is renewed every ``renewal``.

    ``poll`` is the interval of a waiting process, which waits by ``clock``. ``now`` is the time that the hosts of a
    shared store have roughly in common: before an expired lease is taken from a process that may be alive, it is
    watched for ``silence``. ``uptime`` is the time since this host was started.
    """

    span: float = 60.0
    renewal: float = 15.0
    silence: float = 35.0  # two renewals and what a busy store may take
    poll: float = 0.1
    now: Callable[[], float] = time.time
    uptime: Callable[[], float] = seconds_since_boot
    clock: Clock = REAL


@dataclass(frozen=True, slots=True)
class _Row:
    """A stored lease."""

    name: str
    token: str
    purpose: str
    process: Process
    since: float
    until: float

    @property
    def holder(self) -> Holder:
        since = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds")
        return Holder(self.name, self.purpose, self.process.user, self.process.host, self.process.pid, since)

    def life(self, observer: Process, terms: Terms) -> Life:
        """Return what ``observer`` can tell of its holder."""
        booted = terms.now() - terms.uptime()
        return self.process.life(observer, since_boot=self.until - terms.span > booted)

    def has_ended(self, observer: Process, terms: Terms) -> bool:
        """Whether nobody holds it any more, as far as one check can tell."""
        life = self.life(observer, terms)
        return life is Life.ENDED or (life is Life.UNKNOWN and self.until <= terms.now())


class Leases:
    """All leases of a store, for one process."""

    def __init__(self, database: Database, terms: Terms, process: Process | None) -> None:
        self._database = database
        self._terms = terms
        self._given = process

    @cached_property
    def _process(self) -> Process:
        """The process that takes the leases: this one unless another is given. Most commands take none."""
        return self._given or Process.current()

    @contextmanager
    def hold(self, name: str, purpose: str, wait: float) -> Iterator[_Lease]:
        """Take the lease, keep it alive and release it. Raises ``LeaseHeld`` after ``wait`` seconds."""
        row = self._taken(name, purpose, wait)
        lease = _Lease(self._database, row, self._terms)
        try:
            with lease.kept_alive():
                yield lease
        finally:
            # A release that fails (a full disk) must not hide why the block failed; the lease ends with the process.
            with suppress(StoreError):
                lease.release()

    def holder(self, name: str) -> Holder | None:
        """Return the holder of the lease, or None; an expired one is held by nobody."""
        with self._database.reading() as connection:
            row = _find(connection, name)
        return row.holder if row and not row.has_ended(self._process, self._terms) else None

    def break_(self, name: str) -> Holder | None:
        """Break the lease of any holder."""
        with self._database.writing() as connection:
            row = _find(connection, name)
            connection.execute("DELETE FROM lease WHERE name = ?", (name,))
        return row.holder if row else None

    def _taken(self, name: str, purpose: str, wait: float) -> _Row:
        watch = _Watch(self._terms)
        limit = Deadline(wait, self._terms.clock)
        while True:
            try:
                return self._take(name, purpose, watch)
            except LeaseHeld:
                waits = [one for one in (limit, watch.silence) if one is not None and not one.passed]
                if not waits:
                    raise
                max(waits, key=lambda one: one.left).pause(self._terms.poll)

    def _take(self, name: str, purpose: str, watch: _Watch) -> _Row:
        now = self._terms.now()
        import secrets as random

        mine = _Row(name, random.token_hex(16), purpose, self._process, now, now + self._terms.span)
        with self._database.writing() as connection:
            other = _find(connection, name)
            if other and not (other.has_ended(self._process, self._terms) and watch.permits(other, self._process)):
                raise held_by(other.holder)
            _write(connection, mine)
        return mine


class _Watch:
    """Watches whether an expired lease is still renewed, which shows that the clocks differ.

    ``silence`` is None if nothing is watched, or its holder is alive.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._seen: tuple[str, float] | None = None
        self.silence: Deadline | None = None

    def permits(self, row: _Row, observer: Process) -> bool:
        """Whether the lease may be taken: at once from a dead process, else after the silence."""
        if row.life(observer, self._terms) is Life.ENDED:
            return True
        now = (row.token, row.until)
        if self._seen != now:
            renewed = self._seen is not None and self._seen[0] == row.token
            self.silence = None if renewed else Deadline(self._terms.silence, self._terms.clock)
            self._seen = now
        return self.silence is not None and self.silence.passed


class _Lease:
    """A lease that this process holds."""

    def __init__(self, database: Database, row: _Row, terms: Terms) -> None:
        self._database = database
        self._row = row
        self._terms = terms
        self._stopped = threading.Event()

    @property
    def holder(self) -> Holder:
        """This process."""
        return self._row.holder

    def check(self) -> None:
        """Renew the lease. Raises ``LeaseHeld`` if another process has taken or broken it."""
        if not self._renew():
            raise lost(self._row.holder)

    def release(self) -> None:
        """Release the lease, if it still belongs to this process."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM lease WHERE token = ?", (self._row.token,))

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Renew the lease in a thread until the block ends."""
        heart = threading.Thread(target=self._beat, name=f"lease of {self._row.name}", daemon=True)
        heart.start()
        try:
            yield
        finally:
            self._stopped.set()
            heart.join()

    def _beat(self) -> None:
        while not self._stopped.wait(self._terms.renewal):
            # A store that is busy or full now may not be at the next beat; ``check`` finds out what became of it.
            with suppress(StoreError):
                if not self._renew():
                    return

    def _renew(self) -> bool:
        until = self._terms.now() + self._terms.span
        with self._database.writing() as connection:
            changed = connection.execute("UPDATE lease SET until = ? WHERE token = ?", (until, self._row.token))
            return changed.rowcount == 1


def held_by(holder: Holder) -> LeaseHeld:
    """Return the error for a lease that another process holds."""
    return LeaseHeld(
        f"machine {holder.name} is being worked on by {_who(holder)} since {holder.since} ({holder.purpose})",
        hint="wait for it to end; if it hangs, end it there, or break its lock with --force-unlock",
        lease=holder.name,
    )


def lost(holder: Holder) -> LeaseHeld:
    """Return the error for a lease that was taken from its holder."""
    return LeaseHeld(
        f"another process took the lease on machine {holder.name}, held since {holder.since} ({holder.purpose})",
        hint=f"check its state with `pymachine inspect {holder.name}`, then run the command again",
        lease=holder.name,
    )


def _who(holder: Holder) -> str:
    return f"{holder.user}@{holder.host}, process {holder.pid},"


def _find(connection: sqlite3.Connection, name: str) -> _Row | None:
    query = f"SELECT name, token, purpose, since, until, {_PROCESS} FROM lease WHERE name = ?"  # noqa: S608
    found = connection.execute(query, (name,)).fetchone()
    if found is None:
        return None
    name, token, purpose, since, until, *process = found
    return _Row(name, token, purpose, Process(*process), since, until)


def _write(connection: sqlite3.Connection, row: _Row) -> None:
    connection.execute(
        f"REPLACE INTO lease (name, token, purpose, since, until, {_PROCESS}) "  # noqa: S608
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (row.name, row.token, row.purpose, row.since, row.until, *astuple(row.process)),
    )
