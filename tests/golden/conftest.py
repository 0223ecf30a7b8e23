"""``pytest tests/golden --update-golden`` writes the texts again; then read the diff before you commit it.

A text that repeats most of another, which is committed whole, is committed as its difference from it, in
``setup.sh.diff`` where the text would be. The same two texts have the same difference, so no byte of either can
change unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path

import pytest

Compare = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden texts instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Compare:
    """Compare a text with the committed one, named by its path below tests/golden.

    With ``like``, name and content of a text that is committed whole, their difference is what is committed.
    """
    update = request.config.getoption("--update-golden", default=False)

    def compare(name: str, text: str, like: tuple[str, str] | None = None) -> None:
        if like:
            name, text = f"{name}.diff", difference(*like, name, text)
        path = Path(__file__).parent / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.is_file(), f"{path} is not there: run pytest tests/golden --update-golden"
        assert text == path.read_text()

    return compare


def difference(whole_name: str, whole: str, name: str, text: str) -> str:
    """Return the unified diff between two texts whose lines all end."""
    assert whole.endswith("\n"), whole_name
    assert text.endswith("\n"), name
    return "".join(unified_diff(whole.splitlines(True), text.splitlines(True), whole_name, name, n=1))
