"""Phrases that plain technical English does not have: none in messages, helps, docstrings, comments and pages."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PHRASES = (
    r"(?<![Tt]here )\bis no (?!longer\b)", r"\banew\b", r"\bwhoever\b", r", [\w.-]+ say\b",
    r"\bnot go together\b",
    r"\bgive (the|its|the same) command\b", r"\bthis machine's clock\b", r"\bmachine's network\b",
    r"\bno way to\b",
    r"\btakes? leave\b", r"\bstands? the loss\b", r"\bput on the shelf\b", r"\bsomebody else's\b",
    r"\b(is|are) told of\b", r"\b(goes|go) on (when|where|with|as)\b", r"\bover there\b", r"\ball the same\b",
    r"\bas ever\b", r"\bon the shelf\b", r"\bcut off by\b", r"\bwithout a word\b", r"\bfor want of\b",
    r"\bis called so\b", r"\bif it stays so\b", r"\bputs? (it|a \w+) on record\b",
    r"\bmay not be (read|executed|there)\b",
)  # fmt: skip
FOLDERS = ("machine", "drivers", "templates")
FOUND = re.compile("|".join(PHRASES))
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def sources() -> Iterator[Path]:
    """Each module of the product."""
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def is_text(path: Path) -> bool:
    """Whether a file is a template, a script or a configuration: all that is neither Python nor compiled from it."""
    return path.suffix not in (".py", ".pyc", ".typed") and "egg-info" not in str(path)


def is_help(node: ast.AST) -> bool:
    """Whether a docstring is shown to users: that of a command or a group."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any(re.match(r"command|group|click\.(command|group)", ast.unparse(each)) for each in decorators)


def messages(source: str) -> list[str]:
    """Return the phrases in the texts of a module, without docstrings other than helps."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None and not is_help(node):
            node.body[0] = ast.Pass()
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [match[0] for text in texts if " " in text for match in FOUND.finditer(text)]


def prose(source: str) -> list[str]:
    """Return the phrases in the docstrings and comments of a module; code in double backticks does not count."""
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, DOCUMENTED))
    texts = [ast.get_docstring(node) or "" for node in nodes]
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    texts += [token.string for token in tokens if token.type == tokenize.COMMENT]
    return [match[0] for text in texts for match in FOUND.finditer(re.sub(r"``[^`]*``|\s+", " ", text))]


def test_no_message_has_such_a_phrase() -> None:
    found = {str(path.relative_to(ROOT)): messages(path.read_text(encoding="utf-8")) for path in sources()}
    assert not {path: phrases for path, phrases in found.items() if phrases}


def test_no_page_has_such_a_phrase() -> None:
    pages = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]
    found = {page.name: [match[0] for match in FOUND.finditer(page.read_text(encoding="utf-8"))] for page in pages}
    assert not {page: phrases for page, phrases in found.items() if phrases}


def test_no_docstring_and_no_comment_has_such_a_phrase() -> None:
    found = {str(path.relative_to(ROOT)): prose(path.read_text(encoding="utf-8")) for path in sources()}
    assert not {path: phrases for path, phrases in found.items() if phrases}


def test_no_template_and_no_script_has_such_a_phrase() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file() and is_text(path)]
    found = {str(path.relative_to(ROOT)): FOUND.findall(path.read_text(encoding="utf-8")) for path in files}
    assert len(found) > 50
    assert not {path: phrases for path, phrases in found.items() if phrases}


@pytest.mark.parametrize("text", ["x = f'{x} is no size'", "x = 'made anew'", "x = 'an engine, 26.1 say.'"])
def test_a_phrase_is_found(text: str) -> None:
    assert messages(text)
    docstring = f'"""{text[4:]}"""'
    assert not messages(docstring)
    assert prose(docstring)
    assert prose(f"x = 1  # {text[4:]}")
    assert not prose(f'"""``{text[4:]}``"""')


def test_a_phrase_in_the_help_of_a_command_is_found() -> None:
    assert messages('@command()\ndef swarm():\n    """Make the keys anew."""\n')
    assert not messages('@cached\ndef swarm():\n    """Make the keys anew."""\n')
