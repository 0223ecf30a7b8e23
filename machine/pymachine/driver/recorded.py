"""What another tool recorded of an instance, and the drivers that take such instances over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar, cast, runtime_checkable

from pymachine.addresses import check_host, check_port
from pymachine.driver.protocol import Instance
from pymachine.errors import CheckFailed
from pymachine.model import ENGINE_PORT, Endpoint

Value = TypeVar("Value", str, int, bool)
_LONGEST = 60  # characters of a value in a message


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


@dataclass(frozen=True, slots=True)
class RecordedInstance:
    """An instance of docker-machine: the name of its driver, and the values that this driver kept.

    ``machine_id`` is that of the machine that it becomes.
    """

    driver: str
    values: Mapping[str, Any]
    machine_id: str = ""

    def text(self, key: str) -> str:
        """Return a text; empty where there is none. Raises ``CheckFailed`` for another type."""
        return self._value(key, str, "a text")

    def number(self, key: str) -> int:
        """Return a whole number; 0 where there is none. Raises ``CheckFailed`` for another type."""
        return self._value(key, int, "a whole number")

    def flag(self, key: str) -> bool:
        """Return whether a value is true; not where there is none. Raises ``CheckFailed`` for another type."""
        return self._value(key, bool, "true or false")

    def _value(self, key: str, kind: Callable[[], Value], called: str) -> Value:
        found = self.values.get(key)
        if found is None:
            return kind()
        if type(found) is not kind:  # True is an int too
            raise CheckFailed(f"{key} on record is {_shown(found)}, which is not {called}")
        return cast(Value, found)

    def address(self) -> str:
        """Return the address on record. Raises ``CheckFailed`` if there is none, ``UsageFault`` for a wrong one."""
        host = self.text("IPAddress")
        if not host:
            raise CheckFailed("its address is not on record: it was not running when docker-machine saw it last")
        return check_host(host)

    def endpoint(self) -> Endpoint:
        """Return where its engine listens. Raises as ``address``."""
        return Endpoint(self.address(), check_port(self.number("EnginePort") or ENGINE_PORT))


@runtime_checkable
class TakesOver(Protocol):
    """A driver that continues with instances of docker-machine. ``takes_over`` names the drivers that made them."""

    takes_over: ClassVar[frozenset[str]]

    def recorded(self, recorded: RecordedInstance) -> tuple[Any, Instance]:
        """Return options of this driver for an instance, and the instance as ``create`` would have.

        Asks nobody. ``endpoint`` is set. Raises ``CheckFailed`` and ``UsageFault`` for what cannot be taken over.
        """
