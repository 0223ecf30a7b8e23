"""What befalls a process at its calls to the outside: it is killed, calls fail, Ctrl-C, others go between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from pymachine.driver import Driver
from pymachine.errors import DriverError, PymachineError, StoreError, Unreachable
from pymachine.store import Lease, Store

ERRORS: dict[str, type[PymachineError]] = {
    "store": StoreError, "cloud": DriverError, "ssh": Unreachable, "engine": Unreachable,
}  # fmt: skip
DRIVER_CALLS = (
    "check", "create", "foresee", "inspect", "whereabouts", "destroy", "start", "stop", "kill", "restart",
    "leftovers", "discard",
)  # fmt: skip
# Between two calls that have an effect nothing happens outside: these are not struck.
LOOKS = ("find", "get", "secrets", "records", "check", "advance", "client_folder", "operations", "holder", "note")


class Killed(BaseException):
    """The process is gone: nothing that catches errors catches this, and nothing it does has an effect any more."""


@dataclass(frozen=True, slots=True)
class Blow:
    """What happens at a call, counted from 1: before it has its effect, or ``after``, when only the answer is lost.

    ``what`` is ``kill``, ``error``, ``ctrl-c``, ``unlock`` (somebody breaks the lease that the process holds), or a
    function that is another process at work meanwhile, and returns how that ended.
    """

    call: int
    what: Any
    after: bool = False


@dataclass(frozen=True, slots=True)
class Beside:
    """What another process did meanwhile: ``outcome`` is how it ended.

    ``kept`` are the leases that kept it out, ``calls`` how many calls had had their effect by then.
    """

    outcome: Any
    kept: frozenset[str]
    calls: int


@dataclass
class Fate:
    """The calls of one process, and what befalls it. ``hit`` are the blows that fell, ``trace`` all calls by name.

    ``leases`` are the names that it holds and how to break them, ``broken`` those that were, ``held`` what it could
    not give back in its life. ``beside`` is what other processes did meanwhile.
    """

    blows: Sequence[Blow] = ()
    trace: list[str] = field(default_factory=list)
    hit: list[Blow] = field(default_factory=list)
    dead: bool = False
    leases: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    held: list[AbstractContextManager[Lease]] = field(default_factory=list)
    unlock: Callable[[str], object] = lambda name: None
    beside: list[Beside] = field(default_factory=list)

    def around(self, seam: str, action: Callable[[], Any]) -> Any:
        """Make a call, and be struck before and after it if that is to be."""
        if self.dead:
            raise Killed
        self.trace.append(seam)
        number = len(self.trace)
        self._struck(number, seam, after=False)
        answer = action()
        self._struck(number, seam, after=True)
        return answer

    def alive(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call; the dead make none."""
        if self.dead:
            raise Killed
        return call

    def _struck(self, number: int, seam: str, *, after: bool) -> None:
        for blow in self.blows:
            if (blow.call, blow.after) == (number, after):
                self.hit.append(blow)
                self._fall(blow, seam, number if after else number - 1)

    def _fall(self, blow: Blow, seam: str, calls: int) -> None:
        if blow.what == "kill":
            self.dead = True
            raise Killed
        if blow.what == "ctrl-c":
            raise KeyboardInterrupt
        if blow.what == "error":
            raise ERRORS[seam.partition(" ")[0]](f"blow at {seam}")
        if blow.what == "unlock":
            for name in self.leases:
                self.unlock(name)
            self.broken.update(self.leases)
        else:
            kept = frozenset(self.leases) - self.broken
            self.beside.append(Beside(blow.what(), kept, calls))


class StruckStore:
    """A store as a process with a fate sees it; the dead give no lease back."""

    def __init__(self, store: Store, fate: Fate) -> None:
        self._store = store
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found
        if name in LOOKS:
            return lambda *words, **options: self._fate.alive(found)(*words, **options)
        return lambda *words, **options: self._fate.around(f"store {name}", lambda: found(*words, **options))

    @contextmanager
    def lease(self, name: str, purpose: str, *, wait: float = 0.0) -> Iterator[Lease]:
        """Hold it, unless something befalls the process right when it is given."""
        fate = self._fate
        held = self._store.lease(name, purpose, wait=wait)

        def take() -> Lease:
            lease = held.__enter__()
            fate.held.append(held)
            fate.leases.append(name)
            fate.broken.discard(name)
            return lease

        try:
            yield fate.around("store lease", take)
        finally:
            self._give_back(held, name)

    def _give_back(self, held: AbstractContextManager[Lease], name: str) -> None:
        def release() -> None:
            self._fate.held.remove(held)
            self._fate.leases.remove(name)
            held.__exit__(None, None, None)

        if held in self._fate.held and not self._fate.dead:
            try:
                self._fate.around("store release", release)
            except StoreError:
                return  # as the store itself does: what could not be given back ends with the process


def struck_driver(kind: type[Driver], fate: Fate) -> type[Driver]:
    """Return the driver whose calls have that fate, also as it is towards what it adopts."""

    def wrapped(name: str) -> Callable[..., Any]:
        inner = getattr(kind, name)
        return lambda *words, **options: fate.around(f"cloud {name}", lambda: inner(*words, **options))

    methods: dict[str, Any] = {name: wrapped(name) for name in DRIVER_CALLS if callable(getattr(kind, name, None))}
    if callable(adopting := getattr(kind, "adopting", None)):
        methods["adopting"] = lambda self: struck_driver(type(adopting(self)), fate)()
    return type(kind.__name__, (kind,), methods)


class StruckTransport:
    """A connection whose commands and uploads have the process's fate."""

    def __init__(self, transport: Any, fate: Fate) -> None:
        self._transport = transport
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._transport, name)
        if name not in ("run", "upload", "tunnel"):
            return found
        return lambda *words, **options: self._fate.around(f"ssh {name}", lambda: found(*words, **options))
