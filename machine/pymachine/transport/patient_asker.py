"""Questions to a person during which a deadline stands still."""

from __future__ import annotations

from pymachine.clock import Deadline
from pymachine.events import Asker


class PatientAsker:
    """An asker whose questions do not count against a deadline."""

    def __init__(self, asker: Asker, deadline: Deadline) -> None:
        self._asker = asker
        self._deadline = deadline

    def secret(self, prompt: str, *, instead: str) -> str:
        """Ask as the asker within does."""
        with self._deadline.paused():
            return self._asker.secret(prompt, instead=instead)

    def confirm(self, question: str, *, instead: str) -> bool:
        """Ask as the asker within does."""
        with self._deadline.paused():
            return self._asker.confirm(question, instead=instead)
