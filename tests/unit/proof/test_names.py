"""A module is named for the noun that it holds, or for the command that it is; a public class name stands once."""

from __future__ import annotations

import ast
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PRODUCT = ("machine", "drivers", "templates")
SHIPS_FOR_OTHERS = "testing"
NOUNS = {"nothing"}  # that end so, and are no form of a verb


def files(root: Path) -> Iterator[Path]:
    """Each file of the product, relative to the root."""
    for folder in PRODUCT:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root)


def ing_names(root: Path) -> list[str]:
    """The files and folders with a word in their name that is the -ing form of a verb."""
    found = set()
    for path in files(root):
        for part in (path, *path.parents):
            words = re.split(r"[^a-z0-9]+", part.name.lower())
            if any(word.endswith("ing") and word not in {SHIPS_FOR_OTHERS, *NOUNS} for word in words):
                found.add(str(part))
    return sorted(found)


def repeated_classes(root: Path) -> dict[str, list[str]]:
    """The public class names that stand in more than one place, with these."""
    places = defaultdict(list)
    for path in files(root):
        if path.suffix == ".py":
            for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(f"{path}:{node.lineno}")
    return {name: found for name, found in places.items() if len(found) > 1}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A copy of the product."""
    for folder in PRODUCT:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def plant(file: Path, text: str = "") -> None:
    """Write text at the end of a file, which need not be there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(f"\n\n{text}")


def test_no_file_or_folder_has_an_ing_name() -> None:
    assert len(list(files(ROOT))) > 400, "the product was not found"
    assert ing_names(ROOT) == []


def test_each_public_class_name_stands_once() -> None:
    assert repeated_classes(ROOT) == {}


def test_planted_ing_names_are_found(planted: Path) -> None:
    paths = {
        "machine/pymachine/swarm/joining.py",
        "machine/pymachine/cli/setting_up.py",
        "machine/pymachine/testing/recording.py",
        "drivers/pymachine_kvm/host_naming.py",
        "drivers/pymachine_booting/__init__.py",
        "templates/pymachine_templates/engine/installing-docker.sh.j2",
    }
    for path in paths:
        plant(planted / path)
    assert set(ing_names(planted)) == (paths - {"drivers/pymachine_booting/__init__.py"}) | {
        "drivers/pymachine_booting"
    }


def test_second_classes_of_a_name_are_found(planted: Path) -> None:
    twice = {
        "Machine": "machine/pymachine/swarm/quorum.py",
        "DomainConfig": "drivers/pymachine_none/__init__.py",
        "KvmDriver": "drivers/pymachine_new/driver.py",
    }
    for name, path in twice.items():
        plant(planted / path, f"if True:\n    class {name}:\n        pass\n\n    class _Private:\n        pass\n")
    found = repeated_classes(planted)
    assert set(found) == set(twice)
    for name, path in twice.items():
        assert any(place.startswith(f"{path}:") for place in found[name])
