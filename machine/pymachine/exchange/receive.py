"""Machines of an export as machines of this store: guests, whose hosts are not set up from here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pymachine import tls
from pymachine.documents import to_document
from pymachine.driver import Driver, Instance, RecordedInstance, TakesOver
from pymachine.errors import CheckFailed, PymachineError
from pymachine.exchange.archive import ExportedMachine
from pymachine.model import EngineSpec, Machine, Phase, check_name
from pymachine.steps.session import timestamp
from pymachine.store import Store
from pymachine.store.client_files import CLIENT_FILES, LOGIN_KEY
from pymachine.transport.key_pair import public_line

BY_SSH, BY_ENGINE = "ssh", "none"  # the drivers of hosts that are not made here: with a login, and without


@dataclass(frozen=True, slots=True)
class Arrival:
    """A machine as it would be on record, with its files. ``before`` is the driver that made it."""

    machine: Machine
    secrets: Mapping[str, bytes]
    before: str


def arrivals(
    exported: Sequence[ExportedMachine],
    renames: Mapping[str, str],
    drivers: Mapping[str, Driver],
    store: Store,
    now: float,
) -> list[Arrival]:
    """Return what becomes of the machines; nothing is written, and no host is asked.

    ``renames`` maps names of the file to names here. Raises ``CheckFailed`` for a name that exists, for files that do
    not belong together, and for a login key that is none.
    """
    unknown = [name for name in renames if name not in {one.name for one in exported}]
    if unknown:
        raise CheckFailed(f"the export has no machine {unknown[0]}")
    names = [check_name(renames.get(one.name, one.name)) for one in exported]
    for one, name in zip(exported, names, strict=True):
        if store.find(name) is not None or [other.lower() for other in names].count(name.lower()) > 1:
            raise CheckFailed(
                f"there is a machine {name} already", hint=f"import it under another name: --rename {one.name}=NEW"
            )
    return [_arrival(one, name, drivers, now) for one, name in zip(exported, names, strict=True)]


def keep_all(found: Sequence[Arrival], store: Store) -> None:
    """Write all of them to the store, or none. Raises ``StoreError``, ``Conflict``."""
    kept: list[Machine] = []
    try:
        for one in found:
            kept.append(store.put(one.machine, secrets=one.secrets or None))  # noqa: PERF401 - those before an error count
    except BaseException:
        for machine in kept:
            store.remove(machine.name, rev=machine.rev)
        raise


def _arrival(one: ExportedMachine, name: str, drivers: Mapping[str, Driver], now: float) -> Arrival:
    _check_files(one, now)
    machine_id = uuid.uuid4().hex
    driver_name, options, instance = _instance(one, machine_id, drivers)
    ssh = instance.ssh
    if ssh is not None and LOGIN_KEY in one.files:
        ssh = replace(ssh, key_path=LOGIN_KEY)
    machine = Machine(
        name=name,
        id=machine_id,
        driver=driver_name,
        phase=Phase.READY,
        handle=instance.handle,
        options=to_document(options),
        ssh=ssh,
        endpoint=one.endpoint,
        engine=EngineSpec(port=one.endpoint.port),
        engine_version=one.engine_version,
        addresses=one.addresses,
        labels=one.labels,
        certificates=tls.summary(one.files) if "ca.pem" in one.files else None,
        guest=True,
        created=timestamp(now),
    )
    return Arrival(machine, one.files, one.driver)


def _check_files(one: ExportedMachine, now: float) -> None:
    own = {file: content for file, content in one.files.items() if file in CLIENT_FILES}
    if own and len(own) != len(CLIENT_FILES):
        raise CheckFailed(f"{one.name}: of {', '.join(CLIENT_FILES)} only {', '.join(sorted(own))} is there")
    try:
        if own:
            tls.verify_set(own, now=datetime.fromtimestamp(now, UTC))
        if LOGIN_KEY in one.files:
            public_line(one.files[LOGIN_KEY])
    except PymachineError as error:
        raise CheckFailed(f"{one.name}: {error.message}", hint=error.hint) from None
    except (ValueError, TypeError):  # of a damaged key, and of one with a passphrase
        raise CheckFailed(f"{one.name}: {LOGIN_KEY} is not a private SSH key") from None
    if LOGIN_KEY in one.files and one.login is None:
        raise CheckFailed(f"{one.name}: it has a login key, but no host to log in to")


def _instance(one: ExportedMachine, machine_id: str, drivers: Mapping[str, Driver]) -> tuple[str, Any, Instance]:
    values: dict[str, Any] = {"URL": one.endpoint.url}
    name = BY_ENGINE
    if one.login is not None:
        name, login = BY_SSH, one.login
        values = {
            "IPAddress": login.host, "SSHUser": login.user, "SSHPort": login.port, "SSHJump": login.jump,
            "SSHHostKey": login.host_key, "EnginePort": one.endpoint.port,
        }  # fmt: skip
    driver: Any = drivers.get(name)
    if not isinstance(driver, TakesOver):
        raise CheckFailed(f"{one.name}: driver {name} is not installed")
    options, instance = driver.recorded(RecordedInstance(name, values, machine_id))
    return name, options, instance
