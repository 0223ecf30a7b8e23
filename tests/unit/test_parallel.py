"""Doing things side by side, and waiting for them: each outcome in its place, and nothing waited for too long."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from patience import AGES, LIMIT, gives_up
from pymachine.clock import LEAST, Clock, Deadline, growing
from pymachine.errors import PymachineError
from pymachine.parallel import Call, spread, together


class Time:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0
        self.slept: list[float] = []
        self.clock = Clock(lambda: self.seconds, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def _divided(number: int) -> float:
    if number == 0:
        raise PymachineError("by nothing")
    return 12 / number


def test_each_item_comes_with_its_result_or_its_error() -> None:
    found = dict(spread(range(4), _divided, 2))
    assert isinstance(found[0], PymachineError)
    assert [found[number] for number in (1, 2, 3)] == [12, 6, 4]


def test_no_more_than_the_width_are_at_work_at_once() -> None:
    at_work, most, lock = 0, 0, threading.Lock()

    def work(number: int) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.01)
        with lock:
            at_work -= 1

    assert len(list(spread(range(12), work, 3))) == 12
    assert most == 3


def test_what_is_late_is_left_out() -> None:
    never = threading.Event()
    with gives_up():
        found = dict(spread((0.0, AGES), never.wait, 2, Deadline(0.5)))
    never.set()
    assert found == {0.0: False}


def test_what_cannot_be_explained_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(spread([0], lambda number: 1 / number, 1))


def test_nothing_to_do_is_done() -> None:
    assert list(spread([], _divided, 3)) == []
    assert together([], _divided) == {}


def test_answers_come_in_the_order_of_the_questions() -> None:
    def ask(number: int) -> int:
        time.sleep(0.05 * number)
        return number

    assert list(together((2, 1, 0), ask)) == [2, 1, 0]


def test_an_error_that_is_an_answer_is_not_raised() -> None:
    answer = PymachineError("as found")
    assert together(["a"], lambda name: answer) == {"a": answer}


def test_an_error_is_raised_when_all_have_ended() -> None:
    ended = []

    def ask(number: int) -> float:
        time.sleep(0.1 * number)
        ended.append(number)
        return _divided(number)

    with pytest.raises(PymachineError, match="by nothing"):
        together((0, 1), ask)
    assert sorted(ended) == [0, 1]


def test_a_call_is_waited_for_once_more_where_it_was_late() -> None:
    free = threading.Event()
    call = Call(lambda: free.wait(LIMIT)).begin()
    with pytest.raises(TimeoutError):
        call.result(Deadline(0.05))
    free.set()
    assert call.result(Deadline(LIMIT)) is True
    assert call.result() is True


def test_a_call_raises_what_it_ended_by() -> None:
    with pytest.raises(PymachineError, match="by nothing"):
        Call(lambda: _divided(0)).begin().result()


def test_ticks_come_at_once_after_each_pause_and_when_time_is_up() -> None:
    time = Time()
    assert list(time.clock.ticks(5.0, 2.0)) == [0.0, 2.0, 4.0, 5.0]
    assert time.slept == [2.0, 2.0, 1.0]


def test_a_wait_of_no_time_looks_once() -> None:
    time = Time()
    assert list(time.clock.ticks(0.0, 2.0)) == [0.0]
    assert time.slept == []


def test_a_look_that_ends_when_time_is_up_is_the_last() -> None:
    time, looks = Time(), 0
    for _ in time.clock.ticks(50.0, 1.0):
        looks += 1
        time.sleep(30.0)
    assert looks == 2


def test_the_last_of_several_pauses_stays() -> None:
    time = Time()
    list(time.clock.ticks(8.0, (0.5, 1.0, 3.0)))
    assert time.slept == [0.5, 1.0, 3.0, 3.0, 0.5]


@pytest.mark.parametrize("seconds", [0.1, 0.7, 90.0, 300.3])
def test_ticks_end_whatever_fractions_the_clock_has(seconds: float) -> None:
    time = Time()
    ticks = list(itertools.islice(time.clock.ticks(seconds, 0.1), 10_000))
    assert len(ticks) <= seconds / 0.1 + 3
    assert seconds <= ticks[-1] < seconds + 2 * LEAST


def test_pauses_grow_up_to_the_most() -> None:
    assert list(itertools.islice(growing(2.0, 2.0, 10.0), 5)) == [2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_pause_ends_with_the_time_that_is_left() -> None:
    time = Time()
    limit = Deadline(5.0, time.clock)
    limit.pause(3.0)
    limit.pause(3.0)
    limit.pause(3.0)
    assert time.slept == [3.0, 2.0, LEAST]


def test_a_deadline_stands_still_while_it_is_paused() -> None:
    time = Time()
    limit = Deadline(10.0, time.clock)
    with limit.paused():
        time.sleep(30.0)
    time.sleep(4.0)
    assert (limit.left, limit.spent, limit.passed) == (6.0, 4.0, False)
    time.sleep(6.0)
    assert (limit.left, limit.passed) == (LEAST, True)
