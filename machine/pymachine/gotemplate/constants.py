"""Constants of a template, as Go writes them."""

from __future__ import annotations

import re
from typing import Any

from pymachine.gotemplate.errors import TemplateError

_INT_LIMIT = 2**63
# https://go.dev/ref/spec#Rune_literals; octal and \x are bytes of UTF-8 in a text.
_ESCAPE = re.compile(
    rb"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))", re.S
)
_SIMPLE = dict(zip(b"abfnrtv\\'\"", b"\a\b\f\n\r\t\v\\'\"", strict=True))


def number(text: str) -> int | float:
    """Return a number: ``float`` where it has a dot or an exponent, else ``int``. Raises ``TemplateError``."""
    plain = text.lower()
    try:
        if not re.fullmatch(r"[^_]*(?:(?<=[0-9a-fx])_[0-9a-f][^_]*)*", plain):
            raise ValueError
        plain = plain.replace("_", "")
        if "x" not in plain and ("." in plain or "e" in plain):
            value: int | float = float(plain)
            if value in (float("inf"), float("-inf")):
                raise ValueError
            return value
        value = int(_octal(plain), 0)
    except ValueError:
        raise TemplateError(f"{text!r} is not a valid number") from None
    if not -_INT_LIMIT <= value < _INT_LIMIT:
        raise TemplateError(f"{text!r} is too large for an integer")
    return value


def _octal(plain: str) -> str:
    """``017`` is octal in Go, and an error in Python."""
    return re.sub(r"^([+-]?)0(?=[0-9])", r"\g<1>0o", plain)


def quoted(text: str) -> str:
    """Return the text between double quotes, with its escapes resolved. Raises ``TemplateError``."""
    return _resolved(text, b"'").decode(errors="replace")


def character(text: str) -> int:
    """Return the code point of a character between single quotes. Raises ``TemplateError``."""
    try:
        return ord(_resolved(text, b'"').decode())
    except (TypeError, UnicodeDecodeError):
        raise TemplateError(f"{text} is not one character") from None


def _resolved(text: str, foreign: bytes) -> bytes:
    def plain(found: re.Match[bytes]) -> bytes:
        simple, byte, short, long, octal, wrong = found.groups()
        if wrong is not None or simple == foreign or (octal and int(octal, 8) > 0xFF):
            raise TemplateError(f"{found[0].decode(errors='replace')} is not a valid escape in {text}")
        if simple:
            return bytes([_SIMPLE[simple[0]]])
        return bytes([int(byte, 16)]) if byte else bytes([int(octal, 8)]) if octal else _rune(short or long, text)

    return _ESCAPE.sub(plain, text[1:-1].encode(errors="surrogateescape"))


def _rune(digits: bytes, text: str) -> bytes:
    try:
        return chr(int(digits, 16)).encode()
    except (ValueError, OverflowError):
        raise TemplateError(f"{digits.decode()} is not a code point, in {text}") from None


def constant(kind: Any, text: str) -> Any:
    """Return the value of a token that is a constant, by the name of its kind."""
    return {"string": quoted, "raw": lambda raw: raw[1:-1], "char": character, "number": number}[kind](text)
