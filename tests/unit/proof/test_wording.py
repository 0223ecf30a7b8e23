"""The wording of messages stands in tests/transcripts: few other tests repeat it, and fewer over time.

Counted are assertions, patterns of ``match=`` and rows of ``parametrize`` with three English words in a row that
stand so in a text of the product. Words of other programs and commands to give that both have are counted as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
SAID_ELSEWHERE = 129  # as many as there are; it may only go down
ROW = 3  # words
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

Words = tuple[str, ...]


def rows(text: str) -> Iterator[Words]:
    """Each three words that follow each other, with nothing but a space between."""
    for part in re.split(r"[^A-Za-z' ]+", text.replace("\\", "")):
        words = [word.lower() for word in re.findall(r"[A-Za-z]+(?:'[a-z]+)?", part)]
        yield from zip(*(words[start:] for start in range(ROW)), strict=False)


def texts(node: ast.AST) -> Iterator[str]:
    """Each text in it."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str | bytes):
            yield part.value if isinstance(part.value, str) else part.value.decode("latin-1")


def said(source: str) -> set[Words]:
    """What a module of the product may say: its texts without its documentation."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body[0] = ast.Pass()
    return {row for text in texts(tree) for row in rows(text)}


def expectations(source: str) -> Iterator[tuple[int, ast.AST]]:
    """Each place of a test where something is expected, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            yield node.lineno, node.test
        elif isinstance(node, ast.keyword) and node.arg == "match":
            yield node.value.lineno, node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("parametrize"):
            given = (part for part in node.args[1:] if isinstance(part, ast.List | ast.Tuple))
            yield from ((row.lineno, row) for part in given for row in part.elts)


def repeated(source: str, product: set[Words]) -> list[int]:
    """The lines of a test that expect the product's wording."""
    return [
        line for line, node in expectations(source) if any(row in product for t in texts(node) for row in rows(t))
    ]


def test_few_tests_repeat_the_wording_of_messages() -> None:
    product = {
        row
        for folder in ("machine", "drivers")
        for path in (ROOT / folder).rglob("*.py")
        for row in said(path.read_text(encoding="utf-8"))
    }
    places = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line in repeated(path.read_text(encoding="utf-8"), product)
    ]
    told = f"SAID_ELSEWHERE is {SAID_ELSEWHERE}, and there are {len(places)}"
    assert len(places) <= SAID_ELSEWHERE, "\n".join(["assert the value that a message carries;", told, *places])
    assert len(places) == SAID_ELSEWHERE, f"write the lower number down: {told}"


def test_what_is_repeated_is_seen() -> None:
    product = said('"""Green frogs sing."""\nraise Fault(f"{name} purple frogs sing loudly")\n')
    assert product == {("purple", "frogs", "sing"), ("frogs", "sing", "loudly")}
    lines = (
        "with raises(Fault, match='purple frogs sing'): ...",
        "assert 'frogs sing' in told",
        "assert told == f'{name} purple frogs sing'",
        "@mark.parametrize('x', [('a',), (b'frogs sing loudly',)])",
        "def test(): return 'purple frogs sing'",
    )
    assert sorted(repeated("\n".join(lines), product)) == [1, 3, 4]
