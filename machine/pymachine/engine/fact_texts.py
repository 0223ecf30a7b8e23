"""The facts of a host by name, before they are made into values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymachine.documents import shortened
from pymachine.errors import EngineError
from pymachine.strict_json import parse_json


class FactTexts:
    """The facts by name, as text or as bytes; a fact that is not there is empty."""

    def __init__(self, found: Mapping[str, bytes]) -> None:
        self._found = found

    def __call__(self, name: str) -> str:
        """Return a fact as text."""
        return self._found.get(name, b"").decode(errors="replace").strip()

    def lines(self, name: str) -> list[str]:
        """Return the lines of a fact."""
        return self(name).splitlines()

    def raw(self, name: str) -> bytes | None:
        """Return a fact as bytes, None for one that is not there."""
        return self._found.get(name)

    def number(self, name: str) -> int:
        """Return a whole number, 0 for a fact that is not there. Raises ``EngineError``."""
        return number_of(self(name) or "0", name)

    def json(self, name: str) -> Any:
        """Return a JSON value, None for a fact that is not there or not JSON: the engine did not answer in time."""
        try:
            return parse_json(self._found.get(name, b""))
        except ValueError:
            return None


def number_of(text: str, name: str, *, base: int = 10, limit: int = 1 << 63) -> int:
    """Return a whole number below ``limit``. Raises ``EngineError``."""
    try:
        value = int(text, base) if len(text) < 20 and text.isascii() and text.isalnum() else -1
    except ValueError:
        value = -1
    if not 0 <= value < limit:
        raise wrong(name, text)
    return value


def wrong(name: str, found: object) -> EngineError:
    """Return the error for a fact of a wrong shape."""
    return EngineError(
        f"the host answered {name!r} with {shortened(found)}, which is not the output of its tools",
        hint="is a program of that name on the host replaced by another one? --debug shows the command",
    )
