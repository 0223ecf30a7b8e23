"""Executes a plan: as many chains in parallel as allowed, with a result of everything at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Protocol

from pymachine.errors import Interrupted, PymachineError
from pymachine.fleet.plan import Action, Plan
from pymachine.parallel import Ended, Workers, conducted

WIDTH = 10


class Outcome(StrEnum):
    """The outcome of an action."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # what it needs failed
    STOPPED = "stopped"  # begun, and cut off between two steps or left as it is
    LEFT = "left"  # not started


@dataclass(frozen=True, slots=True)
class ActionResult:
    """An action, its outcome, its duration in ``seconds``, and the reason."""

    action: Action
    outcome: Outcome
    seconds: float = 0.0
    error: PymachineError | None = None
    because: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many actions run in parallel, and how many machines or stacks may fail before no further one is started.

    ``wait`` is the time limit in seconds for the services of a stack, None for each stack's own.
    """

    width: int = WIDTH
    max_failures: int | None = None
    wait: int | None = None


class Tell(Protocol):
    """Receives the progress of a run, always in the same thread."""

    def began(self, action: Action) -> None:
        """An action begins."""

    def ended(self, result: ActionResult) -> None:
        """An action ended, or will not be started."""


class Quiet:
    """Discards everything."""

    def began(self, action: Action) -> None:
        """Ignore."""

    def ended(self, result: ActionResult) -> None:
        """Ignore."""


@dataclass
class RunSummary:
    """All results of a plan, in the order in which the actions ended."""

    plan: Plan
    results: dict[str, ActionResult] = field(default_factory=dict)
    interrupted: bool = False

    def __iter__(self) -> Iterator[ActionResult]:
        """All results in the order of the plan."""
        return (self.results[action.id] for action in self.plan.actions if action.id in self.results)

    def having(self, *outcomes: Outcome) -> list[ActionResult]:
        """Return the results with these outcomes."""
        return [result for result in self if result.outcome in outcomes]

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The subjects that are not in the planned state."""
        return tuple(dict.fromkeys(r.action.subject for r in self if r.outcome is not Outcome.DONE))


class Run:
    """The execution of one plan.

    ``work`` does an action in a thread; ``stop`` is called when no further step may begin.
    """

    def __init__(self, plan: Plan, work: Callable[[Action], None], bounds: Bounds, tell: Tell) -> None:
        self.account = RunSummary(plan)
        self._workers: Workers[Action, None] = Workers(work)
        self._bounds = bounds
        self._tell = tell
        self._open = {action.id: action for action in plan.actions}
        self._chain_of = {action.id: chain.subject for chain in plan.chains for action in chain.actions}
        self._needs = {
            action.id: {*action.needs, *(before.id for before in chain.actions[place - 1 : place])}
            for chain in plan.chains
            for place, action in enumerate(chain.actions)
        }
        self._blocked_by = {
            name: {*self._needs[name], *action.waits} & self._open.keys() for name, action in self._open.items()
        }
        self._blocks: dict[str, list[str]] = {name: [] for name in self._open}
        for name, others in self._blocked_by.items():
            for other in others:
                self._blocks[other].append(name)
        self._ready = deque(name for name, others in self._blocked_by.items() if not others)
        self._running: set[str] = set()
        self._begun: set[str] = set()
        self._failed: set[str] = set()
        self._halted = False

    def go(self, stop: Callable[[], None]) -> RunSummary:
        """Run until no action can start any more.

        At Ctrl-C, running actions continue to their next safe point; at a second one they are left as they are, and
        the next apply continues them.
        """
        try:
            self.account.interrupted = conducted(self._go, partial(self._halt, stop), None)
        except BaseException:
            stop()
            raise
        for action in list(self._open.values()):
            result = self.account.results[action.id] = self._left(action)
            self._tell.ended(result)
        return self.account

    def _left(self, action: Action) -> ActionResult:
        if action.id in self._running:
            return ActionResult(action, Outcome.STOPPED, because="left as it is")
        return ActionResult(action, Outcome.LEFT, because="not started")

    def _halt(self, stop: Callable[[], None]) -> None:
        self._halted = True
        stop()

    def _go(self) -> None:
        self._begin_all()
        while self._running:
            ended = self._workers.next()
            self._running.discard(ended.item.id)
            self._end(_result(ended))
            self._begin_all()

    def _begin_all(self) -> None:
        while self._ready and len(self._running) < self._bounds.width and not self._halted:
            name = self._ready.popleft()
            if not self._is_enough() or self._chain_of[name] in self._begun:
                self._begin(self._open[name])

    def _is_enough(self) -> bool:
        limit = self._bounds.max_failures
        return limit is not None and len(self._failed) > limit

    def _begin(self, action: Action) -> None:
        self._running.add(action.id)
        self._begun.add(self._chain_of[action.id])
        self._tell.began(action)
        self._workers.begin(action)

    def _end(self, result: ActionResult) -> None:
        """Record a result and its consequences: other actions may start now, or never."""
        ended = deque([result])
        while ended:
            result = ended.popleft()
            name = result.action.id
            if self._open.pop(name, None) is None:
                continue
            self.account.results[name] = result
            if result.outcome is Outcome.FAILED:
                self._failed.add(result.action.subject)
            self._tell.ended(result)
            ended.extend(self._skipped_by(result))

    def _skipped_by(self, result: ActionResult) -> Iterator[ActionResult]:
        for name in self._blocks[result.action.id]:
            if name not in self._open:
                continue
            self._blocked_by[name].discard(result.action.id)
            if result.outcome is not Outcome.DONE and result.action.id in self._needs[name]:
                because = f"{result.action.title} of {result.action.subject}: {result.outcome}"
                yield ActionResult(self._open[name], Outcome.SKIPPED, because=because)
            elif not self._blocked_by[name]:
                self._ready.append(name)


def _result(ended: Ended[Action, None]) -> ActionResult:
    error = ended.error
    if error is None:
        return ActionResult(ended.item, Outcome.DONE, ended.seconds)
    if isinstance(error, Interrupted):
        return ActionResult(ended.item, Outcome.STOPPED, ended.seconds, because=error.message)
    if isinstance(error, PymachineError):
        return ActionResult(ended.item, Outcome.FAILED, ended.seconds, error)
    raise error
