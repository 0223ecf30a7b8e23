"""What was found out about the hardware virtualisation of hosts, remembered on this computer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pymachine.documents import from_document
from pymachine.strict_json import parse_json

AGAIN_AFTER = 30 * 24 * 3600.0  # a host that was merely too busy to pass gets another chance


@dataclass(frozen=True, slots=True)
class Verdict:
    """``fault`` is empty where hardware virtualisation works; ``asked`` says that a guest was asked.

    ``uri`` is for people who read the file; ``when`` in Unix time.
    """

    fault: str
    asked: bool
    uri: str
    when: float = 0.0


class Verdicts:
    """The verdicts of one JSON file, by key. A file that is damaged counts as empty."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now = now

    @classmethod
    def default(cls, environ: Mapping[str, str]) -> Verdicts:
        """Return those of this user: below ``$XDG_CACHE_HOME`` or ``~/.cache``."""
        base = environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
        return cls(Path(base) / "pymachine" / "virtualisation.json")

    def recall(self, key: str) -> Verdict | None:
        """Return what was found out, None for nothing, and for a fault that is ``AGAIN_AFTER`` seconds old."""
        try:
            verdict = from_document(Verdict, self._all()[key])
            fresh = self._now() - verdict.when < AGAIN_AFTER
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        return verdict if fresh or not verdict.fault else None

    def keep(self, key: str, verdict: Verdict) -> None:
        """Remember a verdict, with the time. Where the file cannot be written the host is asked again, no more."""
        document = asdict(verdict) | {"when": self._now()}
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(self._all() | {key: document}, indent=1))
            draft.replace(self.path)

    def _all(self) -> dict[str, Any]:
        try:
            verdicts = parse_json(self.path.read_bytes())
        except (OSError, ValueError):
            return {}
        return verdicts if isinstance(verdicts, dict) else {}
