"""The result of ``cloud-init status``: limited in size, typed, and shown in a few lines.

Exit codes and keys of the JSON are those of cloud-init's documentation (reference "CLI commands" and "Failure
states"): 1 is an error, 2 means done with warnings, since 23.4. Some distributions changed the 2 back to 0 (RHEL,
Ubuntu 22.04), so there only the JSON shows warnings. Before 22.4 there is no JSON, and before 23.4 it has no
warnings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pymachine.strict_json import parse_json

LOOK = "cloud-init status --long"
LINE_END = "\x1f"  # how the set-up script sends the line breaks of what it was told
_DEGRADED = 2
_MOST = 8  # lines that are told; cloud-init's own log has all of them
_LONGEST = 300  # characters of a line


@dataclass(frozen=True, slots=True)
class CloudInitResult:
    """How cloud-init ended: its exit ``code``, its errors and warnings, and their total number.

    ``told`` is false if its output could not be parsed.
    """

    code: int
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    told: bool = True

    @property
    def failed(self) -> bool:
        """Whether a part of it failed; warnings do not count."""
        return bool(self.errors) or self.code not in (0, _DEGRADED)

    def lines(self) -> Iterator[str]:
        """Yield what the user should know; nothing if all went well."""
        found = (*self.errors, *self.warnings)
        if self.failed:
            yield f"cloud-init failed on the host (exit code {self.code}); the engine is set up anyway"
        elif found or self.code:
            yield "cloud-init ended with warnings"
        else:
            return
        yield from (f"cloud-init: {line}" for line in found[:_MOST])
        if len(found) > _MOST:
            yield f"cloud-init: {len(found) - _MOST} more: `{LOOK}` on the host"
        elif not found:
            yield f"cloud-init does not report the reason: `{LOOK}` on the host"


def read_status(text: str) -> CloudInitResult:
    """Parse the exit code and the output, JSON or not; never raises, since the host may send anything."""
    number, _, printed = text.partition(" ")
    code = int(number) if number.isascii() and number.isdigit() and len(number) <= 3 else 1
    printed = printed.replace(LINE_END, "\n").strip(" .\n")  # it prints a dot for each time that it looked
    if not printed.startswith("{"):
        return CloudInitResult(
            code, errors=_lines_of(printed) if code not in (0, _DEGRADED) else (), told=bool(printed)
        )
    try:
        return _read(code, parse_json(printed))
    except (ValueError, TypeError):
        return CloudInitResult(code, told=False)


def _read(code: int, document: dict[str, Any]) -> CloudInitResult:
    errors = _texts(document.get("errors", []))
    by_level = document.get("recoverable_errors", {})
    if not isinstance(by_level, dict):
        raise TypeError("recoverable_errors is not a mapping")
    levels = [(str(level).lower(), _texts(texts)) for level, texts in by_level.items()]
    warnings = tuple(text if level == "warning" else f"{level}: {text}" for level, texts in levels for text in texts)
    return CloudInitResult(code, errors, tuple(line for line in dict.fromkeys(warnings) if line not in errors))


def _texts(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list):
        raise TypeError("not a list of texts")
    return tuple(dict.fromkeys(" ".join(text.split())[:_LONGEST] for text in found if isinstance(text, str)))


def _lines_of(printed: str) -> tuple[str, ...]:
    """Return the lines of the tabular output; they are only shown."""
    return tuple(line.strip()[:_LONGEST] for line in printed.splitlines() if line.strip(" ."))[:_MOST]
