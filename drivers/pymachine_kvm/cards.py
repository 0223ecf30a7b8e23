"""Cards: small volumes that identify the owner of a machine's parts, from the first to the last.

A domain carries metadata of its own. Volumes and reservations cannot, and exist before and after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from pymachine.documents import from_document
from pymachine.errors import PymachineError
from pymachine.strict_json import parse_json
from pymachine_kvm.console import content_of
from pymachine_kvm.handle import CARD, Vm, card_name
from pymachine_kvm.libvirt_api import translated
from pymachine_kvm.libvirt_types import Connection, StoragePool
from pymachine_kvm.ownership import Keeper, is_id
from pymachine_kvm.storage import find_volume, put_seed, remove_volume

_LIMIT = 64 << 10  # bytes of a card: what is larger is none


@dataclass(frozen=True, slots=True)
class Card:
    """A machine at the start of its create, and the store that has it on record."""

    vm: Vm
    keeper: Keeper


def put_card(connection: Connection, pool: StoragePool, card: Card) -> None:
    """Write a card into the pool, unless it exists. Raises ``DriverError``."""
    name = card_name(card.vm.name, card.vm.id)
    if find_volume(pool, name) is None:
        put_seed(connection, pool, name, json.dumps(asdict(card)).encode())


def remove_card(pool: StoragePool, vm: Vm) -> bool:
    """Remove a machine's card; False if there was none."""
    return remove_volume(pool, card_name(vm.name, vm.id))


def cards(connection: Connection, notice: Callable[[str], None]) -> Iterator[Card]:
    """Yield the cards of all pools that run; one that cannot be read is noticed.

    Needs a connection that may write: libvirt lets no other read what a volume holds.
    """
    with translated("looking at the storage pools"):
        pools = [pool for pool in connection.listAllStoragePools() if pool.isActive()]
        volumes = [volume for pool in pools for volume in pool.listAllVolumes() if volume.name().endswith(CARD)]
    for volume in volumes:
        try:
            with translated(f"reading volume {volume.name()!r}"):
                content = content_of(connection, volume, _LIMIT)
            if content:  # else it is gone
                yield _read(content, volume.name())
        except (PymachineError, ValueError, TypeError, KeyError, AttributeError) as error:
            notice(f"volume {volume.name()!r} does not name its owner: {error}")


def _read(content: bytes, name: str) -> Card:
    """Read a card. Raises ``ValueError`` and the like for one that is damaged, or lies under another's name."""
    document = parse_json(content)
    card = Card(Vm.of(document["vm"]), from_document(Keeper, document["keeper"]))
    if not is_id(card.vm.id) or card_name(card.vm.name, card.vm.id) != name:
        raise ValueError("it is another machine's")
    return card
