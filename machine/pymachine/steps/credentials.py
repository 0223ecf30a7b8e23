"""Credentials of one machine: the driver's secret options, kept among the machine's secrets and in no record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pymachine.documents import to_document
from pymachine.errors import StoreError
from pymachine.options.fields import option_fields
from pymachine.strict_json import parse_json

if TYPE_CHECKING:
    from pymachine.driver import Driver
    from pymachine.model import Machine
    from pymachine.store import Store

FILE = "driver-credentials.json"
_KEY, _OWN = "credentials", "own"  # in the record of a machine that has some


def recorded_options(options: Any) -> dict[str, Any]:
    """Return a driver's options as the record has them: without credentials."""
    secret = _secret_names(options)
    document: dict[str, Any] = to_document(options)
    return {name: value for name, value in document.items() if name not in secret}


def kept(machine: Machine, options: Any) -> tuple[Machine, dict[str, bytes]]:
    """Return record and secrets of a machine that is made with these options, to be written at once."""
    given = _given(options)
    if not given:
        return machine, {}
    marked = machine.with_(extra={**machine.extra, _KEY: _OWN})
    return marked, {FILE: json.dumps(given).encode()}


def give(driver: Driver, machine: Machine, store: Store, options: Any = None) -> None:
    """Give the driver the credentials in the options, or else those on record.

    Raises ``StoreError`` if they are missing or damaged.
    """
    given = {} if options is None else _given(options)
    if not given and machine.extra.get(_KEY) != _OWN:
        return
    from pymachine.driver import UsesCredentials

    if isinstance(driver, UsesCredentials):
        driver.use_credentials(machine.id, given or _stored(machine, store))


def _secret_names(options: Any) -> set[str]:
    kind: type = type(options)
    return {option.name for option in option_fields(kind) if option.secret}


def _given(options: Any) -> dict[str, str]:
    values = {name: getattr(options, name) for name in _secret_names(options)}
    return {name: value for name, value in values.items() if value is not None}


def _stored(machine: Machine, store: Store) -> Mapping[str, str]:
    content = store.secrets(machine.name).get(FILE)
    try:
        found = parse_json(content or b"")
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise StoreError(
            f"the credentials of {machine.name} are not in the store",
            hint="restore the store from a backup; `pymachine rm -f` forgets the machine",
        )
    return found
