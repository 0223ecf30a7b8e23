"""What a driver is asked: its options on record, and the request made of a record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pymachine.documents import from_document
from pymachine.driver import Request
from pymachine.errors import StoreError
from pymachine.model import Machine
from pymachine.steps.services import Services
from pymachine.steps.session import Session
from pymachine.store.homes import home_of


def options_on_record(machine: Machine, kind: type) -> Any:
    """Return the driver's options that the machine was made with. Raises ``StoreError`` where they do not fit."""
    try:
        return from_document(kind, machine.options)
    except (TypeError, ValueError, KeyError) as error:
        raise StoreError(
            f"the options on record of {machine.name} do not match driver {machine.driver}: {error}",
            hint="it was made by another version of the driver; `pymachine create` makes a machine like it",
        ) from error


def request_for(machine: Machine, options: Any, tools: Services) -> Request:
    """Return what the driver is asked about, before anything is made for this record."""
    return Request(
        machine.name,
        machine.id,
        options,
        machine.engine.port,
        machine.handle,
        owner=tools.store.identity,
        home=home_of(tools.store.folder),
        adopted=machine.adopted,
    )


def request_at_work(machine: Machine, options: Any, session: Session, step: str) -> Request:
    """Return what the driver is asked to make for this record; its progress is told as that of ``step``."""
    listener = session.tools.listener(machine.name, step)
    request = request_for(machine, options, session.tools)
    return replace(request, progress=listener.progress, notice=listener.notice)
