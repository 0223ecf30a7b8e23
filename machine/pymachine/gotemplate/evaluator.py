"""A tree and data as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymachine.gotemplate.errors import TemplateError
from pymachine.gotemplate.functions import Functions, call
from pymachine.gotemplate.nodes import (
    BranchNode,
    ChainNode,
    CommandNode,
    DotNode,
    FieldNode,
    FunctionNode,
    JumpNode,
    LiteralNode,
    Node,
    Operand,
    PipeNode,
    PrintNode,
    TextNode,
    VariableNode,
)
from pymachine.gotemplate.printf import shown
from pymachine.gotemplate.values import ABSENT, GoKind, is_true, kind_of

OUTPUT_LIMIT = 16 * 1024 * 1024  # characters; ranges within ranges multiply
_NONE: tuple[Any, ...] = ()  # no value from the stage before; else a tuple of one
_LAZY = {"and": False, "or": True}  # with the truth value that decides


class _Jump(Exception):
    """A ``break`` or ``continue`` on its way to its loop."""

    def __init__(self, word: str) -> None:
        self.word = word


class Evaluator:
    """One filling-in of a template. Variables are a stack, as names can be declared again inside a block."""

    def __init__(self, data: Any, functions: Functions) -> None:
        self._functions = functions
        self._variables: list[tuple[str, Any]] = [("$", data)]
        self._out: list[str] = []
        self._size = 0

    def text_of(self, nodes: Sequence[Node], data: Any) -> str:
        """Return what a tree prints. Raises ``TemplateError``."""
        self._walk(nodes, data)
        return "".join(self._out)

    def _walk(self, nodes: Iterable[Node], dot: Any) -> None:
        for node in nodes:
            if isinstance(node, TextNode):
                self._print(node.text)
            elif isinstance(node, JumpNode):
                raise _Jump(node.word)
            elif isinstance(node, BranchNode):
                self._branch(node, dot)
            else:
                self._print_value(node, dot)

    def _print_value(self, node: PrintNode, dot: Any) -> None:
        value = self._pipe(node.pipe, dot)
        if not node.pipe.names:
            self._print("<no value>" if value is ABSENT else shown(value))

    def _print(self, text: str) -> None:
        self._size += len(text)
        if self._size > OUTPUT_LIMIT:
            raise TemplateError(f"the format prints more than {OUTPUT_LIMIT // 1024 // 1024} MiB")
        self._out.append(text)

    def _branch(self, node: BranchNode, dot: Any) -> None:
        known = len(self._variables)
        try:
            if node.word == "range":
                self._range(node, dot)
                return
            value = self._pipe(node.pipe, dot)
            chosen = node.then if is_true(value) else node.otherwise
            self._walk(chosen, value if node.word == "with" and chosen is node.then else dot)
        finally:
            del self._variables[known:]

    def _range(self, node: BranchNode, dot: Any) -> None:
        value = self._pipe(node.pipe, dot, declares=False)
        items = list(_items(value))
        known = len(self._variables)
        for key, item in items:
            names = node.pipe.names
            bound = dict(zip(names, (item,) if len(names) == 1 else (key, item), strict=False))
            self._bind(bound, assigns=node.pipe.assigns)
            try:
                self._walk(node.then, item)
            except _Jump as jump:
                if jump.word == "break":
                    break
            finally:
                del self._variables[known:]
        if not items:
            self._walk(node.otherwise, dot)

    def _bind(self, values: Mapping[str, Any], *, assigns: bool) -> None:
        for name, value in values.items():
            if assigns:
                self._variable(name)
                place = max(place for place, (known, _) in enumerate(self._variables) if known == name)
                self._variables[place] = (name, value)
            else:
                self._variables.append((name, value))

    def _pipe(self, pipe: PipeNode, dot: Any, *, declares: bool = True) -> Any:
        value: tuple[Any, ...] = _NONE
        for command in pipe.commands:
            found = self._command(command, dot, value)
            value = (ABSENT if found is None else found,)  # as Go looks into an interface between stages
        if declares:
            self._bind(dict.fromkeys(pipe.names, value[0]), assigns=pipe.assigns)
        return value[0]

    def _command(self, command: CommandNode, dot: Any, before: tuple[Any, ...]) -> Any:
        first, *words = command.words
        if isinstance(first, FunctionNode):
            return self._call(first.name, words, dot, before)
        if isinstance(first, LiteralNode) and first.value is None:
            raise TemplateError("nil is not a command")
        if words or before:
            raise TemplateError(f"{_spelled(first)} is not a function, and cannot be given arguments")
        return self._operand(first, dot)

    def _call(self, name: str, words: Sequence[Operand], dot: Any, before: tuple[Any, ...]) -> Any:
        if name not in _LAZY:
            return call(self._functions, name, [*(self._operand(word, dot) for word in words), *before])
        if not words and not before:
            raise TemplateError(f"{name} needs an argument")
        value: Any = None
        for word in words:
            value = self._operand(word, dot)
            if is_true(value) is _LAZY[name]:
                return value
        return before[0] if before else value

    def _operand(self, node: Operand, dot: Any) -> Any:
        if isinstance(node, DotNode):
            return dot
        if isinstance(node, LiteralNode):
            return node.value
        if isinstance(node, FieldNode):
            return _fields(dot, node.names)
        if isinstance(node, VariableNode):
            return _fields(self._variable(node.name), node.names)
        if isinstance(node, ChainNode):
            return _fields(self._pipe(node.of, dot), node.names)
        return self._call(node.name, (), dot, _NONE) if isinstance(node, FunctionNode) else self._pipe(node, dot)

    def _variable(self, name: str) -> Any:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise TemplateError(f"the variable {name} is not defined yet")


def _fields(value: Any, names: Sequence[str]) -> Any:
    for name in names:
        value = _field(value, name)
    return value


def _field(value: Any, name: str) -> Any:
    """Return a field of a value: what a map does not have is absent, as are all fields of what is absent."""
    if value is ABSENT:
        return ABSENT
    kind = kind_of(value)
    if kind is GoKind.MAP:
        return value.get(name, ABSENT)
    if kind is not GoKind.STRUCT:
        raise TemplateError(f"a value of type {kind} has no field {name}")
    if name not in value:
        raise TemplateError(f"there is no field {name}; there are: {', '.join(value)}")
    return value[name]


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    """Yield what a range goes through: indices and items of a list, keys in order and values of a map."""
    kind = kind_of(value)
    if kind is GoKind.NIL:
        return []
    if kind is GoKind.SLICE:
        return enumerate(value)
    if kind is GoKind.MAP:
        return sorted(value.items())
    raise TemplateError(f"range cannot go through a value of type {kind}")


def _spelled(node: Operand) -> str:
    """Return how an operand is written, roughly."""
    if isinstance(node, FieldNode):
        return "." + ".".join(node.names)
    if isinstance(node, VariableNode):
        return ".".join((node.name, *node.names))
    return shown(node.value) if isinstance(node, LiteralNode) else "." if isinstance(node, DotNode) else "(…)"
