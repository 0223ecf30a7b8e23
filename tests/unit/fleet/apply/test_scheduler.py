"""Carrying out plans: what runs together, what stops what, what an interruption leaves."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from patience import LIMIT
from pymachine.errors import EngineError, Interrupted
from pymachine.fleet.apply.scheduler import Bounds, Outcome, Quiet, Run, RunSummary
from pymachine.fleet.plan import Action, Chain, Payload, Plan, payloads
from pymachine.override import override
from unit.calls import calls_of

CREATE = payloads.Create()


def action(name: str, does: Payload = CREATE, *, needs: tuple[str, ...] = (), waits: tuple[str, ...] = ()) -> Action:
    return Action(does, name, ("because",), needs, waits)


def plan(*chains: tuple[Action, ...]) -> Plan:
    return Plan("shop", tuple(Chain(actions[0].subject, actions) for actions in chains))


def run(
    made: Plan,
    work: Callable[[Action], None],
    *,
    width: int = 10,
    max_failures: int | None = None,
    stop: Callable[[], None] = lambda: None,
) -> RunSummary:
    return Run(made, work, Bounds(width, max_failures), Quiet()).go(stop)


def outcomes(account: RunSummary) -> dict[str, Outcome]:
    return {result.action.id: result.outcome for result in account}


def failing(*names: str) -> Callable[[Action], None]:
    def work(action: Action) -> None:
        if action.id in names:
            raise EngineError("it does not run")

    return work


def test_a_failure_stops_its_chain_and_what_needs_it_and_nothing_else() -> None:
    made = plan(
        (action("a"), action("a", payloads.Init())),
        (action("b"), action("b", payloads.Join("worker"), needs=("init:a",))),
        (action("c"),),
        (action("d", waits=("init:a",)),),
    )
    assert outcomes(run(made, failing("create:a"))) == {
        "create:a": Outcome.FAILED,
        "init:a": Outcome.SKIPPED,
        "create:b": Outcome.DONE,
        "join:b": Outcome.SKIPPED,
        "create:c": Outcome.DONE,
        "create:d": Outcome.DONE,
    }


def test_what_waits_begins_after_the_other_ended() -> None:
    order: list[str] = []
    made = plan((action("late", waits=("create:early",)),), (action("early"),))

    def work(action: Action) -> None:
        time.sleep(0.02)
        order.append(action.subject)

    run(made, work)
    assert order == ["early", "late"]


def test_as_many_run_at_once_as_allowed_and_no_more() -> None:
    running, most = [0], [0]
    lock, together = threading.Lock(), threading.Barrier(3, timeout=LIMIT)

    def work(action: Action) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        together.wait()
        time.sleep(0.02)  # for one too many to begin
        with lock:
            running[0] -= 1

    run(plan(*((action(f"n{n}"),) for n in range(12))), work, width=3)
    assert most[0] == 3


def test_after_too_many_failures_begun_chains_are_finished_and_no_other_is_begun() -> None:
    chains = [(action(f"n{n}"), action(f"n{n}", payloads.Join("worker"))) for n in range(6)]
    account = run(plan(*chains), failing("create:n0", "create:n1"), width=1, max_failures=1)
    assert len(account.having(Outcome.FAILED)) == 2
    assert len(account.having(Outcome.DONE)) == 0
    assert len(account.having(Outcome.LEFT)) == 8


def test_no_failure_is_too_many_where_no_limit_is_given() -> None:
    made = plan(*((action(f"n{n}"),) for n in range(6)))
    account = run(made, failing(*(f"create:n{n}" for n in range(6))), width=1)
    assert len(account.having(Outcome.FAILED)) == 6


def test_ctrl_c_lets_what_runs_end_and_begins_nothing_more() -> None:
    begun = threading.Event()
    stopped = threading.Event()

    def work(action: Action) -> None:
        begun.set()
        assert stopped.wait(LIMIT)

    def interrupt() -> None:
        begun.wait(LIMIT)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    account = run(
        plan((action("a"), action("a", payloads.Join("worker"))), (action("b"),)), work, width=1, stop=stopped.set
    )
    assert account.interrupted
    assert outcomes(account) == {"create:a": Outcome.DONE, "join:a": Outcome.LEFT, "create:b": Outcome.LEFT}


def test_ctrl_c_loses_nothing_that_is_just_beginning() -> None:
    stopped = threading.Event()

    class Interrupting(Quiet):
        @override
        def began(self, action: Action) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            assert stopped.wait(LIMIT)

    made = plan((action("a"), action("a", payloads.Join("worker"))), (action("b"),))
    account = Run(made, lambda action: None, Bounds(1), Interrupting()).go(stopped.set)
    assert account.interrupted
    assert outcomes(account) == {"create:a": Outcome.DONE, "join:a": Outcome.LEFT, "create:b": Outcome.LEFT}


def test_what_stopped_between_two_steps_is_told_from_what_failed_or_was_not_begun() -> None:
    def work(action: Action) -> None:
        raise Interrupted("interrupted before surveying the host")

    account = run(plan((action("a"),)), work)
    assert outcomes(account) == {"create:a": Outcome.STOPPED}
    assert account.unfinished == ("a",)


def test_what_a_second_ctrl_c_leaves_at_work_was_begun() -> None:
    begun, never = threading.Event(), threading.Event()

    def work(action: Action) -> None:
        begun.set()
        never.wait(LIMIT)

    def interrupt() -> None:
        begun.wait(LIMIT)
        os.kill(os.getpid(), signal.SIGINT)

    def interrupt_again() -> None:
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()

    threading.Thread(target=interrupt).start()
    account = run(plan((action("a"),), (action("b"),)), work, width=1, stop=interrupt_again)
    never.set()
    assert outcomes(account) == {"create:a": Outcome.STOPPED, "create:b": Outcome.LEFT}


def test_a_bug_is_no_failure_of_a_machine() -> None:
    def work(action: Action) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(plan((action("a"),)), work)


def test_what_a_machine_takes_to_schedule_does_not_grow_with_their_number() -> None:
    def calls(size: int) -> int:
        made = plan(*((action(f"n{n}"), action(f"n{n}", payloads.Join("worker"))) for n in range(size)))
        account: list[RunSummary] = []
        counted = calls_of(lambda: account.append(run(made, lambda action: None, width=50)))
        assert len(account[0].having(Outcome.DONE)) == 2 * size
        return counted

    small, medium, large = map(calls, (100, 200, 400))
    assert large - medium < 2.5 * (medium - small), "twice as many more take twice as many calls"
