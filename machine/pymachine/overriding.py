"""``typing.override``, which Python has from 3.12 on."""

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing_extensions import override
else:
    F = TypeVar("F")

    def override(method: F) -> F:
        """Mark a method that replaces one of a base class."""
        return method


__all__ = ["override"]
