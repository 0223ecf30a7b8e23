"""Lines of the script become progress, and its end an outcome or an error."""

import pytest

from pymachine.engine.progress import ProgressReader, raise_for
from pymachine.errors import EngineError
from pymachine.transport import Result


class Listener:
    """Keeps what it is told of progress."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def progressed(self, machine: str, step: str, message: str) -> None:
        self.heard.append((step, message))

    def started(self, machine: str, step: str) -> None:
        """Of no interest here."""

    def finished(self, machine: str, step: str, note: str = "") -> None:
        """Of no interest here."""

    def failed(self, machine: str, step: str, error: str) -> None:
        """Of no interest here."""

    def notice(self, machine: str, message: str) -> None:
        """Of no interest here."""


def read(*lines: str) -> tuple[ProgressReader, Listener]:
    listener = Listener()
    reader = ProgressReader(listener, "node1")
    for line in lines:
        reader.line(line)
    return reader, listener


def test_steps_and_notes_are_passed_on_and_chatter_is_not() -> None:
    _, listener = read("@pymachine step installing", "Unpacking x", "@pymachine note waiting")

    ours = "setting up the engine"
    assert listener.heard == [(ours, "installing"), (ours, "waiting")]


def test_the_end_tells_the_engines_version() -> None:
    reader, _ = read("@pymachine done engine=26.1.5 unit=docker.service restarted=yes")

    raise_for(Result(0, b"", b""), reader)

    assert reader.done == {"engine": "26.1.5", "unit": "docker.service", "restarted": "yes"}


def test_a_failure_names_the_step_the_reason_and_the_units_last_lines() -> None:
    reader, _ = read("chatter", "@pymachine error the engine does not start", "@pymachine hint look",
                     "@pymachine failed starting the engine", "@pymachine log invalid CIDR")  # fmt: skip

    with pytest.raises(EngineError) as failed:
        raise_for(Result(1, b"", b""), reader)

    assert failed.value.message == "starting the engine: the engine does not start\n  invalid CIDR"
    assert failed.value.hint == "look"


def test_without_log_lines_the_last_chatter_is_shown() -> None:
    reader, _ = read(*(f"line {n}" for n in range(40)), "@pymachine failed installing")

    with pytest.raises(EngineError) as failed:
        raise_for(Result(100, b"", b""), reader)

    assert failed.value.hint is None, "only what the script knows is a hint"
    assert "line 39" in failed.value.message
    assert "line 5\n" not in failed.value.message


def test_a_script_that_ends_without_saying_so_has_failed() -> None:
    with pytest.raises(EngineError, match="ended early"):
        raise_for(Result(0, b"", b""), read("@pymachine step a")[0])
