"""``pytest tests/golden --update-golden`` writes the texts anew; then read the diff before you commit it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Compare = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden texts instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Compare:
    """Compare a text with the committed one, named by its path below tests/golden."""
    update = request.config.getoption("--update-golden", default=False)

    def compare(name: str, text: str) -> None:
        path = Path(__file__).parent / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.is_file(), f"{path} is not there: run pytest tests/golden --update-golden"
        assert text == path.read_text()

    return compare
