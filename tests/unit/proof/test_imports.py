"""The rails of imports: each contract of pyproject.toml catches what is planted against it, new modules included."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

from patience import LIMIT

ROOT = Path(__file__).parents[3]
SOURCES = ("machine", "drivers", "templates")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONFIG = PROJECT["tool"]["importlinter"]
NAMES = [contract["name"] for contract in CONFIG["contracts"]]
SIBLINGS = "no cycle between siblings"
SEAM = "drivers know the driver seam and nothing above it"
CLICK = "click only in cli and in commands of drivers"
# Each contract, with a file that breaks it (a new one where there is none), the line, and what is to be reported.
PLANTED = [
    ("arrows only downwards", "machine/pymachine/fleet/plan/order.py", "import pymachine.steps.services"),
    ("arrows only downwards", "machine/pymachine/steps/brand_new.py", "import pymachine.create"),
    (SIBLINGS, "drivers/pymachine_kvm/images/qcow2.py", "import pymachine_kvm.images.cache"),
    (SIBLINGS, "drivers/pymachine_kvm/locks.py", "import pymachine_kvm.driver"),
    ("core never imports a driver", "machine/pymachine/power.py", "import pymachine_ssh"),
    (SEAM, "drivers/pymachine_kvm/brand_new.py", "import pymachine.redaction"),
    (SEAM, "drivers/pymachine_none/__init__.py", "import pymachine.cli"),
    ("drivers never import each other", "drivers/pymachine_kvm/power.py", "import pymachine_none"),
    ("paramiko only in transport", "machine/pymachine/fleet/apply/hooks.py", "import paramiko"),
    ("paramiko only in transport", "machine/pymachine/store/brand_new.py", "from paramiko import Transport"),
    ("jinja2 only in templates", "machine/pymachine/engine/setup.py", "import jinja2"),
    (SEAM, "drivers/pymachine_kvm/boot.py", "import pymachine.cli.output"),
    (SEAM, "drivers/pymachine_kvm/commands/brand_new.py", "import pymachine.cli.lookup"),
    ("a driver works without its commands", "drivers/pymachine_kvm/resize.py", "import pymachine_kvm.commands.image"),
    (CLICK, "machine/pymachine/swarm/quorum.py", "import click"),
    (CLICK, "drivers/pymachine_kvm/images/lock.py", "import click"),
    ("rich only in cli", "drivers/pymachine_aws/driver.py", "from rich.table import Table"),
    ("rich only in cli", "drivers/pymachine_kvm/commands/brand_new.py", "from rich.table import Table"),
    ("the docker SDK only in swarm_api", "machine/pymachine/swarm/join.py", "import docker"),
    ("the docker SDK only in swarm_api", "drivers/pymachine_kvm/images/download.py", "import requests"),
    ("the docker SDK only in swarm_api", "machine/pymachine/engine/client.py", "import urllib3"),
    ("sqlite3 only in store", "machine/pymachine/leftovers.py", "import sqlite3"),
    ("cryptography only in tls and transport", "machine/pymachine/model.py", "import cryptography.x509"),
    ("pycdlib only in its module", "machine/pymachine/cloudinit/parts.py", "import pycdlib"),
    ("boto3 only in its driver", "drivers/pymachine_ssh/__init__.py", "import boto3"),
    ("boto3 only in its driver", "machine/pymachine/store/names.py", "import botocore.session"),
    ("pyrage only in its module", "machine/pymachine/exchange/archive.py", "import pyrage"),
    ("libvirt only in its module", "drivers/pymachine_kvm/network.py", "import libvirt"),
    ("libvirt only in its module", "drivers/pymachine_kvm/panic.py", "import libvirt_qemu"),
]
UNPLACED = {
    "arrows only downwards": "machine/pymachine/unplaced.py",
    "each folder of a fleet has its place": "machine/pymachine/fleet/unplaced.py",
}
LOADED_BY_NAME = {  # by functions that say what to install where it is missing
    "machine/pymachine/cli/command_group.py",
    "drivers/pymachine_aws/api.py", "drivers/pymachine_kvm/libvirt_api.py",
    "machine/pymachine/exchange/encryption.py",
}  # fmt: skip
EVERYWHERE = {"yaml", "typing_extensions"}  # libraries without a place of their own


def copied(folder: Path) -> Path:
    """Copy the product to where it can be planted in."""
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def plant(tree: Path, path: str, line: str = "") -> None:
    """Write a line at the end of a file."""
    with (tree / path).open("a", encoding="utf-8") as out:
        out.write(f"\n{line}\n")


def report(tree: Path) -> dict[str, str]:
    """What import-linter says of each contract that is broken; the others are kept."""
    path = os.pathsep.join(str(tree / name) for name in SOURCES)
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"], cwd=tree,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "400"}, capture_output=True, text=True, timeout=LIMIT,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    kept = {name for name in NAMES if any(line.startswith(f"{name} KEPT") for line in lines)}
    broken = [name for name in NAMES if any(line.startswith(f"{name} BROKEN") for line in lines)]
    assert kept | set(broken) == set(NAMES), done.stdout + done.stderr
    heads = [*(lines.index(name) for name in broken), len(lines)]
    return {name: "\n".join(lines[start:end]) for name, start, end in zip(broken, heads, heads[1:], strict=False)}


def test_every_contract_is_kept_and_has_something_planted_against_it(tmp_path: Path) -> None:
    assert report(copied(tmp_path)) == {}
    assert set(NAMES) == {name for name, *_ in PLANTED} | set(UNPLACED)


def test_each_planted_import_is_caught(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    for _, path, line in PLANTED:
        plant(tree, path, line)
    broken = report(tree)
    for contract, path, _ in PLANTED:
        module = ".".join(Path(path).with_suffix("").parts[1:]).removesuffix(".__init__")
        # Of a cycle the folder is told, and one of its arrows.
        told = f"allowed in {module.rpartition('.')[0]}." if contract == SIBLINGS else module
        assert told in broken.get(contract, ""), (contract, told, broken)
    assert set(broken) == {name for name, *_ in PLANTED}


def test_a_module_without_a_place_is_caught(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    for path in UNPLACED.values():
        plant(tree, path)
    broken = report(tree)
    assert set(broken) == set(UNPLACED)
    assert all("unplaced" in found for found in broken.values())


# -- the graph, of which the contracts on siblings see one folder at a time --


def cycle(modules: dict[str, set[str]]) -> list[str]:
    """The modules of one cycle, or none."""
    try:
        TopologicalSorter(modules).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*CONFIG["root_packages"], include_external_packages=True, cache_dir=None)


def test_no_modules_import_each_other() -> None:
    found = graph()
    modules = {name: set(found.find_modules_directly_imported_by(name)) for name in found.modules}
    assert len(modules) > 400
    assert cycle(modules) == []
    modules["pymachine.errors"] |= {"pymachine.cli.app"}
    assert "pymachine.errors" in cycle(modules)


def test_every_package_that_is_shipped_is_in_the_graph() -> None:
    shipped = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {Path(folder).name for folder in shipped} == set(CONFIG["root_packages"])
    lies = {path.parent.name for name in SOURCES for path in (ROOT / name).glob("*/__init__.py")}
    assert lies == set(CONFIG["root_packages"])


def test_every_foreign_library_has_a_place() -> None:
    found = graph()
    foreign = {name for name in found.modules if name.split(".")[0] not in CONFIG["root_packages"]}
    placed = {
        name
        for contract in CONFIG["contracts"]
        for name in (*contract.get("protected_modules", ()), *contract.get("forbidden_modules", ()))
    }
    assert foreign - set(sys.stdlib_module_names) - placed == EVERYWHERE


# -- what is loaded by name is in no graph --


def loads(tree: Path) -> Iterator[str]:
    """The files of the product that load a module by its name."""
    for folder in SOURCES:
        for path in sorted((tree / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
                if called in ("import_module", "__import__", "find_spec", "run_module", "exec", "eval"):
                    yield str(path.relative_to(tree))


def test_modules_are_loaded_by_name_in_few_places() -> None:
    assert set(loads(ROOT)) == LOADED_BY_NAME


def test_planted_loads_by_name_are_caught(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    planted = {
        "machine/pymachine/fleet/apply/hooks.py": 'importlib.import_module("libvirt")',
        "drivers/pymachine_aws/volumes.py": '__import__("paramiko")',
    }
    for path, line in planted.items():
        plant(tree, path, line)
    assert set(loads(tree)) - LOADED_BY_NAME == set(planted)
