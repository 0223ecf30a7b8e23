"""What is wrong is typed: no message of an error is searched, matched or rewritten."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXTS = {"message", "hint"}
READERS = {
    "compile", "sub", "subn", "search", "match", "fullmatch", "findall", "finditer", "split", "rsplit", "replace",
    "startswith", "endswith", "removeprefix", "removesuffix", "find", "index", "count", "lower", "partition",
}  # fmt: skip
# One line of a message for a narrow place; and what AWS has no code for: see docs/architecture.md.
KNOWN = {
    "machine/pymachine/cli/lookup.py": 1,
    "drivers/pymachine_aws/error_codes.py": 2,
}


def readings(source: str) -> Iterator[int]:
    """The lines on which a message is read: by a regular expression, by a method of texts, by ``in``."""
    for node in ast.walk(ast.parse(source)):
        if any(is_text(part) for side in read_by(node) for part in ast.walk(side)):
            yield getattr(node, "lineno", 0)


def read_by(node: ast.AST) -> Sequence[ast.expr]:
    """What a call or comparison looks into; ``.split()`` alone puts words on one line."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READERS:
        return () if node.func.attr == "split" and not node.args else (node.func.value, *node.args)
    if isinstance(node, ast.Compare) and any(isinstance(how, ast.In | ast.NotIn) for how in node.ops):
        return node.comparators
    return ()


def is_text(node: ast.AST) -> bool:
    """Whether this is the message or hint of something, an error's or a fault's."""
    return isinstance(node, ast.Attribute) and node.attr in TEXTS


def test_no_message_is_read() -> None:
    paths = [path for folder in ("machine", "drivers", "templates") for path in sorted((ROOT / folder).rglob("*.py"))]
    found = {str(path.relative_to(ROOT)): len(list(readings(path.read_text(encoding="utf-8")))) for path in paths}
    assert {path: count for path, count in found.items() if count} == KNOWN


@pytest.mark.parametrize(
    "line",
    [
        're.sub("--engine-([a-z]+)", r"\\1", fault.message)', 'fault.message.replace("--ssh-host", "host")',
        'if "no such" in error.message: pass', '_PATTERN.search(error.hint or "")',
    ],
)  # fmt: skip
def test_a_message_that_is_read_is_found(line: str) -> None:
    assert list(readings(line)) == [1]
