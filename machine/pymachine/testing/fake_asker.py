"""A person at the terminal for tests: gives prepared answers and keeps the questions."""

from __future__ import annotations

from pymachine.errors import UsageFault


class FakeAsker:
    """Answers secrets in the order given, and every yes/no question with ``yes``.

    Out of secrets it behaves as where there is no terminal: ``UsageFault`` with what to give instead.
    """

    def __init__(self, *secrets: str, yes: bool = False) -> None:
        self.asked: list[str] = []
        self._secrets = list(secrets)
        self._yes = yes

    def secret(self, prompt: str, *, instead: str) -> str:
        """Give the next secret."""
        self.asked.append(prompt)
        if not self._secrets:
            raise UsageFault(f"no terminal to ask for the {prompt}", hint=instead)
        return self._secrets.pop(0)

    def confirm(self, question: str, *, instead: str) -> bool:
        """Say yes or no."""
        self.asked.append(question)
        return self._yes
