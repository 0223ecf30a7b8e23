"""Finds parts of machines on a libvirt host that no machine needs: they use space, an address and a name.

A machine's parts are found by the metadata of its domain and by its card (``cards``), and are removed together.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from pymachine.driver import Leftover, Search
from pymachine.errors import DriverError, PymachineError
from pymachine_kvm.cards import Card, cards
from pymachine_kvm.handle import Vm, volume_names
from pymachine_kvm.libvirt_api import GONE, code_of, connect, is_session, translated
from pymachine_kvm.libvirt_types import Connection, Domain
from pymachine_kvm.options import read_options
from pymachine_kvm.ownership import Keeper, Mark, mark_of
from pymachine_kvm.remove import remove
from pymachine_kvm.status import find, state_of

KIND = "virtual machine"


def find_leftovers(search: Search) -> list[Leftover]:
    """List the machines that are left over: where the options say, and where the store has others.

    Never listed is what another store needs that is known to live. What belongs to any other store is not ``ours``:
    one whose folder is not there may have been moved. A host besides the first that cannot be asked is noticed.
    Raises ``DriverError``.
    """
    first, *others = _places(search)
    left = _left_at(first, search)
    for uri in others:
        try:
            left += _left_at(uri, search)
        except PymachineError as error:
            search.notice(f"not searched {uri}: {error.message}")
    return left


def discard(leftover: Leftover) -> None:
    """Remove a machine's domain, volumes and reservation; some may be gone already. Raises ``DriverError``."""
    vm = Vm.of(leftover.handle)
    with connect(vm.uri) as connection:
        remove(connection, vm)


def _places(search: Search) -> list[str]:
    known = (str(handle["uri"]) for handle in search.known.values() if handle.get("uri"))
    return list(dict.fromkeys((read_options(search.options).uri, *known)))


def _left_at(uri: str, search: Search) -> list[Leftover]:
    with connect(uri) as connection:
        unknown = [card for card in _all(connection, uri, search) if card.vm.id not in search.known]
        judged = [(card, _whose(card.keeper, search)) for card in unknown]
        return [_leftover(connection, card.vm, whose) for card, whose in judged if whose is not None]


@dataclass(frozen=True, slots=True)
class _Whose:
    """Whose a leftover is: ``ours``, and what is to be said of another store."""

    ours: bool
    word: str = ""


def _whose(keeper: Keeper, search: Search) -> _Whose | None:
    """Return whose a machine is that this store does not know; None for one of a store elsewhere that lives."""
    lives = search.lives(keeper.store, keeper.home)
    if lives:  # also a copy of this very store, which may know what this one does not
        return None
    if keeper.store and keeper.store == search.owner:
        return _Whose(ours=True)
    if lives is None:
        return _Whose(ours=False, word="its store may still exist")
    # A store that was moved looks the same from here, and nothing brings a disk back.
    return _Whose(ours=False, word="its store does not exist (deleted or moved)")


def _all(connection: Connection, uri: str, search: Search) -> list[Card]:
    """Return every machine of a host, each once: as its card tells, for the host by the address that we have."""
    told = {card.vm.id: Card(card.vm.with_(uri=uri), card.keeper) for card in cards(connection, search.notice)}
    for marked in _of_domains(connection, uri, search.notice):
        card = told.get(marked.vm.id, marked)
        # The domain was defined last: it may have been made again for another store.
        told[marked.vm.id] = Card(card.vm, marked.keeper if marked.keeper.store else card.keeper)
    return list(told.values())


def _of_domains(connection: Connection, uri: str, notice: Callable[[str], None]) -> Iterator[Card]:
    """Yield what the domains that carry a mark are parts of; a copy that somebody made of one is not ours."""
    with translated("looking at the domains"):
        domains = connection.listAllDomains()
    for domain in domains:
        try:
            with translated("looking at a domain"):
                marked = mark_of(domain)
                if marked is not None and UUID(domain.UUIDString()).hex == marked.id:
                    yield Card(_vm_of(connection, domain, marked, uri), marked.keeper)
        except DriverError as error:
            if code_of(error) not in GONE:
                notice(error.message)


def _vm_of(connection: Connection, domain: Domain, marked: Mark, uri: str) -> Vm:
    """Return a machine by its domain alone, which may have another name by now; errors are libvirt's."""
    root = ET.fromstring(domain.XMLDesc(0))
    disk, seed = volume_names(marked.name, marked.id)
    card, source = root.find("devices/interface/mac"), root.find("devices/interface/source")
    return Vm(
        uri,
        marked.id,
        marked.name,
        _pool_of(connection, root),
        disk,
        seed,
        mac="" if card is None else card.get("address", "").lower(),
        network="" if source is None or is_session(connection) else source.get("network", ""),
    )


def _pool_of(connection: Connection, root: ET.Element) -> str:
    """Return the name of the pool whose folder the machine's disk is in, running or not; empty where it is gone."""
    source = root.find("devices/disk/source")
    folder = "" if source is None else source.get("file", "").rpartition("/")[0]
    pools = ((pool, ET.fromstring(pool.XMLDesc(0))) for pool in connection.listAllStoragePools() if folder)
    return next(
        (str(pool.name()) for pool, xml in pools if xml.findtext("target/path", "").rstrip("/") == folder), ""
    )


def _leftover(connection: Connection, vm: Vm, whose: _Whose) -> Leftover:
    details = (_state(connection, vm), f"in pool {vm.pool}" if vm.pool else "", whose.word)
    return Leftover(
        kind=KIND,
        id=vm.uuid,
        name=vm.name,
        place=vm.uri,
        detail=", ".join(detail for detail in details if detail),
        ours=whose.ours,
        handle=vm.handle(),
    )


def _state(connection: Connection, vm: Vm) -> str:
    domain = find(connection, vm)
    if domain is None:
        return "without a domain"
    with translated(f"looking at {vm.name}"):
        return str(state_of(domain)[0]).lower()
