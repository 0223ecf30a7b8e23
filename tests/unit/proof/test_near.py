"""The tests that a change can reach: never fewer than those that load what changed."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

import near
from near import ROOT, Tree, changed, choose, main

read = functools.cache(Tree.read)


@functools.cache
def chosen(*paths: str) -> frozenset[str]:
    return frozenset(choose(read(), paths)[0])


def everything() -> set[str]:
    return set(read().tests().values())


@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("machine/pymachine/cli/shells.py", "unit/cli/test_shells.py"),
        ("machine/pymachine/cli/shells.py", "transcripts/test_transcripts.py"),  # through a program in a process
        ("machine/pymachine/cli/commands/init.py", "unit/fleet/inventory/test_files.py"),
        (
            "machine/pymachine/fleet/apply/__init__.py",
            "transcripts/test_transcripts.py",
        ),  # a command loaded by its name
        ("drivers/pymachine_none/__init__.py", "transcripts/test_transcripts.py"),  # a driver found by entry points
        ("drivers/pymachine_aws/api.py", "contract/test_aws_killed.py"),
        ("drivers/pymachine_kvm/images/debian/overlay/hosts", "unit/kvm/images/test_debian.py"),
        ("tests/golden/libvirt/pool.xml", "golden/test_kvm_domain.py"),
        ("tests/golden/conftest.py", "golden/test_kvm_domain.py"),
        ("tests/transcripts/env.txt", "transcripts/test_transcripts.py"),
        ("tests/lab/ec2/app.py", "contract/test_aws_life.py"),
        ("tests/unit/proof/test_near.py", "unit/proof/test_near.py"),
        ("tests/properties.py", "unit/transport/test_command.py"),
    ],
)
def test_a_change_reaches_the_tests_of_it_and_not_all(path: str, reached: str) -> None:
    assert (ROOT / path).exists()
    assert f"tests/{reached}" in chosen(path)
    assert chosen(path) < everything()


def test_a_template_reaches_the_tests_of_what_it_renders() -> None:
    """It may reach all others as well: every unit test may use the world of the verbs, which renders it."""
    assert "tests/golden/test_engine_texts.py" in chosen("templates/pymachine_templates/engine/setup.sh.j2")


@pytest.mark.parametrize(
    "path",
    [
        "pyproject.toml",
        "Makefile",
        "tests/conftest.py",
        "tests/transcripts/gone.py",
        "machine/pymachine/gone.py",
        "new",
    ],
)
def test_what_nobody_can_tell_means_all(path: str) -> None:
    assert chosen(path) == everything()
    assert chosen("docs/lab.md", path) == everything()


def test_what_no_test_reads_reaches_none() -> None:
    assert chosen() == frozenset()
    assert chosen("README.md") < everything()


def test_it_says_how_many_of_how_many() -> None:
    of = len(everything())
    some = len(chosen("tests/transcripts/env.txt"))
    assert 0 < some < 5
    assert choose(read(), ["tests/transcripts/env.txt"])[1] == f"{some} of {of} test files, for 1 changed files"
    assert choose(read(), ["new"])[1].startswith(f"all {of} test files")


def test_ci_never_chooses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CI", "true")
    assert main([]) == 2
    assert "CI runs all" in capsys.readouterr().err
    assert "near" not in (ROOT / ".ci/run").read_text()


def _git(folder: Path, *words: str) -> None:
    given = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *given, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    _git(tmp_path, "init", "-b", "main")
    for name in ("kept", "edited", "moved", "removed"):
        (tmp_path / name).write_text(name * 9)
    (tmp_path / ".gitignore").write_text("ignored\n")
    _git(tmp_path, "add", "-A")
    _git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_changes_are_what_is_committed_edited_moved_removed_and_unknown(repository: Path) -> None:
    assert changed(repository, None) == []
    _git(repository, "checkout", "-b", "work")
    (repository / "committed").write_text("")
    _git(repository, "add", "-A")
    _git(repository, "commit", "-m", "second")
    (repository / "edited").write_text("")
    (repository / "moved").rename(repository / "a b")
    (repository / "removed").unlink()
    (repository / "ignored").write_text("")
    uncommitted = ["a b", "edited", "moved", "removed"]
    assert changed(repository, None) == ["a b", "committed", "edited", "moved", "removed"]
    assert changed(repository, "HEAD") == uncommitted
    with pytest.raises(SystemExit, match="git diff"):
        changed(repository, "nothing-of-that-name")


RECORD = """
import json, sys, pytest
code = pytest.main(sys.argv[1:])
print("\\n" + json.dumps([int(code), *(name for name in sys.modules if name.startswith("pymachine"))]))
"""
OPTIONS = ["-q", "-n", "0", "-m", "not lab", "-p", "no:cacheprovider", "--hypothesis-profile", "few"]
CHEAP = "unit/transport/test_command.py"
MODULES = [
    str(path.relative_to(ROOT / "tests"))
    for area in near.AREAS
    for path in (ROOT / "tests" / area).rglob("test_*.py")
]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "module", [pytest.param(name, marks=[] if name == CHEAP else pytest.mark.soak(5)) for name in sorted(MODULES)]
)
def test_a_test_loads_nothing_that_would_not_reach_it(module: str) -> None:
    words = [sys.executable, "-c", RECORD, *OPTIONS, f"tests/{module}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    code, *loaded = json.loads(done.stdout.splitlines()[-1])
    assert code in (0, 5), done.stdout
    name = module.removesuffix(".py").replace("/", ".")
    assert set(loaded) & read().graph.modules <= read().graph.find_upstream_modules(name) | {name}
