"""``status`` of a machine whose engine answers, without click.

Only the engine is asked. If it does not answer, the full command continues with the result and the remaining time.
"""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from pymachine.cli.dependencies import Wiring

DEADLINE = 10.0  # seconds for engine and driver together
LEAST = 0.1  # seconds; --timeout takes no less


class Silence:
    """An engine that did not answer: the error, so that the full command does not wait for it again."""

    def __init__(self, error: Exception, seconds: float) -> None:
        self._error = error
        self._seconds = seconds

    def words(self, words: "Sequence[str]") -> "list[str]":
        """Return the command line with the remaining time."""
        return [*words, "--timeout", f"{max(DEADLINE - self._seconds, LEAST):.3f}"]

    def wiring(self) -> "Wiring":
        """Return the real network, in which this engine was already asked."""
        from pymachine.cli.dependencies import Wiring

        return Wiring(ask_engine=self._asked)

    def _asked(self, *_: "Any", **__: "Any") -> "NoReturn":
        raise self._error


def glance(document: "dict[str, Any]", certificates: str) -> "str | Silence":
    """Ask the engine of a ready machine; ``certificates`` is empty for an engine without any."""
    from pathlib import Path

    from pymachine.cli.signals import stoppable
    from pymachine.engine.client import ENGINE_SHARE, ask
    from pymachine.errors import PymachineError
    from pymachine.model import Endpoint, State

    began = time.monotonic()
    endpoint = Endpoint(**document["endpoint"])
    try:
        with stoppable():
            ask(endpoint, Path(certificates) if certificates else None, deadline=DEADLINE * ENGINE_SHARE)
    except PymachineError as error:
        return Silence(error, time.monotonic() - began)
    return f"{State.RUNNING}\n"
