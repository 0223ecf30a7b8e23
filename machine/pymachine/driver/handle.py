"""Handles as dataclasses: the data that drivers keep of an instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Self, TypeVar

from pymachine.documents import from_document
from pymachine.driver.protocol import Handle
from pymachine.errors import DriverError


@dataclass(frozen=True, slots=True)
class Remembered:
    """The base of a frozen dataclass of plain values that a driver remembers. ``called`` is its name in messages."""

    called: ClassVar[str] = "instance"

    def with_(self, **changes: Any) -> Self:
        """Return a copy with these fields changed."""
        return replace(self, **changes)

    def handle(self) -> Handle:
        """Return the handle in the form of the record."""
        return asdict(self)

    @classmethod
    def of(cls, handle: Mapping[str, Any]) -> Self:
        """Parse a handle. Raises ``DriverError`` for a damaged one."""
        try:
            return _built(cls, handle)
        except (TypeError, ValueError) as error:
            raise DriverError(
                f"the record of this {cls.called} is damaged: {error}", hint="`pymachine rm -f` forgets it"
            ) from error


R = TypeVar("R", bound=Remembered)


def _built(kind: type[R], handle: Mapping[str, Any]) -> R:
    """Build the handle. Unknown keys are refused, because they would be lost when the handle is written."""
    unknown = handle.keys() - {f.name for f in fields(kind)}
    if unknown:
        raise ValueError(f"it has the unknown keys {', '.join(sorted(unknown))}")
    return from_document(kind, handle)
