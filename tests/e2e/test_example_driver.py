"""The driver of docs/drivers.md, taken from the page, built, installed into a fresh environment, and used."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Host
from lab.workstation import Workstation

pytestmark = [pytest.mark.wheel, pytest.mark.lab, pytest.mark.soak(90)]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/drivers.md"


def _block(after: str, language: str) -> str:
    """The first fenced block of a language after a phrase of the page."""
    text = PAGE.read_text()
    found = re.search(rf"```{language}\n(.*?)```", text[text.index(after) :], re.DOTALL)
    assert found, f"no {language} block after {after!r}"
    return found[1]


def _run(*words: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, text=True, capture_output=True, timeout=600, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's package, as its author would have it on disk."""
    folder = tmp_path_factory.mktemp("pool")
    (folder / "pyproject.toml").write_text(_block("`pyproject.toml`:", "toml"))
    (folder / "pymachine_pool.py").write_text(_block("`pymachine_pool.py`:", "python"))
    (folder / "test_pool.py").write_text(_block("## Proving it", "python"))
    return folder


@pytest.fixture(scope="module")
def fresh(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with pymachine's own wheel and the example, and nothing else of ours."""
    place = tmp_path_factory.mktemp("fresh")
    venv.create(place / "env", with_pip=True)
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", place, ROOT)
    wheel = next(place.glob("pymachine_docker-*.whl"))
    _run(place / "env/bin/pip", "install", "-q", wheel, "pytest")
    _run(place / "env/bin/pip", "install", "-q", "--no-deps", example)
    return place / "env/bin"


def test_the_page_names_the_only_modules_it_imports(example: Path) -> None:
    imported = set(re.findall(r"^from (pymachine[\w.]*)", (example / "pymachine_pool.py").read_text(), re.MULTILINE))
    assert imported == {"pymachine.driver", "pymachine.errors", "pymachine.model"}


def test_the_example_keeps_the_contract(fresh: Path, example: Path) -> None:
    told = _run(fresh / "python", "-m", "pytest", "-q", "test_pool.py", cwd=example)
    assert re.search(r"^2\d passed", told, re.MULTILINE), told


def test_its_options_are_on_the_command_line(fresh: Path) -> None:
    told = _run(fresh / "pymachine", "create", "-d", "pool", "--help")
    assert "--pool-file" in told
    assert "--pool-key" in told


def test_it_makes_and_gives_back_a_machine(
    fresh: Path, workstation: Workstation, engine_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = engine_host()
    hosts = tmp_path / "hosts.txt"
    hosts.write_text(f"root@{host.address}\n")
    place = ["create", "-d", "pool", "--pool-file", str(hosts), "--pool-key", str(workstation.key)]

    def pymachine(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [str(fresh / "pymachine"), *words], env=workstation.env(), text=True, capture_output=True, timeout=300,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    assert pymachine(*place, "--dry-run", "node1")
    assert hosts.read_text() == f"root@{host.address}\n", "a dry run takes no host"
    assert "node1 is ready" in pymachine(*place, "node1")
    assert hosts.read_text() == ""
    assert str(hosts) in pymachine(*place, "node2", code=3)
    pymachine("rm", "-y", "node1")
    assert hosts.read_text() == f"root@{host.address}\n"
