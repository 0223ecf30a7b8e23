"""Tables fitted to a terminal: what may be left out, what never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymachine.cli.commands.ls import HEADERS, LAYOUT
from pymachine.cli.table import Layout, cells, table

ROW = ("web-1", "*", "ssh", "Running", "tcp://10.0.0.2:2376", "26.1.5+dfsg1", "")
ILL = ("web-2", "-", "kvm", "Unreachable", "tcp://[fd00:10::1234]:2376", "", "no answer within 10 s " * 5)
LONG = ("n" * 63, "-", "amazonec2", "Stopped", "tcp://192.168.122.142:2376", "", "")


def test_a_pipe_gets_every_row_on_one_line() -> None:
    lines = table(HEADERS, [ROW, ILL, LONG], None, LAYOUT)
    assert len(lines) == 4
    assert lines[0].split() == list(HEADERS)
    assert lines[2].endswith(ILL[-1].rstrip())


def test_errors_stand_below_the_table() -> None:
    lines = table(HEADERS, [ROW, ILL], 100, LAYOUT)
    assert lines[0].split() == list(HEADERS[:-1])
    assert lines[-1] == f"web-2: {ILL[-1]}"
    assert len(lines) == 4


@pytest.mark.parametrize("width", [70, 60, 40, 20, 1, 0])
def test_name_state_and_address_are_kept_whatever_the_width(width: int) -> None:
    lines = table(HEADERS, [ROW, ILL, LONG], width, LAYOUT)
    for line, row in zip(lines[1:], (ROW, ILL, LONG), strict=False):
        assert [line.split()[0], *line.split()[-2:]] == [row[0], row[3], row[4]]
    assert lines[-1] == f"web-2: {ILL[-1]}"


def test_at_80_columns_only_a_name_that_is_long_shifts_its_line() -> None:
    lines = table(HEADERS, [ROW, ILL, LONG], 80, LAYOUT)
    assert max(map(cells, lines[:3])) <= 80
    assert lines[0].index("STATE") == lines[1].index("Running") == lines[2].index("Unreachable")


def test_what_fits_is_not_left_out() -> None:
    lines = table(HEADERS, [ROW], 80, LAYOUT)
    assert lines[0].split() == list(HEADERS[:-1])


def test_wide_characters_take_two_cells_and_marks_none() -> None:
    assert [cells(text) for text in ("ab", "機械", "e\u0301", "日\u200b本", "ｆ")] == [2, 4, 1, 4, 2]
    lines = table(("NAME", "X"), [("機械", "1"), ("ab", "2")], None)
    assert lines == ["NAME   X", "機械   1", "ab     2"]


def test_a_long_last_column_is_wrapped_and_nothing_is_cut() -> None:
    text = "version 26.1.5, wanted 27.0; the daemon.json has other values " * 3
    lines = table(("MACHINE", "PART", "DIFFERENCE"), [("web-1", "engine", text.strip())], 80)
    assert max(map(cells, lines)) <= 80
    assert " ".join(line.replace("web-1", "").replace("engine", "").strip() for line in lines[1:]) == text.strip()


@given(
    st.lists(st.tuples(*[st.text(alphabet="aé機 ", max_size=30)] * 3), max_size=5),
    st.integers(0, 120),
    st.booleans(),
)
def test_no_cell_that_must_stay_is_ever_lost(rows: list[tuple[str, ...]], width: int, below: bool) -> None:
    layout = Layout(("B",), "C" if below else None)
    text = "".join(table(("A", "B", "C"), rows, width, layout)).replace(" ", "")
    assert all(row[0].replace(" ", "") in text for row in rows)
    if below:
        assert all(row[2].replace(" ", "") in text for row in rows)
