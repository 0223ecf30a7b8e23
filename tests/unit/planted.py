"""Faults such as a driver, a store or a verb may have: each is planted in a ``Site``, and the model has to notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from typing_extensions import override

from pymachine import leftovers
from pymachine.driver import Instance, Remember, Request
from pymachine.errors import PymachineError
from pymachine.remove import Removal, remove
from pymachine.steps.services import Services
from pymachine.store import Lease, Store
from pymachine.testing.fake_driver import FakeOptions
from unit.lifecycle import Site
from unit.premises import AdoptingDriver, CloudDriver


class RemembersLate(CloudDriver):
    @override
    def create(self, request: Request, remember: Remember) -> Instance:
        handle = dict(request.resume or {"id": self.cloud.new_id()})
        self.cloud.launch(handle["id"], request)
        remember(handle)
        return self._found(handle)


class MakesAnother(CloudDriver):
    @override
    def create(self, request: Request, remember: Remember) -> Instance:
        handle = {"id": self.cloud.new_id()}
        remember(handle)
        self.cloud.marks(handle["id"], request.owner)
        self.cloud.launch(handle["id"], request)
        return self._found(handle)


class DestroysWhatItAdopted(AdoptingDriver):
    @override
    def destroy(self, handle: Any) -> None:
        self.cloud.set_state(handle["id"], None)


class OpenToAll:
    """A store whose leases keep nobody out."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def lease(self, name: str, purpose: str, *, wait: float = 0.0) -> Iterator[Lease]:
        yield _Free()


class _Free:
    holder: Any = None

    def check(self) -> None:
        """Never lost."""


def forgets_first(name: str, tools: Services) -> Removal:
    machine = tools.store.get(name)
    tools.store.remove(name)
    if machine.handle is not None:
        tools.driver_of(machine).destroy(machine.handle)
    return Removal(name)


def leaves_the_set_up(name: str, tools: Services) -> Removal:
    tools.store.get(name)
    tools.store.remove(name)
    return Removal(name)


def hides_errors(name: str, tools: Services) -> Removal:
    machine = tools.store.get(name)
    try:
        return remove(name, tools)
    except PymachineError:
        tools.store.remove(name)
        return Removal(machine.name)


def collects_from_everybody(tools: Services) -> None:
    found = leftovers.leftovers("cloud", FakeOptions(), tools)
    leftovers.discard("cloud", found, tools, lambda leftover: None)


def with_driver(kind: type) -> Callable[[Site], None]:
    def plant(site: Site) -> None:
        site.drivers["cloud"] = site.premises.made_of(kind)

    return plant


def with_verb(verb: str, function: Callable[..., Any]) -> Callable[[Site], None]:
    def plant(site: Site) -> None:
        site.verbs[verb] = function

    return plant


def with_adopting(site: Site) -> None:
    kind = type("Adopting", (DestroysWhatItAdopted,), {"cloud": site.premises, "preexisting": True})
    site.premises.adopting = lambda: kind()  # type: ignore[method-assign]


def without_leases(site: Site) -> None:
    site.stores = OpenToAll


# What befalls which command, what is planted, and by which words it is found.
PLANTS: dict[str, tuple[str, str, str, Callable[[Site], None], str]] = {
    "remembers when it is made already": ("kill", "create", "web", with_driver(RemembersLate), "nothing leads to"),
    "ignores what was remembered": ("kill", "create", "web", with_driver(MakesAnother), "has two hosts"),
    "destroys what it adopted": ("kill", "rm", "old", with_adopting, "a host of others is gone"),
    "leases keep nobody out": ("rm", "create", "web", without_leases, "ended well while .* held the lease"),
    "forgets before it destroys": ("kill", "rm", "web", with_verb("rm", forgets_first), "stays without a record"),
    "leaves the set-up on the host": ("kill", "rm", "metal", with_verb("rm", leaves_the_set_up), "carry its set-up"),
    "forgets what it could not destroy": ("error", "rm", "web", with_verb("rm", hides_errors), "are left after rm"),
    "collects what is a colleague's": (
        "kill", "create", "web", with_verb("gc", collects_from_everybody), "a host of others is gone",
    ),
}  # fmt: skip
