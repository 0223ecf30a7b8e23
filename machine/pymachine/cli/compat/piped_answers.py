"""Answers on standard input: ``echo y | docker-machine rm NAME``."""

from __future__ import annotations

from typing import TextIO

from pymachine.events import Asker
from pymachine.printable import printable

LIMIT = 4096  # characters of an answer


class PipedAsker:
    """Asks on one stream and reads the answers from another; the end of the input is a no.

    ``terminal`` asks for passphrases.
    """

    def __init__(self, answers: TextIO, questions: TextIO, terminal: Asker) -> None:
        self._answers = answers
        self._questions = questions
        self._terminal = terminal

    def secret(self, prompt: str, *, instead: str) -> str:
        """Ask at the terminal. Raises ``UsageFault`` without one."""
        return self._terminal.secret(prompt, instead=instead)

    def confirm(self, question: str, *, instead: str) -> bool:
        """Ask yes or no; an answer that begins with y means yes."""
        self._questions.write(f"{printable(question)} (y/n): ")
        self._questions.flush()
        answer = self._answers.readline(LIMIT)
        self._questions.write("\n")
        return answer.lower().startswith("y")
