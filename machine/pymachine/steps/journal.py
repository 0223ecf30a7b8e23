"""The journal entry of an operation, from its start to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from pymachine.errors import PymachineError, StoreError
from pymachine.model import Machine
from pymachine.steps.refusal import refusing
from pymachine.steps.session import Session, reason_of


@contextmanager
def journalled(
    session: Session, machine: Machine, kind: str, payload: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Record the operation in the journal and how it ends (see ``refusing``). A crash leaves the entry open."""
    store = session.tools.store
    session.verb = kind
    session.operation = store.begin(machine, kind, payload)
    try:
        with refusing(session, machine):
            yield
    except (PymachineError, KeyboardInterrupt) as error:
        with suppress(StoreError):  # a full disk, say, must not hide why the verb failed
            store.finish(session.operation, "failed", reason_of(error))
        raise
    store.finish(session.operation, "done")
