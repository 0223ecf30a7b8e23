"""Tokens as a tree. What Go refuses is refused, and what is outside the set is named."""

from __future__ import annotations

from collections.abc import Collection
from typing import NoReturn

from pymachine.gotemplate.constants import constant
from pymachine.gotemplate.errors import TemplateError
from pymachine.gotemplate.lexer import Token, TokenKind, tokens
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

DEPTH = 50  # levels of actions and parentheses; a format of a person has three
_BRANCHES = ("if", "with", "range")
_ENDS = ("end", "else")
_JUMPS = ("break", "continue")
_OUTSIDE = ("define", "template", "block")
_LITERALS = {"true": True, "false": False, "nil": None}
_CONSTANTS = (TokenKind.STRING, TokenKind.RAW, TokenKind.CHAR, TokenKind.NUMBER)
_STOPS = (TokenKind.END, TokenKind.CLOSE, TokenKind.PIPE)


def parse(text: str, functions: Collection[str]) -> tuple[Node, ...]:
    """Return the tree of a template that may call these functions. Raises ``TemplateError``."""
    return _Parser(list(tokens(text)), functions).whole()


class _Parser:
    """Reads tokens from left to right. ``_scope`` are the variables that are known, in the order they came."""

    def __init__(self, found: list[Token], functions: Collection[str]) -> None:
        self._tokens = found
        self._place = 0
        self._functions = functions
        self._scope = ["$"]
        self._loops = 0
        self._depth = 0

    def whole(self) -> tuple[Node, ...]:
        nodes, ended = self._nodes()
        if ended:
            self._fail(f"'{ended}' without an action that it belongs to")
        return nodes

    def _nodes(self) -> tuple[tuple[Node, ...], str]:
        """Read up to an ``end`` or ``else``; return the nodes and that word, empty at the end of the text."""
        found: list[Node] = []
        while self._place < len(self._tokens):
            token = self._next()
            if token.kind is TokenKind.TEXT:
                found.append(TextNode(token.text))
                continue
            self._skip()
            word = self._peek().text if self._peek().kind is TokenKind.NAME else ""
            if word in _ENDS:
                self._next()
                return tuple(found), word
            found.append(self._action(word))
        return tuple(found), ""

    def _action(self, word: str) -> Node:
        if word in _OUTSIDE:
            self._fail(f"'{word}' is not supported: a format is one template")
        if word in _BRANCHES:
            self._next()
            return self._branch(word)
        if word in _JUMPS:
            self._next()
            self._close()
            return JumpNode(word) if self._loops else self._fail(f"'{word}' stands outside of a range")
        pipe = self._pipe(most=1)
        self._close()
        return PrintNode(pipe)

    def _branch(self, word: str) -> BranchNode:
        self._deeper()
        known = len(self._scope)
        pipe = self._pipe(most=2 if word == "range" else 1)
        self._close()
        self._loops += word == "range"
        then, ended = self._nodes()
        self._loops -= word == "range"
        otherwise: tuple[Node, ...] = ()
        if ended == "else":
            otherwise, ended = self._else(word)
        if ended != "end":
            self._fail(f"'{word}' is not closed: '{{{{end}}}}' is missing" if not ended else "'else' stands twice")
        del self._scope[known:]
        self._depth -= 1
        self._close_end(word)
        return BranchNode(word, pipe, then, otherwise)

    def _else(self, word: str) -> tuple[tuple[Node, ...], str]:
        """Read what comes after an ``else``; ``else if`` is an ``if`` of its own that ends with the same ``end``."""
        self._skip()
        if word not in ("range", "with") and self._peek().text == "if" and self._peek().kind is TokenKind.NAME:
            self._next()
            nested = self._branch("else if")
            return (BranchNode("if", nested.pipe, nested.then, nested.otherwise),), "end"
        self._close()
        return self._nodes()

    def _close_end(self, word: str) -> None:
        """The ``end`` of an ``else if`` is that of the ``if`` too, which reads it."""
        if word != "else if":
            self._close()

    def _pipe(self, most: int) -> PipeNode:
        """Read a pipeline up to what closes it; ``most`` is how many variables it may set."""
        names, assigns = self._declared(most)
        commands: list[CommandNode] = []
        while True:
            words = self._command()
            if commands and isinstance(words[0], LiteralNode | DotNode):
                self._fail(f"stage {len(commands) + 1} of a pipeline cannot be called")
            commands.append(CommandNode(words))
            if self._peek().kind is not TokenKind.PIPE:
                break
            self._next()
        return PipeNode(tuple(commands), names, assigns)

    def _declared(self, most: int) -> tuple[tuple[str, ...], bool]:
        """Read ``$x :=``, ``$x =`` or ``$i, $x :=`` in front of a pipeline, if there is one."""
        place = self._place
        names: list[str] = []
        while len(names) < most:
            self._skip()
            if self._peek().kind is not TokenKind.VARIABLE:
                break
            names.append(self._next().text)
            self._skip()
            if self._peek().kind in (TokenKind.DECLARE, TokenKind.ASSIGN):
                assigns = self._next().kind is TokenKind.ASSIGN
                if assigns:
                    self._require(names)
                self._scope.extend(() if assigns else names)  # before its value: Go lets `$x := $x` pass here
                return tuple(names), assigns
            if self._peek().kind is not TokenKind.COMMA:
                break
            self._next()
        self._place = place
        return (), False

    def _require(self, names: Collection[str]) -> None:
        for name in names:
            if name not in self._scope:
                self._fail(f"the variable {name} is not defined")

    def _command(self) -> tuple[Operand, ...]:
        """Read operands with blanks between them."""
        words: list[Operand] = []
        while True:
            blank = self._skip()
            token = self._peek()
            if token.kind in _STOPS:
                return tuple(words) if words else self._fail("a value is missing")
            if words and not blank:
                self._fail(f"{token.text!r} is not expected after an operand")
            words.append(self._operand())

    def _operand(self) -> Operand:
        token = self._next()
        if token.kind is TokenKind.OPEN:
            return self._chain(self._parenthesis())
        if token.kind is TokenKind.FIELD:
            return FieldNode((token.text[1:], *self._names()))
        if token.kind is TokenKind.VARIABLE:
            self._require((token.text,))
            return VariableNode(token.text, self._names())
        if token.kind is TokenKind.DOT:
            return DotNode()
        return self._named(token) if token.kind is TokenKind.NAME else self._constant(token)

    def _parenthesis(self) -> PipeNode:
        self._deeper()
        pipe = self._pipe(most=1)
        if self._next().kind is not TokenKind.CLOSE:
            self._fail("a parenthesis is not closed")
        self._depth -= 1
        return pipe

    def _chain(self, pipe: PipeNode) -> Operand:
        names = self._names()
        return ChainNode(pipe, names) if names else pipe

    def _names(self) -> tuple[str, ...]:
        """Read the fields that stand directly after an operand."""
        found = []
        while self._peek().kind is TokenKind.FIELD:
            found.append(self._next().text[1:])
        return tuple(found)

    def _named(self, token: Token) -> Operand:
        if token.text in _LITERALS:
            return LiteralNode(_LITERALS[token.text])
        if token.text not in self._functions:
            self._fail(
                f"the function {token.text!r} is not supported (there are: {', '.join(sorted(self._functions))})"
            )
        return FunctionNode(token.text)

    def _constant(self, token: Token) -> Operand:
        if token.kind not in _CONSTANTS:
            self._fail(f"{token.text!r} is not expected here")
        return LiteralNode(constant(token.kind, token.text))

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            self._fail(f"it is nested more than {DEPTH} levels deep")

    def _close(self) -> None:
        self._skip()
        token = self._next()
        if token.kind is not TokenKind.END:
            self._fail(f"{token.text!r} is not expected here")

    def _skip(self) -> bool:
        """Read blanks; return whether there were any."""
        found = self._peek().kind is TokenKind.SPACE
        self._place += found
        return found

    def _peek(self) -> Token:
        return self._tokens[self._place] if self._place < len(self._tokens) else Token(TokenKind.TEXT, "", 0)

    def _next(self) -> Token:
        token = self._peek()
        self._place += 1
        return token

    def _fail(self, reason: str) -> NoReturn:
        place = min(max(self._place - 1, 0), len(self._tokens) - 1)
        raise TemplateError(f"line {self._tokens[place].at} of the format: {reason}")
