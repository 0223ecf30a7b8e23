"""How far a look at many has come: on a terminal, and nowhere else."""

from __future__ import annotations

import io
import re
import threading

import pytest
from typing_extensions import override

from pymachine.cli.deferred import DeferredReporter
from pymachine.cli.fleet_progress_live import FleetView
from pymachine.cli.progress import JsonReporter, PlainReporter
from pymachine.cli.survey_line import SurveyLine, has_room
from pymachine.cli.table import cells
from pymachine.events import Silent, surveying
from pymachine.fleet.plan import Plan
from pymachine.interruption import Stoppable

TERM = {"TERM": "xterm"}


class Terminal(io.StringIO):
    """A stream that calls itself one."""

    @override
    def isatty(self) -> bool:
        return True

    def drawings(self) -> list[str]:
        """What was drawn, each by itself."""
        return [part for part in re.split(r"\r|\x1b\[K", self.getvalue()) if part]

    def is_clean(self) -> bool:
        """Whether nothing is left on the line."""
        return not self.getvalue() or self.getvalue().endswith("\r\x1b[K")


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def line(terminal: Terminal) -> SurveyLine:
    return SurveyLine(terminal, shown=True)


def test_a_look_counts_and_names_who_is_waited_for(terminal: Terminal, line: SurveyLine) -> None:
    with surveying(line, "checking machines", ["a", "b", "c"]) as seen:
        seen("b")
        seen("a")
    assert [text.partition(" …")[0] for text in terminal.drawings()] == [
        f"checking machines {number}/3" for number in range(4) if number < 3
    ]
    assert terminal.drawings()[-1].endswith(" c")
    assert terminal.is_clean()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_line_goes_whatever_ends_it(terminal: Terminal, line: SurveyLine, error: type[BaseException]) -> None:
    with pytest.raises(error), surveying(line, "asking", ["a"]):
        raise error
    assert terminal.drawings()
    assert terminal.is_clean()


def test_without_a_terminal_nothing_is_drawn() -> None:
    stream = io.StringIO()
    for reporter in (PlainReporter(stream), JsonReporter(stream), Silent(), SurveyLine(stream, shown=False)):
        with surveying(reporter, "asking", ["a", "b"]) as seen:
            seen("a")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("environ", "progress", "room"),
    [
        (TERM, "auto", True),
        (TERM, "plain", False),
        (TERM, "json", False),
        ({"TERM": "dumb"}, "auto", False),
        ({}, "auto", False),
    ],
)
def test_what_counts_as_a_terminal(environ: dict[str, str], progress: str, room: bool) -> None:
    assert has_room(Terminal(), environ, progress) is room
    assert not has_room(io.StringIO(), environ, progress)


@pytest.mark.parametrize("columns", ["20", "1", "80"])
def test_a_line_never_takes_two(
    terminal: Terminal, line: SurveyLine, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with surveying(line, "checking machines", ["機" * 63, "b"]) as seen:
        seen("b")
    assert all(cells(text) < int(columns) for text in terminal.drawings())
    assert terminal.is_clean()


def test_names_cannot_move_the_cursor(terminal: Terminal, line: SurveyLine) -> None:
    with surveying(line, "looking", ["a\x1b[2J\n", "b"]) as seen:
        seen("b")
    assert "\x1b[2J" not in terminal.getvalue()
    assert "\n" not in terminal.getvalue()


def test_whatever_is_told_takes_the_line_away_first(terminal: Terminal, line: SurveyLine) -> None:
    plain = PlainReporter(terminal)
    reporter = DeferredReporter(lambda: plain, lambda: line)
    with surveying(reporter, "looking", ["a", "b"]):
        reporter.notice("a", "pinned")
        assert "\r\x1b[Ka: note: pinned" in terminal.getvalue()
    reporter.close()
    assert "looking" not in terminal.getvalue().rpartition("pinned")[2]


def test_a_view_shows_a_look_only_while_nothing_is_carried_out(terminal: Terminal, line: SurveyLine) -> None:
    view = FleetView(line=line)
    with surveying(Stoppable(view), "looking", ["a"]):
        assert terminal.drawings()
    with surveying(view, "looking", ["a"]), view.paused():
        assert terminal.is_clean()
    before = terminal.getvalue()
    view.planned(Plan("shop"))
    with surveying(view, "looking", ["a"]):
        assert terminal.getvalue() == before
    view.close()


def test_a_thousand_answers_do_not_flood_the_terminal(terminal: Terminal, line: SurveyLine) -> None:
    names = [f"m{number}" for number in range(1000)]
    with surveying(line, "looking", names) as seen:
        threads = [
            threading.Thread(target=lambda part=part: [seen(n) for n in part]) for part in (names[:500], names[500:])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(terminal.drawings()) < 500
    assert terminal.is_clean()


def test_a_terminal_that_is_gone_ends_the_drawing_not_the_look() -> None:
    class Gone(Terminal):
        @override
        def flush(self) -> None:
            raise OSError(5, "Input/output error")

    with surveying(SurveyLine(Gone(), shown=True), "looking", ["a", "b"]) as seen:
        seen("a")
