"""What Go's fmt prints: values without a format, and ``printf`` with its verbs. https://pkg.go.dev/fmt"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pymachine.gotemplate.errors import TemplateError
from pymachine.gotemplate.values import GoKind, kind_of

WIDTH_LIMIT = 1_000_000  # Go's own
_VERB = re.compile(r"%(?P<flags>[+\-# 0]*)(?P<width>\d+|\*)?(?:\.(?P<precision>\d+|\*)?)?(?P<verb>.)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Verb:
    """One ``%-8.3s``: its flags, width and precision (None: not given), and its letter."""

    letter: str
    flags: frozenset[str] = frozenset()
    width: int | None = None
    precision: int | None = None


PLAIN = Verb("v")


def shown(value: Any) -> str:
    """Return a value as ``%v``."""
    return _formatted(value, PLAIN)


def printed(values: Sequence[Any]) -> str:
    """Return values one after another, with a blank between two of which neither is text."""
    parts: list[str] = []
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            parts.append(" ")
        parts.append(shown(value))
    return "".join(parts)


def printed_line(values: Sequence[Any]) -> str:
    """Return values with blanks between them, and a line feed."""
    return " ".join(map(shown, values)) + "\n"


def formatted(text: str, values: Sequence[Any]) -> str:
    """Return a format with its verbs replaced by values; a fault of it is printed into the text, as Go does."""
    rest = list(values)

    def replaced(found: re.Match[str]) -> str:
        letter = found["verb"]
        if letter is None:
            return "%!(NOVERB)"
        if letter == "[" or "*" in (found["width"], found["precision"]) or "#" in found["flags"]:
            raise TemplateError(
                f"{found[0]!r} is not supported: use a plain verb, with a width and in the order of the values"
            )
        if letter == "%":
            return "%"
        if max(int(found["width"] or 0), int(found["precision"] or 0)) > WIDTH_LIMIT:
            raise TemplateError(f"{found[0]!r} is wider than {WIDTH_LIMIT}")
        return _formatted(rest.pop(0), _verb_of(found)) if rest else f"%!{letter}(MISSING)"

    out = _VERB.sub(replaced, text)
    return out + (f"%!(EXTRA {', '.join(map(_typed, rest))})" if rest else "")


def _digits_of(value: float) -> tuple[str, str, int]:
    """Return the sign, the shortest digits that stand for a number, and the decimal exponent of the first one."""
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int), value
    text = "".join(map(str, digits)).lstrip("0")
    return "-" * sign, text.rstrip("0") or "0", len(text or "0") + exponent - 1 if value else 0


def _verb_of(found: re.Match[str]) -> Verb:
    has_precision = "." in found[0][: -len(found["verb"])]
    return Verb(
        found["verb"],
        frozenset(found["flags"]) - ({"+"} if found["verb"] == "v" else set()),  # of which it means another thing
        int(found["width"]) if found["width"] else None,
        int(found["precision"] or 0) if has_precision else None,
    )


def _formatted(value: Any, verb: Verb) -> str:
    if value is None:
        return _padded("<nil>", verb) if verb.letter in "vT" else f"%!{verb.letter}(<nil>)"
    if verb.letter == "T":
        return _padded(str(kind_of(value))[: verb.precision], verb)
    kind = kind_of(value)
    if kind is GoKind.SLICE:
        return "[" + " ".join(_inner(item, verb) for item in value) + "]"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{_formatted(key, verb)}:{_inner(value[key], verb)}" for key in sorted(value)) + "]"
    made = _MAKERS[kind](value, verb)
    return f"%!{verb.letter}({_typed(value, verb)})" if made is None else made


def _inner(value: Any, verb: Verb) -> str:
    """Return an item of a list or map: of nil no verb is wrong there."""
    return "<nil>" if value is None else _formatted(value, verb)


def _typed(value: Any, verb: Verb = PLAIN) -> str:
    return "<nil>" if value is None else f"{kind_of(value)}={_formatted(value, replace(verb, letter='v'))}"


def _padded(text: str, verb: Verb, *, numeric: bool = False) -> str:
    width = verb.width or 0
    if "-" in verb.flags:
        return text.ljust(width)
    if "0" not in verb.flags:
        return text.rjust(width)
    sign = text[:1] if numeric and text[:1] in ("+", "-", " ") else ""
    return sign + text[len(sign) :].rjust(width - len(sign), "0")


def _of_bool(value: bool, verb: Verb) -> str | None:
    return _padded("true" if value else "false", verb) if verb.letter in "vt" else None


def _of_string(value: str, verb: Verb) -> str | None:
    cut = value if verb.precision is None else value[: verb.precision]
    if verb.letter in "vs":
        return _padded(cut, verb)
    if verb.letter == "q":
        return _padded(quoted(cut, ascii_only="+" in verb.flags), verb)
    return _padded(_hex(value, verb), verb) if verb.letter in "xX" else None


def _hex(value: str, verb: Verb) -> str:
    """Return the bytes of a text, with blanks between them where that is asked for."""
    data = value.encode(errors="surrogateescape")[: verb.precision]
    text = data.hex(" ") if " " in verb.flags else data.hex()
    return text.upper() if verb.letter == "X" else text


def _of_int(value: int, verb: Verb) -> str | None:
    if verb.letter == "c":
        return _padded(_character(value), verb)
    if verb.letter == "q":
        return _padded(_quoted_character(value, ascii_only="+" in verb.flags), verb)
    if verb.letter == "U":
        return _padded(f"U+{value:04X}", replace(verb, flags=verb.flags - {"0"}))
    base = {"v": "d", "d": "d", "x": "x", "X": "X", "o": "o", "b": "b"}.get(verb.letter)
    if base is None:
        return None
    if value == 0 and verb.precision == 0:
        return " " * (verb.width or 0)
    digits = format(abs(value), base).rjust(verb.precision or 0, "0")
    # A precision leaves blanks where the flag asks for zeros.
    flags = verb.flags - {"0"} if verb.precision is not None else verb.flags
    return _padded(_sign(value < 0, verb) + digits, Verb(verb.letter, flags, verb.width), numeric=True)


def _of_float(value: float, verb: Verb) -> str | None:
    if verb.letter == "b" or (verb.letter in "xX" and verb.precision is not None):
        raise TemplateError(f"this %{verb.letter} of a {GoKind.FLOAT} is not supported")
    if verb.letter not in "veEfFgGxX":
        return None
    text = _float_text(value, verb)
    sign = _sign(text.startswith("-"), verb)
    flags = verb.flags if math.isfinite(value) else verb.flags - {"0"}
    return _padded(sign + text.lstrip("-"), Verb(verb.letter, flags, verb.width), numeric=True)


def _float_text(value: float, verb: Verb) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if verb.letter in "xX":
        return _hex_float(value) if verb.letter == "x" else _hex_float(value).upper()
    if verb.letter in "eEfF":
        return format(value, f".{6 if verb.precision is None else verb.precision}{verb.letter}")
    text = shortest(value) if verb.precision is None else format(value, f".{verb.precision or 1}g")
    return text.upper() if verb.letter == "G" else text


def _hex_float(value: float) -> str:
    """As Python writes it, but with no digits that say nothing, and an exponent of two digits."""
    mantissa, exponent = value.hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{int(exponent):+03d}"


def shortest(value: float, least: int = -4, most: int = 6) -> str:
    """Return a finite number with the fewest digits that stand for it.

    It has an exponent if that is below ``least``, or ``most`` or more; those of strconv's ``g`` if not given.
    """
    sign, digits, exponent = _digits_of(value)
    if exponent < least or exponent >= most:
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{exponent:+03d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole, fraction = digits[: exponent + 1].ljust(exponent + 1, "0"), digits[exponent + 1 :]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def _sign(negative: bool, verb: Verb) -> str:
    return "-" if negative else "+" if "+" in verb.flags else " " if " " in verb.flags else ""


def _character(value: int) -> str:
    return chr(value) if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"


_QUOTED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\"}


def quoted(text: str, *, ascii_only: bool = False) -> str:
    """Return a text between double quotes, as ``%q``; as ``%+q`` if ``ascii_only``."""
    visible = (_QUOTED.get(each) or _visible(each, ascii_only) for each in text)
    return '"' + "".join(visible).replace('"', '\\"') + '"'


def _quoted_character(value: int, *, ascii_only: bool) -> str:
    found = _character(value)
    return "'" + (_QUOTED.get(found) or ("\\'" if found == "'" else _visible(found, ascii_only))) + "'"


def _visible(character: str, ascii_only: bool) -> str:
    code = ord(character)
    if character.isprintable() and (character.isascii() or not ascii_only):
        return character
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_MAKERS: dict[GoKind, Any] = {
    GoKind.BOOL: _of_bool,
    GoKind.INT: _of_int,
    GoKind.FLOAT: _of_float,
    GoKind.STRING: _of_string,
}
