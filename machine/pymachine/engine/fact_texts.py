"""The facts of a host by name, as unparsed texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymachine.documents import shortened
from pymachine.errors import EngineError
from pymachine.strict_json import parse_json


class FactTexts:
    """The facts by name, as text or as bytes; a missing fact is empty."""

    def __init__(self, found: Mapping[str, bytes]) -> None:
        self._found = found

    def __call__(self, name: str) -> str:
        """Return a fact as text."""
        return self._found.get(name, b"").decode(errors="replace").strip()

    def lines(self, name: str) -> list[str]:
        """Return the lines of a fact."""
        return self(name).splitlines()

    def raw(self, name: str) -> bytes | None:
        """Return a fact as bytes, None for a missing one."""
        return self._found.get(name)

    def number(self, name: str) -> int:
        """Return an integer, 0 for a missing fact. Raises ``EngineError``."""
        return number_of(self(name) or "0", name)

    def json(self, name: str) -> Any:
        """Return a JSON value.

        None for a missing fact or one that is not JSON, because the engine did not answer in time.
        """
        try:
            return parse_json(self._found.get(name, b""))
        except ValueError:
            return None


def number_of(text: str, name: str, *, base: int = 10, limit: int = 1 << 63) -> int:
    """Return an integer below ``limit``. Raises ``EngineError``."""
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
        hint="check whether that program was replaced on the host; --debug shows the command",
    )
