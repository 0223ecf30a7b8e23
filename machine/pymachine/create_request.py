"""What a create is asked for, and the record that it begins or continues with."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymachine.errors import CheckFailed, MachineExists
from pymachine.model import EngineSpec, Machine, Phase
from pymachine.steps.credentials import recorded_options
from pymachine.steps.services import Services
from pymachine.steps.session import timestamp
from pymachine.store import readable


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What the user asked for. ``options`` is an instance of the driver's options class.

    ``adopted`` is what the driver calls an instance that is to be taken over, empty where one is to be made.
    ``fleet`` names the inventory that the machine belongs to from its first record on, empty for none.
    """

    name: str
    driver: str
    options: Any
    engine: EngineSpec = field(default_factory=EngineSpec)
    labels: Mapping[str, str] = field(default_factory=dict)
    adopted: str = ""
    fleet: str = ""

    @property
    def verb(self) -> str:
        """The command that it is given by."""
        return "adopt" if self.adopted else "create"


def begun(order: CreateRequest, tools: Services) -> Machine:
    """Return the record to work on: a new one, or the half-made one with the options of this order.

    Raises ``CheckFailed`` where the name, or what is to be adopted, is another machine's.
    """
    found = tools.store.find(order.name)
    if order.adopted:
        _refuse_adopted(order, tools)
    if found is None:
        return _new(order, tools)
    if found.phase is Phase.READY:
        raise MachineExists(
            f"machine {found.name} already exists",
            name=found.name,
            hint=f"`pymachine provision {found.name}` sets it up again, `pymachine rm {found.name}` removes it",
        )
    if found.phase is Phase.REMOVING or (found.driver, found.adopted) != (order.driver, order.adopted):
        of = f", of {found.adopted}" if found.adopted else ""
        raise CheckFailed(
            f"machine {found.name} is half-{_half(found)} (driver {found.driver}{of}, {found.phase})",
            hint=f"`pymachine rm {found.name}` removes it",
        )
    # Without the endpoint: the port may be another one now.
    options = recorded_options(order.options)
    found = found.with_(options=options, engine=order.engine, labels=order.labels, endpoint=None)
    return found.with_(fleet=order.fleet or found.fleet)


def _refuse_adopted(order: CreateRequest, tools: Services) -> None:
    """An instance is one machine's. Raises ``CheckFailed``."""
    for record in readable(tools.store):
        if record.adopted != order.adopted:
            continue
        if record.name.lower() != order.name.lower() and tools.same_driver(record.driver, order.driver):
            raise CheckFailed(
                f"{order.adopted} is machine {record.name} already",
                hint=f"`pymachine rm {record.name}` releases it",
            )


def _half(machine: Machine) -> str:
    return "removed" if machine.phase is Phase.REMOVING else "made"


def _new(order: CreateRequest, tools: Services) -> Machine:
    return Machine(
        name=order.name,
        id=uuid.uuid4().hex,
        driver=order.driver,
        options=recorded_options(order.options),
        engine=order.engine,
        labels=order.labels,
        adopted=order.adopted,
        fleet=order.fleet,
        created=timestamp(tools.now()),
    )
