"""The page on the architecture names modules that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_module_that_is_named_is_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    named = re.findall(r"`([\w/-]+\.(?:py|sh\.j2))`", text)
    assert len(named) > 30
    roots = (ROOT, ROOT / "machine/pymachine")
    assert [name for name in named if not any((root / name).is_file() for root in roots)] == []
