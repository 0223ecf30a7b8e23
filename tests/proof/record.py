"""When all tests ran last: a file in the repository, and the line that every run prints of it."""

from __future__ import annotations

import subprocess
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests/soak.toml"
TEXT = """\
# The last whole run of all tests: `make soak` writes this at its successful end. Commit it.
date = {day}
commit = "{commit}"
seconds = {seconds:.0f}
"""


@dataclass(frozen=True)
class Soak:
    """One whole run: its day, the commit it proved, and how long it took."""

    day: date
    commit: str
    seconds: float

    @classmethod
    def last(cls, file: Path = FILE) -> Soak | None:
        """Read the last one; None when there was none yet."""
        if not file.exists():
            return None
        data = tomllib.loads(file.read_text())
        return cls(data["date"], data["commit"], data["seconds"])

    def save(self, file: Path = FILE) -> None:
        """Write it down."""
        file.write_text(TEXT.format(day=self.day, commit=self.commit, seconds=self.seconds))


def age(file: Path = FILE, today: date | None = None) -> str:
    """Say how old the last whole soak is."""
    last = Soak.last(file)
    if last is None:
        return "last whole soak: never (make soak)"
    days = ((today or datetime.now(UTC).date()) - last.day).days
    return f"last whole soak: {last.day}, commit {last.commit[:12]}, {days} days ago, in {last.seconds:,.0f} s"


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
