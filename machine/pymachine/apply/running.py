"""Carrying out a plan: as wide as it may be, each chain for itself, with an account of everything at the end."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from pymachine.errors import Interrupted, PymachineError
from pymachine.plan import Action, Plan

WIDTH = 10


class Outcome(StrEnum):
    """What became of an action."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # what it needs failed
    LEFT = "left"  # not begun, or stopped between two steps


@dataclass(frozen=True, slots=True)
class Result:
    """An action, what became of it after how many ``seconds``, and why."""

    action: Action
    outcome: Outcome
    seconds: float = 0.0
    error: PymachineError | None = None
    because: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many actions run at once, and how many machines or stacks may fail before no further one is begun."""

    width: int = WIDTH
    max_failures: int | None = None


class Tell(Protocol):
    """Hears how a run goes on, in the thread that waits for it."""

    def began(self, action: Action) -> None:
        """An action begins."""

    def ended(self, result: Result) -> None:
        """An action ended, or will not be begun."""


class Quiet:
    """Hears and says nothing."""

    def began(self, action: Action) -> None:
        """Ignore."""

    def ended(self, result: Result) -> None:
        """Ignore."""


@dataclass
class Account:
    """Everything that became of a plan, in the order in which it ended."""

    plan: Plan
    results: dict[str, Result] = field(default_factory=dict)
    interrupted: bool = False

    def __iter__(self) -> Iterator[Result]:
        """All results in the order of the plan."""
        return (self.results[action.id] for action in self.plan.actions if action.id in self.results)

    def having(self, *outcomes: Outcome) -> list[Result]:
        """Return the results with these outcomes."""
        return [result for result in self if result.outcome in outcomes]

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The subjects that are not as the plan wanted them."""
        return tuple(dict.fromkeys(r.action.subject for r in self if r.outcome is not Outcome.DONE))


class Run:
    """One plan at work. ``work`` does an action in a thread; ``stop`` is called when no further step is to begin."""

    def __init__(self, plan: Plan, work: Callable[[Action], None], bounds: Bounds, tell: Tell) -> None:
        self.account = Account(plan)
        self._work = work
        self._bounds = bounds
        self._tell = tell
        self._open = {action.id: action for action in plan.actions}
        self._before = {
            action.id: chain.actions[place - 1].id if place else ""
            for chain in plan.chains
            for place, action in enumerate(chain.actions)
        }
        self._chain_of = {action.id: chain.subject for chain in plan.chains for action in chain.actions}
        self._running: set[str] = set()
        self._begun: set[str] = set()
        self._ended: queue.SimpleQueue[tuple[str, float, BaseException | None]] = queue.SimpleQueue()
        self._halted = False

    def go(self, stop: Callable[[], None]) -> Account:
        """Run until nothing can be begun any more. At Ctrl-C what runs comes to its next safe point; at a second one
        it is left to itself, to be gone on with by the next apply."""
        try:
            self._go()
        except KeyboardInterrupt:
            self.account.interrupted = True
            self._halted = True
            stop()
            self._go()
        except BaseException:
            stop()
            raise
        for name in list(self._open):
            self._end(Result(self._open[name], Outcome.LEFT, because="not begun"))
        return self.account

    def _go(self) -> None:
        self._begin_all()
        while self._running:
            name, seconds, error = self._ended.get()
            self._running.discard(name)
            self._end(self._result(name, seconds, error))
            self._begin_all()

    def _begin_all(self) -> None:
        for action in list(self._open.values()):
            if (failed := self._failed_need(action)) is not None:
                self._end(Result(action, Outcome.SKIPPED, because=f"{failed.action.id} {failed.outcome}"))
                self._begin_all()  # what needs this one, too
                return
        for action in list(self._open.values()):
            if len(self._running) >= self._bounds.width:
                return
            if self._may_begin(action):
                self._begin(action)

    def _failed_need(self, action: Action) -> Result | None:
        if action.id in self._running:
            return None
        wanted = (*action.needs, self._before.get(action.id, ""))
        found = (self.account.results.get(name) for name in wanted)
        return next((result for result in found if result and result.outcome is not Outcome.DONE), None)

    def _may_begin(self, action: Action) -> bool:
        if self._halted or action.id in self._running:
            return False
        if self._is_enough() and self._chain_of[action.id] not in self._begun:
            return False
        others = (*action.needs, *action.waits, self._before.get(action.id, ""))
        return not any(name in self._open for name in others)

    def _is_enough(self) -> bool:
        limit = self._bounds.max_failures
        failed = {r.action.subject for r in self.account.results.values() if r.outcome is Outcome.FAILED}
        return limit is not None and len(failed) > limit

    def _begin(self, action: Action) -> None:
        self._running.add(action.id)
        self._begun.add(self._chain_of[action.id])
        self._tell.began(action)
        threading.Thread(target=self._labour, args=(action,), name=action.id, daemon=True).start()

    def _labour(self, action: Action) -> None:
        began = time.monotonic()
        error: BaseException | None = None
        try:
            self._work(action)
        except BaseException as fault:  # noqa: BLE001 - carried to the thread that waits
            error = fault
        self._ended.put((action.id, time.monotonic() - began, error))

    def _result(self, name: str, seconds: float, error: BaseException | None) -> Result:
        action = self._open[name]
        if error is None:
            return Result(action, Outcome.DONE, seconds)
        if isinstance(error, Interrupted):
            return Result(action, Outcome.LEFT, seconds, because=error.message)
        if isinstance(error, PymachineError):
            return Result(action, Outcome.FAILED, seconds, error)
        raise error

    def _end(self, result: Result) -> None:
        self._open.pop(result.action.id, None)
        self.account.results[result.action.id] = result
        self._tell.ended(result)
