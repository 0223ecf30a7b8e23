"""The stages of the proof: what each runs, and what may run beside it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
VENV = ROOT / ".venv/bin/python"
SUDO = () if os.geteuid() == 0 else ("sudo", "-E")
_LAB_MARK = "pytest.mark.lab"
# The longest first: begun last, one of them would run alone.
LONGEST = (
    "test_apply.py",
    "test_swarm.py",
    "test_swarm_managers.py",
    "test_apply_managers.py",
    "test_apply_killed.py",
    "test_kvm_fleet.py",
    "test_kvm.py",
    "test_kvm_interrupted.py",
)
HOST_WORKERS = 3
# Speeds that every run compares; the rest of the folder is of the soak tier or of virtual machines.
SPEEDS = ("test_speed.py", "test_fleet_speed.py")
# Hundreds of seconds in one file, each test with hosts of its own: any worker takes the next.
APART = ("test_cut_off.py",)
Command = tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """One step of a run: commands that are given one after another, as root where they need to be.

    One ``beside`` begins in the background and is waited for before the stage that is named in ``until``.
    """

    name: str
    commands: tuple[Command, ...]
    root: bool = False
    tier: str = "base"
    until: str = ""
    libvirt: bool = False

    @property
    def slug(self) -> str:
        """Its name as that of a file."""
        return re.sub(r"[:,]", "", self.name).replace(" ", "-")


def lab(*words: str, python: str = str(VENV)) -> Command:
    """A command of the lab."""
    return ("env", "PYTHONPATH=tests", python, "-m", "lab", *words)


def pytest(*words: str) -> Command:
    """A run of tests."""
    return (str(VENV), "-m", "pytest", "-q", *words)


def make(target: str) -> Command:
    """A target of the Makefile."""
    return ("make", "--no-print-directory", target)


@dataclass(frozen=True)
class Files:
    """The test files by what they need: nothing, hosts, virtual machines, or quiet; paths from the root."""

    fast: tuple[str, ...]
    hosts: tuple[str, ...]
    virtual: tuple[str, ...]
    speeds: tuple[str, ...]

    @classmethod
    def all(cls) -> Files:
        """Every test file there is."""
        return cls.of(sorted(str(path.relative_to(ROOT)) for path in TESTS.glob("*/**/test_*.py")))

    @classmethod
    def of(cls, paths: Iterable[str]) -> Files:
        """Sort paths of test files; one of contracts that has tests with a lab is in two places."""
        fast: list[str] = []
        hosts: list[str] = []
        virtual: list[str] = []
        speeds: list[str] = []
        for path in sorted(paths, key=_longest_first):
            folder = Path(path).parts[1]
            if folder == "bench":
                speeds.append(path)
            elif folder == "lab" and Path(path).name.startswith("test_kvm"):
                virtual.append(path)
            elif folder in ("lab", "e2e"):
                hosts.append(path)
            else:
                fast.append(path)
                if _LAB_MARK in (ROOT / path).read_text():
                    virtual.append(path)
        return cls(tuple(fast), tuple(hosts), tuple(virtual), tuple(speeds))

    def of_area(self, area: str) -> Files:
        """Those of one area: a folder of tests, or a word in the name of a file."""
        here = _within(area)
        return Files(*(tuple(filter(here, kind)) for kind in (self.fast, self.hosts, self.virtual, self.speeds)))

    def __or__(self, other: Files) -> Files:
        """The files of both."""
        return Files(*(tuple(dict.fromkeys(getattr(self, k) + getattr(other, k))) for k in vars(self)))


def areas() -> list[str]:
    """Every area that can be named."""
    words: set[str] = set()
    for path in TESTS.glob("*/**/test_*.py"):
        words |= {*path.relative_to(TESTS).parts[:-1], *path.stem.removeprefix("test_").split("_")}
    return sorted(word for word in words if len(word) > 2)


def _within(area: str) -> Callable[[str], bool]:
    name = area.removesuffix(".py").removeprefix("test_")

    def here(path: str) -> bool:
        stem = Path(path).stem.removeprefix("test_")
        return name in (*Path(path).parts[1:-1], stem) or re.search(rf"(^|_){re.escape(name)}(_|$)", stem) is not None

    return here


def _file_name(path: str) -> str:
    return Path(path.partition("::")[0]).name


def _longest_first(path: str) -> tuple[int, str]:
    name = Path(path).name
    return (LONGEST.index(name) if name in LONGEST else len(LONGEST), path)


# pytest's code when no test was left after its options chose: a stage of an area may have none.
NOTHING_COLLECTED = 5


def preparation() -> list[Stage]:
    """Install what all later stages need, and begin beside them what takes long and is needed late."""
    python = sys.executable
    return [
        Stage("wheels", (make("wheels"),), until="setup"),
        Stage("programs", (lab("prepare", "--tests", "--build", "--no-templates", python=python),), root=True),
        Stage(
            "templates", (lab("prepare", "--suite", "trixie", "--engine", python=python),), root=True, until="hosts"
        ),
        Stage("setup", (make("setup"),)),
        Stage("image", (lab("image"),), root=True, until="virtual machines"),
    ]


def every_run(files: Files) -> list[Stage]:
    """The stages that every run goes through."""
    hosts = ("-n", str(HOST_WORKERS), "--dist", "loadfile", "--no-loadscope-reorder", "--durations=15")
    # Guests of one processor each: two boot in little more time than one.
    virtual = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "--durations=15", "-m", "lab")
    speeds = [path for path in files.speeds if Path(path).name in SPEEDS]
    return [
        # The life of a host is waiting for most of it: what needs none has the processors meanwhile.
        Stage("style", (make("style"),), until="speeds"),
        Stage("fast", (make("fast"),), root=True, until="speeds"),
        Stage("hosts", (pytest(*hosts, *files.hosts),), root=True),
        Stage("speeds", (pytest(*speeds),), root=True),
        Stage("virtual machines", (pytest(*virtual, *files.virtual),), root=True, libvirt=True),
    ]


def slice_of(chosen: Path, files: Sequence[str]) -> list[Stage]:
    """The stages of what a commit chose from the soak tier; speeds have the computer to themselves."""
    speeds = [path for path in files if Path(path).parts[1] == "bench"]
    others = [path for path in files if path not in speeds]
    words = ("--durations=10", "--chosen", str(chosen))
    side_by_side = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *words)
    found = [("slice", side_by_side, others), ("slice: speeds", ("-s", *words), speeds)]
    return [
        Stage(name, (pytest(*words, *paths),), root=True, tier="slice", libvirt=True)
        for name, words, paths in found
        if paths
    ]


VIRTUAL = "soak: virtual"


def rest(files: Files, tier: str = "soak") -> list[Stage]:
    """The stages of the soak tier, or of all tests of an area: what needs no host runs beside the hosts."""
    alone = ("--tier", tier, "--durations=15")
    side_by_side = ("--dist", "loadfile", "--no-loadscope-reorder", *alone)
    virtual = ("-n", "2", "-m", "lab", *side_by_side)
    hosts = ("-n", str(HOST_WORKERS))
    apart = tuple(path for path in files.hosts if _file_name(path) in APART)
    others = tuple(path for path in files.hosts if path not in apart)
    found = [
        ("soak: fast", files.fast, ("-n", "2", "-m", "not lab", *side_by_side), False),
        ("soak: hosts", others, (*hosts, *side_by_side), False),
        ("soak: hosts, each test apart", apart, (*hosts, "--dist", "load", *alone), False),
        (VIRTUAL, files.virtual, virtual, True),
        ("soak: speeds", files.speeds, ("-s", *alone), True),
    ]
    beside = {"soak: fast": VIRTUAL} if others or apart else {}
    return [
        Stage(name, (pytest(*words, *paths),), True, "soak", beside.get(name, ""), libvirt)
        for name, paths, words, libvirt in found
        if paths
    ]


def again(tests: Sequence[str]) -> list[Stage]:
    """The stages of single tests, by their ids, of whatever tier they are."""
    files = Files.of({test.partition("::")[0] for test in tests})
    named = {path: tuple(test for test in tests if test.startswith(f"{path}::")) or (path,) for path in _paths(files)}
    return rest(
        Files(*(tuple(test for path in kind for test in named[path]) for kind in vars(files).values())), "all"
    )


def _paths(files: Files) -> Iterable[str]:
    return (path for kind in vars(files).values() for path in kind)
