"""The links of the pages lead to files and headings that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = {path: path.read_text(encoding="utf-8") for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]}


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def broken(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere; those to other sites are not tried."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        reached = target.exists() and (not anchor or anchor in anchors(target.read_text(encoding="utf-8")))
        found += [] if "://" in link or reached else [link]
    return found


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: page.name)
def test_no_link_of_a_page_is_broken(page: Path) -> None:
    assert broken(page, PAGES[page]) == []


def test_a_broken_link_is_found() -> None:
    page = ROOT / "README.md"
    links = "[a](docs/engine.md#known-limits) [b](docs/engine.md#no-such-heading) [c](docs/none.md) [d](#speed)"
    assert broken(page, links) == ["docs/engine.md#no-such-heading", "docs/none.md"]
