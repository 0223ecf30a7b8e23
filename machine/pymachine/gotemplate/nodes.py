"""The tree of a template that was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TextNode:
    """Text between actions."""

    text: str


@dataclass(frozen=True, slots=True)
class DotNode:
    """``.``, the data."""


@dataclass(frozen=True, slots=True)
class LiteralNode:
    """A constant: text, number, truth value, or None for nil."""

    value: Any


@dataclass(frozen=True, slots=True)
class FieldNode:
    """``.A.B``: fields of the data."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VariableNode:
    """``$x.A``: a variable, or fields of one. ``name`` has the dollar."""

    name: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionNode:
    """The name of a function."""

    name: str


@dataclass(frozen=True, slots=True)
class CommandNode:
    """One stage of a pipeline: what is evaluated, and its arguments."""

    words: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class PipeNode:
    """A pipeline. Its value goes to the variables ``names``, which are new ones unless it ``assigns``."""

    commands: tuple[CommandNode, ...]
    names: tuple[str, ...] = ()
    assigns: bool = False


@dataclass(frozen=True, slots=True)
class ChainNode:
    """``(…).A.B``: fields of a pipeline's value."""

    of: PipeNode
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrintNode:
    """An action that prints a pipeline's value, or sets variables."""

    pipe: PipeNode


@dataclass(frozen=True, slots=True)
class BranchNode:
    """``if``, ``with`` or ``range``, by ``word``, with what is done and what is done otherwise."""

    word: str
    pipe: PipeNode
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class JumpNode:
    """``break`` or ``continue``, by ``word``."""

    word: str


Operand = DotNode | LiteralNode | FieldNode | VariableNode | FunctionNode | ChainNode | PipeNode
Node = TextNode | PrintNode | BranchNode | JumpNode
