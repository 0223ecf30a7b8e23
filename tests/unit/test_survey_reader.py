"""A host that hangs while it is looked at costs its deadline and no more, and the error names what hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

from patience import LIMIT, gives_up, longer_and_longer
from pymachine.create import create
from pymachine.engine.progress import ProgressReader
from pymachine.engine.survey import SURVEY_DEADLINE, WAITING, SurveyReader
from pymachine.errors import CheckFailed, DeadlineExceeded
from pymachine.testing.fake_transport import LocalTransport
from pymachine.testing.recorder import RecordingReporter
from pymachine.transport import Command
from unit.world import World, is_look


class Clock:
    seconds = 0.0

    def now(self) -> float:
        return self.seconds


def reader(clock: Clock | None = None) -> SurveyReader:
    return SurveyReader(ProgressReader(RecordingReporter(), "node1"), (clock or Clock()).now)


@pytest.mark.parametrize(
    ("said", "named"), [("printf 'free '", "'free'"), ("echo 'tools AAAA'", "'tools'"), ("true", "beginning")]
)
def test_what_hangs_is_named(tmp_path: Path, said: str, named: str) -> None:
    heard = reader()
    command = Command.script(f"{said}; sleep 600")
    for silence in longer_and_longer(lambda: named not in heard.late().message):
        with gives_up(), LocalTransport(tmp_path) as host, pytest.raises(DeadlineExceeded):
            host.run(command, deadline=LIMIT, silence=silence, on_line=heard.line)
    assert named in heard.late().message


def test_a_host_that_tells_without_end_is_given_up() -> None:
    clock = Clock()
    heard = reader(clock)
    heard.line("arch AAAA")
    clock.seconds = SURVEY_DEADLINE + 1
    with pytest.raises(DeadlineExceeded, match="noise"):
        heard.line("noise AAAA")


def test_waiting_for_another_set_up_is_no_hanging() -> None:
    clock = Clock()
    heard = reader(clock)
    for _ in range(100):
        clock.seconds += 5
        heard.line(WAITING)
    clock.seconds += SURVEY_DEADLINE - 1
    heard.line("arch AAAA")


def test_a_create_of_such_a_host_is_refused_and_leaves_no_record(world: World) -> None:
    world.answer(is_look, DeadlineExceeded("nothing was heard"))
    with pytest.raises(CheckFailed):
        create(world.order(), world.tools)
    assert world.store.find("node1") is None
