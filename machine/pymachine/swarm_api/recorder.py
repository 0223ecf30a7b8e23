"""A wrapper of an engine that reports when it is asked to change something."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Self, cast

from pymachine.swarm_api.protocol import ClusterEngine

CHANGES = frozenset({
    "init", "force_new_cluster", "join", "leave", "unlock", "change_cluster", "change_node", "remove_node",
})  # fmt: skip


def recorded(engine: ClusterEngine, changed: Callable[[], None]) -> ClusterEngine:
    """Return the engine with every method; ``changed`` is called before one of ``CHANGES`` is sent."""
    return cast(ClusterEngine, _Recorder(engine, changed))


class _Recorder:
    def __init__(self, engine: ClusterEngine, changed: Callable[[], None]) -> None:
        self._engine = engine
        self._changed = changed

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        return partial(self._change, found) if name in CHANGES else found

    def _change(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self._changed()
        return call(*args, **options)

    def __enter__(self) -> Self:
        self._engine.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._engine.__exit__(*raised)
