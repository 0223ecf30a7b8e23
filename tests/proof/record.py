"""When all tests ran last: a file in the repository, and the line that every run prints of it."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests/soak.toml"
TEXT = """\
# The last whole run of all tests: `make soak` writes this at its end. Commit it.
date = {day}
commit = "{commit}"
seconds = {seconds:.0f}

# What failed in it, with the commit at which `make soak-again` has seen each pass since; "" for what still fails.
[failed]
"""


@dataclass(frozen=True)
class Soak:
    """One whole run: its day, the commit it proved, how long it took, and what failed in it.

    ``failed`` maps the id of each failed test to the commit at which it has passed since, or to an empty text.
    """

    day: date
    commit: str
    seconds: float
    failed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def last(cls, file: Path = FILE) -> Soak | None:
        """Read the last one; None when there was none yet."""
        if not file.exists():
            return None
        data = tomllib.loads(file.read_text())
        return cls(data["date"], data["commit"], data["seconds"], data.get("failed", {}))

    def save(self, file: Path = FILE) -> None:
        """Write it down."""
        text = TEXT.format(day=self.day, commit=self.commit, seconds=self.seconds)
        file.write_text(
            text + "".join(f"{_quoted(test)} = {_quoted(since)}\n" for test, since in self.failed.items())
        )

    @classmethod
    def failing_last(cls, file: Path = FILE) -> list[str]:
        """Return what failed in the last one and has not passed since."""
        last = cls.last(file)
        return last.failing if last else []

    @property
    def failing(self) -> list[str]:
        """The tests that have not passed since."""
        return [test for test, since in self.failed.items() if not since]

    def again(self, passed: Collection[str], proved: str) -> Soak:
        """Return the record after some of what failed in it has passed at a commit."""
        return replace(self, failed={test: proved if test in passed else old for test, old in self.failed.items()})

    @property
    def outcome(self) -> str:
        """Say what failed, and what of it passes since; empty when nothing failed."""
        if not self.failed:
            return ""
        if failing := self.failing:
            return f"; of {len(self.failed)} failed tests {len(failing)} still fail"
        return f"; {len(self.failed)} failed tests have all passed since"


def _quoted(text: str) -> str:
    # A basic string of TOML is one of JSON, but for a DEL, which no id of a test has.
    return json.dumps(text)


def age(file: Path = FILE, today: date | None = None) -> str:
    """Say how old the last whole soak is."""
    last = Soak.last(file)
    if last is None:
        return "last whole soak: never (make soak)"
    days = ((today or datetime.now(UTC).date()) - last.day).days
    when = f"{last.day}, commit {last.commit[:12]}, {days} days ago"
    return f"last whole soak: {when}, in {last.seconds:,.0f} s{last.outcome}"


def commit(root: Path = ROOT) -> str:
    """The commit that is checked out; with + where files differ from it, empty where git knows none."""
    head = _git(root, "rev-parse", "HEAD")
    return head + ("+" if head and _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *words: str) -> str:
    # The tree may be another account's, which git refuses to look into unless it is told to.
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
