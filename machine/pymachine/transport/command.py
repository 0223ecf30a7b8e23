"""Remote commands built from quoted pieces, so that no value is ever read as shell syntax."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

MASK = "•••"


@dataclass(frozen=True, slots=True)
class Secret:
    """A piece of a command that must not be shown. Prefer standard input: an argument is visible in ``ps``."""

    value: str


@dataclass(frozen=True, slots=True)
class Command:
    """Words to run, each quoted for POSIX sh. ``Command.script`` runs a fixed sh text with arguments instead."""

    words: tuple[str | Secret, ...]

    @classmethod
    def of(cls, *words: str | Secret) -> Command:
        """Return the command made of these words."""
        if not words:
            raise ValueError("a command needs at least one word")
        return cls(words)

    @classmethod
    def script(cls, text: str, *arguments: str) -> Command:
        """Return a command that runs the constant sh ``text`` with ``arguments`` as $1, $2 …

        Never format values into ``text``: pass them as arguments.
        """
        return cls(("sh", "-c", text, "sh", *arguments))

    def shell(self) -> str:
        """The command line for sh, everything quoted."""
        return " ".join(shlex.quote(w.value if isinstance(w, Secret) else w) for w in self.words)

    def masked(self) -> str:
        """The same for logs and errors, secrets masked and long words shortened."""
        return " ".join(MASK if isinstance(w, Secret) else _short(shlex.quote(w)) for w in self.words)


def _short(word: str, limit: int = 200) -> str:
    return word if len(word) <= limit else word[: limit - 1] + "…"
