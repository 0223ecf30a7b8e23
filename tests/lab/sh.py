"""Run programs: every call has a deadline, and a failure says what was run and what it answered."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

Completed = subprocess.CompletedProcess[str]


class LabError(RuntimeError):
    """The lab could not do what it was asked; the message says what to do about it where it can."""


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _tail(text: str, lines: int = 20) -> str:
    return "\n".join(line[:400] for line in text.strip().splitlines()[-lines:])


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float = 60,
    check: bool = True,
    input: str | None = None,
    stdin: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run argv to its end and return what it said; with check, a non-zero exit is a LabError."""
    words = [str(word) for word in argv]
    data = input.encode() if input is not None else stdin.read_bytes() if stdin else b""
    try:
        raw = subprocess.run(words, input=data, capture_output=True, timeout=timeout, env=env, cwd=cwd, check=False)
    except subprocess.TimeoutExpired as late:
        raise LabError(f"no answer after {timeout:g} s: {shlex.join(words)}") from late
    except FileNotFoundError as missing:
        raise LabError(f"{words[0]} is not installed: python -m lab prepare") from missing
    done = Completed(words, raw.returncode, _text(raw.stdout), _text(raw.stderr))
    if check and done.returncode != 0:
        said = _tail(done.stderr) or _tail(done.stdout)
        raise LabError(f"exit {done.returncode}: {shlex.join(words)[:400]}\n{said}")
    return done
