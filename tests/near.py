"""The tests that a change can reach: ``python -m near``, for the loop while one works. CI runs all of them.

What changed is what git finds between BASE (a revision; where ``main`` was left, if nothing is given) and the files
here, those that it does not know included. What a changed module reaches follows from the graph of imports; data
(templates, golden texts, transcripts, documents) stand for the modules that read them; anything else means all tests.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grimp import ImportGraph

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("machine", "drivers", "templates", "tests")
AREAS = ("unit", "contract", "golden", "transcripts")  # the folders whose tests need no host
# Parts of the test programs, and those folders of tests that they may share something with.
PACKAGES = (*AREAS, "lab", "proof", "bench", "e2e")
_DOTTED = re.compile(r"\b[a-z_]+(?:\.\w+)*")
_QUOTED = re.compile(r"""["']([a-z_]+(?:\.\w+)+)["']""")
DOCUMENTS = ("docs/", "README.md", "CHANGELOG.md")


class Unmapped(Exception):
    """A change of which nobody can say whom it reaches: all tests are near."""


@dataclass(frozen=True)
class Tree:
    """The modules of a checkout: their files, and who imports whom."""

    root: Path
    files: dict[str, Path]
    graph: ImportGraph

    @classmethod
    def read(cls, root: Path = ROOT) -> Tree:
        """Read a checkout; its product is the one that is installed."""
        import grimp

        files = dict(_modules(root))
        products = [name for name in files if "." not in name and files[name].name == "__init__.py"]
        packages = sorted({*products, *(name for name in PACKAGES if (root / "tests" / name).is_dir())})
        graph = grimp.build_graph(*packages, include_external_packages=True, cache_dir=None)
        tree = cls(root, files, graph)
        tree._add_what_no_import_says()
        return tree

    def tests(self) -> dict[str, str]:
        """Every test module that needs no host, with its path."""
        found = {name: str(path.relative_to(self.root)) for name, path in self.files.items()}
        return {
            name: path
            for name, path in found.items()
            if re.match(rf"tests/({'|'.join(AREAS)})/(.+/)?test_[^/]+$", path)
        }

    def near(self, changed: Iterable[str]) -> set[str]:
        """Return the paths of the tests that these changed paths reach. Raises ``Unmapped``."""
        touched = {module for path in changed for module in self.modules_of(path)}
        reached = touched.union(*(self.graph.find_downstream_modules(module) for module in touched))
        return {path for name, path in self.tests().items() if name in reached}

    def modules_of(self, path: str) -> set[str]:
        """Return the modules that a file is, or that read it. Raises ``Unmapped``."""
        if path.startswith(DOCUMENTS):
            return self._speaking_of(path.partition("/")[0])
        if path.endswith(".py"):
            found = {name for name, file in self.files.items() if file == self.root / path}
        elif path.startswith("tests/golden/"):
            found = self._speaking_of(f"{path.split('/')[2]}/") & {name for name in self.files if "golden." in name}
        elif path.startswith("tests/transcripts/") and path.endswith(".txt"):
            found = {"transcripts.test_transcripts"}
        else:
            found = self._holding(path)
        if not found or not found <= self.graph.modules:
            raise Unmapped(path)
        return found

    def _holding(self, path: str) -> set[str]:
        """Return the package of the product that a data file is in."""
        for folder in Path(path).parents:
            for name, file in self.files.items():
                if file == self.root / folder / "__init__.py" and not path.startswith("tests/"):
                    return {name}
        return set()

    def _speaking_of(self, text: str) -> set[str]:
        return {name for name in self.tests() if text in self.files[name].read_text()}

    def _add_what_no_import_says(self) -> None:
        """Add packages above a module, conftest.py, programs and modules named in texts, and entry points."""
        for name, file in self.files.items():
            if name in self.graph.modules:
                for other in {*self._named(file.read_text()), *_above(name), *self._conftests(file)} - {name}:
                    self._join(name, other)
        for driver in entry_points(group="pymachine.drivers"):
            self._join("pymachine.registry", driver.module)
        for command in entry_points(group="pymachine.commands"):  # a group of commands is a package of theirs
            for name in {name for name in self.files if command.module in (name, *_above(name))}:
                self._join("pymachine.registry", name)

    def _named(self, text: str) -> set[str]:
        """Return the modules that a text names; of a package that it quotes, as who imports by name does, all."""
        named = {word for word in _words(text) if word in self.files}
        quoted = {word for word in _QUOTED.findall(text) if word in named}
        return named | {name for name in self.files if quoted.intersection(_above(name)[1:])}

    def _conftests(self, file: Path) -> list[str]:
        above = {folder / "conftest.py" for folder in file.parents}
        return [name for name, path in self.files.items() if path in above]

    def _join(self, importer: str, imported: str) -> None:
        if {importer, imported} <= self.graph.modules:
            self.graph.add_import(importer=importer, imported=imported)


def _modules(root: Path) -> Iterable[tuple[str, Path]]:
    for source in SOURCES:
        for path in sorted((root / source).rglob("*.py")):
            words = path.relative_to(root / source).with_suffix("").parts
            yield ".".join(words[:-1] if words[-1] == "__init__" else words), path


def _above(name: str) -> list[str]:
    words = name.split(".")
    return [".".join(words[:count]) for count in range(1, len(words))]


def _words(text: str) -> set[str]:
    """Every dotted word of a text and what is before each of its dots; of single words, drivers and the program."""
    found = set(_DOTTED.findall(text))
    alone = {word for word in found if word.startswith("pymachine_")}
    program = {"pymachine.__main__"} if re.search(r"-m\W+pymachine\b(?![.\w])", text) else set()
    return alone | program | {word for word in found if "." in word}.union(*(_above(word)[1:] for word in found))


def changed(root: Path, base: str | None) -> list[str]:
    """Return the paths that differ from a revision. Raises ``SystemExit`` for one that git does not know."""
    since = base or _git(root, "merge-base", "HEAD", "main", check=False).strip() or "HEAD"
    differing = _git(root, "diff", "--name-only", "--no-renames", "-z", since, "--")
    unknown = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    return sorted({path for path in (differing + unknown).split("\0") if path})


def _git(root: Path, *words: str, check: bool = True) -> str:
    done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"near: git {words[0]}: {done.stderr.strip()}")
    return done.stdout if done.returncode == 0 else ""


def choose(tree: Tree, paths: Sequence[str]) -> tuple[list[str], str]:
    """Return the test files that these paths reach, and why."""
    every = sorted(tree.tests().values())
    try:
        chosen = sorted(tree.near(paths))
    except Unmapped as error:
        return every, f"all {len(every)} test files: nothing tells whom {error} reaches"
    return chosen, f"{len(chosen)} of {len(every)} test files, for {len(paths)} changed files"


def main(words: Sequence[str]) -> int:
    """Choose, say how many, and run them with what pytest is to be told besides."""
    if os.environ.get("CI"):
        print("near: CI runs all tests", file=sys.stderr)
        return 2
    paths = changed(ROOT, os.environ.get("BASE"))
    chosen, why = choose(Tree.read(), paths)
    print(f"near: {why}", flush=True)
    if not chosen:
        return 0
    side_by_side = ["-n", "2"] if len(chosen) > 3 else ["-n", "0"]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not lab", *side_by_side, *words, *chosen]
    # A test file may have nothing but tests that need hosts.
    return {5: 0}.get(code := subprocess.run(command, cwd=ROOT, check=False).returncode, code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
