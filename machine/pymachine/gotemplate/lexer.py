"""A template's text as tokens: the text between actions, and the words inside them."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pymachine.gotemplate.errors import TemplateError


class TokenKind(StrEnum):
    """What a token is."""

    TEXT = "text"
    BEGIN = "begin"
    END = "end"
    SPACE = "space"
    STRING = "string"
    RAW = "raw"
    CHAR = "char"
    DECLARE = "declare"
    ASSIGN = "assign"
    PIPE = "pipe"
    COMMA = "comma"
    OPEN = "open"
    CLOSE = "close"
    NUMBER = "number"
    FIELD = "field"
    VARIABLE = "variable"
    DOT = "dot"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a template; ``at`` is the line on which it stands, from 1."""

    kind: TokenKind
    text: str
    at: int


_OPEN, _CLOSE = "{{", "}}"
_BLANK = " \t\r\n"
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_END = re.compile(r"[ \t\r\n]-\}\}|\}\}")
# The order matters: an assignment is longer than "=", a number may begin with a sign or a dot, and a field is a dot
# with a name directly after it. The last blank before a trim marker belongs to that.
_WORD = re.compile(
    r"""(?P<space>[ \t\r\n](?:[ \t\r\n](?!-\}\}))*)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\.)+')
    |(?P<declare>:=)|(?P<assign>=)|(?P<pipe>\|)|(?P<comma>,)|(?P<open>\()|(?P<close>\))
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
        |(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?))
    |(?P<field>\.[^\W\d]\w*)
    |(?P<variable>\$\w*)
    |(?P<dot>\.)
    |(?P<name>[^\W\d]\w*)""",
    re.VERBOSE,
)


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a template, without comments. Raises ``TemplateError``."""
    place, trim = 0, False
    while True:
        begin = text.find(_OPEN, place)
        plain = text[place:] if begin < 0 else text[place:begin]
        trims_left = begin >= 0 and text[begin + 2 : begin + 3] == "-" and text[begin + 3 : begin + 4] in set(_BLANK)
        plain = plain.lstrip(_BLANK) if trim else plain
        plain = plain.rstrip(_BLANK) if trims_left else plain
        if plain:
            yield Token(TokenKind.TEXT, plain, _line(text, place))
        if begin < 0:
            return
        inside = begin + (4 if trims_left else 2)
        comment = _COMMENT.match(text, inside)
        if comment is None and text.startswith("/*", inside):
            raise TemplateError(f"line {_line(text, begin)} of the format: a comment is not closed")
        if comment is None:
            yield Token(TokenKind.BEGIN, _OPEN, _line(text, begin))
            inside = yield from _words(text, inside)
        place, trim = _closed(text, comment.end() if comment else inside)
        if comment is None:
            yield Token(TokenKind.END, _CLOSE, _line(text, place))


def _words(text: str, place: int) -> Generator[Token, None, int]:
    """Yield the tokens of one action; return the place at which it ends."""
    while _END.match(text, place) is None:
        found = _WORD.match(text, place)
        if found is None:
            raise TemplateError(f"line {_line(text, place)} of the format: {_unread(text, place)}")
        yield Token(TokenKind(str(found.lastgroup)), found[0], _line(text, place))
        place = found.end()
    return place


def _unread(text: str, place: int) -> str:
    if place >= len(text):
        return "an action is not closed: '}}' is missing"
    if text[place] in "\"'`":
        return f"a quoted text is not closed: {text[place]}"
    return f"{text[place]!r} is not expected here"


def _closed(text: str, place: int) -> tuple[int, bool]:
    """Return where the text after an action begins, and whether its first blanks are trimmed."""
    found = _END.match(text, place)
    if found is None:
        raise TemplateError(f"line {_line(text, place)} of the format: a comment ends before its action does")
    return found.end(), found[0] != _CLOSE


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
