"""``status`` of a machine whose engine answers, without click: the engine is asked, and nothing else is needed.

Where it does not answer, the full command goes on with what was found out and in the time that is left.
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
    """An engine that gave no answer: the error, for the full command, which is not to wait for it once more."""

    def __init__(self, error: Exception, seconds: float) -> None:
        self._error = error
        self._seconds = seconds

    def words(self, words: "Sequence[str]") -> "list[str]":
        """Return the command line with the time that is left."""
        return [*words, "--timeout", f"{max(DEADLINE - self._seconds, LEAST):.3f}"]

    def wiring(self) -> "Wiring":
        """Return the real network, in which this engine has been asked."""
        from pymachine.cli.dependencies import Wiring

        return Wiring(ask_engine=self._asked)

    def _asked(self, *_: "Any", **__: "Any") -> "NoReturn":
        raise self._error


def glance(document: "dict[str, Any]", certificates: str) -> "str | Silence":
    """Ask the engine of a machine that is ready; ``certificates`` is empty for an engine without any."""
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
