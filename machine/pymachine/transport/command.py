"""Builds remote commands from quoted words, so that no value is ever interpreted as shell syntax."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

MASK = "•••"


@dataclass(frozen=True, slots=True)
class Secret:
    """A word of a command that must not be shown. Prefer standard input: an argument is visible in ``ps``."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Command:
    """Words to run, each quoted for POSIX sh. ``Command.script`` runs a fixed sh text with arguments instead."""

    words: tuple[str | Secret, ...]

    @classmethod
    def of(cls, *words: str | Secret) -> Command:
        """Return the command of these words. Raises ``ValueError`` for none, or for one with a NUL."""
        if not words:
            raise ValueError("a command needs at least one word")
        if any("\0" in _value(word) for word in words):
            raise ValueError("a word of a command cannot hold a NUL byte")
        return cls(words)

    @classmethod
    def script(cls, text: str, *arguments: str) -> Command:
        """Return a command that runs the constant sh ``text`` with ``arguments`` as $1, $2 …

        Never format values into ``text``: pass them as arguments.
        """
        return cls.of("sh", "-c", text, "sh", *arguments)

    def shell(self) -> str:
        """The command line for sh, everything quoted."""
        return " ".join(shlex.quote(_value(word)) for word in self.words)

    def masked(self) -> str:
        """The same on one line for logs and errors, secrets masked and long words shortened."""
        return " ".join(MASK if isinstance(w, Secret) else _short(shlex.quote(_one_line(w))) for w in self.words)


def _value(word: str | Secret) -> str:
    return word.value if isinstance(word, Secret) else word


def _one_line(word: str) -> str:
    return " ".join(word.split()) if "\n" in word else word


def _short(word: str, limit: int = 200) -> str:
    return word if len(word) <= limit else word[: limit - 1] + "…"
