"""YAML whose aliases are counted before anything is made of it: a few lines can stand for billions of values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

TEXT_LIMIT = 8 << 20  # characters of a document
LIMIT = 2 << 20  # values of a document whose aliases are written out; 5,000 machines with 400 each
LONG = 64  # characters of text that weigh as much as one value more


class Overgrown(yaml.MarkedYAMLError):
    """A document larger or deeper than any that is meant; ``problem`` and ``problem_mark`` say what and where."""


def load(text: str | bytes) -> Any:
    """Return what ``yaml.safe_load`` does, of a document that is no larger than it looks.

    Raises ``yaml.YAMLError``, and of those ``Overgrown`` for what is too long, too deep, or without end.
    """
    if len(text) > TEXT_LIMIT:
        raise Overgrown(problem=f"the file is longer than {TEXT_LIMIT >> 20} MiB")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        check(node)
        return loader.construct_document(node)
    except RecursionError:
        raise Overgrown(problem="the file is nested too deeply") from None
    finally:
        loader.dispose()


def guard(text: str | bytes) -> None:
    """Raise ``Overgrown`` for YAML that another program is to read and that is larger than it looks.

    Every document in it is counted, nothing is made of any. What is wrong otherwise is left to that program.
    """
    if len(text) > TEXT_LIMIT:
        raise Overgrown(problem=f"the file is longer than {TEXT_LIMIT >> 20} MiB")
    try:
        for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
            check(node)
    except RecursionError:
        raise Overgrown(problem="the file is nested too deeply") from None
    except Overgrown:
        raise
    except (yaml.YAMLError, UnicodeDecodeError):
        return


def check(node: yaml.Node) -> None:
    """Raise ``Overgrown`` for a node that holds itself, and for one that its aliases make too large."""
    size = _Size()
    size.of(node)
    if size.overgrown is not None:
        raise Overgrown(problem=problem(), problem_mark=size.overgrown.start_mark)
    if size.endless is not None:
        raise Overgrown(problem="an anchor holds an alias of itself", problem_mark=size.endless.start_mark)


def overgrown(node: yaml.Node) -> yaml.Node | None:
    """Return the innermost node that aliases make larger than ``LIMIT``; None where all are small enough."""
    size = _Size()
    size.of(node)
    return size.overgrown


def problem() -> str:
    """Say what is wrong with a node that is ``overgrown``."""
    return f"with its aliases written out it has more than {LIMIT:,} values"


class _Size:
    """Sizes with all aliases written out, each node counted once: linear in the text, whatever it stands for."""

    def __init__(self) -> None:
        self.overgrown: yaml.Node | None = None
        self.endless: yaml.Node | None = None
        self._known: dict[int, int] = {}
        self._own = 0

    def of(self, node: yaml.Node) -> int:
        """Return the size of a node; an alias of what it stands in counts nothing, and is ``endless``."""
        known = self._known.get(id(node))
        if known is not None:
            if known == 0:
                self.endless = self.endless or node
            return known
        self._known[id(node)] = 0
        weight = 1 + (len(node.value) // LONG if isinstance(node, yaml.ScalarNode) else 0)
        self._own += weight
        size = weight + sum(self.of(child) for child in _children(node))
        self._known[id(node)] = size
        # A text without aliases is as large as it is long, which has a limit of its own.
        if size > LIMIT and size > self._own and self.overgrown is None:
            self.overgrown = node
        return size


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value
