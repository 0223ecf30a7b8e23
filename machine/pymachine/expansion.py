"""Loads YAML after counting its expanded aliases, because a few lines can expand to billions of values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

TEXT_LIMIT = 8 << 20  # characters of a document
LIMIT = 2 << 20  # values of a document whose aliases are written out; 5,000 machines with 400 each
LONG = 64  # characters of text that weigh as much as one value more


class Overgrown(yaml.MarkedYAMLError):
    """A document that is too large or too deep; ``problem`` and ``problem_mark`` say what and where."""


def load(text: str | bytes) -> Any:
    """Return the result of ``yaml.safe_load`` for a document whose expanded size is within the limit.

    Raises ``yaml.YAMLError``, and its subclass ``Overgrown`` for a document that is too long, too deep, or endless.
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
    """Raise ``Overgrown`` for YAML for another program whose expanded size is too large.

    Every document in it is counted, but nothing is built. Other errors are left to that program.
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
    """Raise ``Overgrown`` for a node that contains itself, and for one that its aliases make too large."""
    size = _Size()
    size.of(node)
    if size.overgrown is not None:
        raise Overgrown(problem=problem(), problem_mark=size.overgrown.start_mark)
    if size.endless is not None:
        raise Overgrown(problem="an anchor contains an alias of itself", problem_mark=size.endless.start_mark)


def overgrown(node: yaml.Node) -> yaml.Node | None:
    """Return the innermost node that aliases make larger than ``LIMIT``; None if all are small enough."""
    size = _Size()
    size.of(node)
    return size.overgrown


def problem() -> str:
    """Describe what is wrong with a node that is ``overgrown``."""
    return f"with its aliases expanded it has more than {LIMIT:,} values"


class _Size:
    """Sizes with all aliases expanded, each node counted once, so that the time is linear in the text."""

    def __init__(self) -> None:
        self.overgrown: yaml.Node | None = None
        self.endless: yaml.Node | None = None
        self._known: dict[int, int] = {}
        self._own = 0

    def of(self, node: yaml.Node) -> int:
        """Return the size of a node; an alias of a node that contains it counts nothing and is ``endless``."""
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
