"""The copies of an image on all libvirt hosts that a store knows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from pymachine_kvm.base_images import base_names, base_users, drop_base
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import connect
from pymachine_kvm.options import KvmOptions
from pymachine_kvm.storage import find_pool

Place = tuple[str, str]  # a URI and the name of a pool there


def drop_copies(digest: str, machines: Sequence[Vm]) -> tuple[str, ...]:
    """Remove the copies of the image with this SHA-256, or return the names of the machines that use one.

    The default pool of the default host, and the pools of ``machines``, are searched.
    """
    places = sorted({_default(), *((vm.uri, vm.pool) for vm in machines)})
    users = tuple(user for place in places for user in _users(place, digest))
    if not users:
        for place in places:
            _drop(place, digest)
    return tuple(dict.fromkeys(users))


def _default() -> Place:
    options = KvmOptions()
    return os.environ.get("LIBVIRT_DEFAULT_URI") or options.kvm_uri, options.kvm_pool


def _users(place: Place, digest: str) -> Iterator[str]:
    uri, name = place
    with connect(uri) as connection:
        pool = find_pool(connection, name)
        for base in base_names(digest) if pool is not None else ():
            yield from base_users(connection, pool, base)


def _drop(place: Place, digest: str) -> None:
    uri, name = place
    with connect(uri) as connection:
        pool = find_pool(connection, name)
        for base in base_names(digest) if pool is not None else ():
            drop_base(connection, pool, base)
