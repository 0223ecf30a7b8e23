"""The proof's own rules: what a commit chooses, what is counted and budgeted, and how old a soak is."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from patience import AGES, LIMIT, until
from proof import tally
from proof.budget import Budget, Spent, sum_of, table
from proof.files import group_of
from proof.record import Soak, age
from proof.results import FAILED, PASSED, failed_in, note, passed_in
from proof.run import Failed, Run
from proof.slices import Unit, choose
from proof.stages import TESTS, Files, Stage, again, areas

UNITS = [Unit(f"tests/lab/test_{number}.py", 10.0 + number) for number in range(30)]


def test_a_slice_is_within_its_budget_and_the_commit_alone_decides() -> None:
    first, again, other = (choose(units, seed, 100) for units, seed in (
        (UNITS, "a1"), (UNITS[::-1], "a1"), (UNITS, "b2"),
    ))  # fmt: skip
    assert first == again
    assert 80 < first.cost <= 100
    assert set(first.chosen) != set(other.chosen)
    assert len(first.chosen) + len(first.left) == len(UNITS)


def test_every_unit_has_its_day() -> None:
    seen = {unit for number in range(200) for unit in choose(UNITS, str(number), 100).chosen}
    assert seen == set(UNITS)


def test_what_no_slice_can_hold_is_told() -> None:
    assert [unit.id for unit in choose([Unit("huge", 101), Unit("small", 1)], "a", 100).too_long] == ["huge"]


MODULE = """
import pytest
{module}
@pytest.mark.soak(7)
@pytest.mark.parametrize("n", [1, 2])
def test_cases(n): ...

def test_plain(): ...
"""
CONFTEST = """
from proof import tiers

def pytest_addoption(parser):
    tiers.add_options(parser)

def pytest_collection_modifyitems(config, items):
    tiers.keep_tier(config, items)
"""


def _collected(folder: Path, *words: str) -> list[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath={TESTS}\nmarkers=soak(cost): s\n")
    plain = ("-p", "no:xdist", "-p", "no:hypothesispytest", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", *plain, *words], cwd=folder, text=True,
        capture_output=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 5), done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_marks_on_functions_are_units_each_and_on_a_module_one(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(MODULE.format(module=""))
    (tmp_path / "test_b.py").write_text(MODULE.format(module="pytestmark = pytest.mark.soak(90)"))
    units = tmp_path / "units.json"
    assert _collected(tmp_path, "--units", str(units)) == ["test_a.py::test_plain"]
    assert json.loads(units.read_text()) == {
        "test_a.py::test_cases[1]": 7.0, "test_a.py::test_cases[2]": 7.0, "test_b.py": 90.0,
        "test_b.py::test_cases[1]": 7.0, "test_b.py::test_cases[2]": 7.0,
    }  # fmt: skip
    chosen = tmp_path / "chosen.json"
    chosen.write_text(json.dumps(["test_b.py", "test_a.py::test_cases[2]"]))
    assert _collected(tmp_path, "--chosen", str(chosen)) == ["test_a.py::test_cases[2]", "test_b.py::test_plain"]


def test_the_soak_tier_is_the_rest(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(MODULE.format(module=""))
    assert _collected(tmp_path, "--soak") == ["test_a.py::test_cases[1]", "test_a.py::test_cases[2]"]


def test_counts_of_many_processes_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYMACHINE_RUN", str(tmp_path))
    monkeypatch.setenv("PYMACHINE_STAGE", "hosts")
    program = "from proof.tally import count\nfor _ in range(50): count('host_boots')"
    children = [subprocess.Popen([sys.executable, "-c", program], cwd=TESTS) for _ in range(3)]
    assert [child.wait(LIMIT) for child in children] == [0, 0, 0]
    assert tally.counted(tmp_path, "hosts")["host_boots"] == 150
    assert tally.counted(tmp_path, "fast")["host_boots"] == 0


@pytest.mark.parametrize(
    ("argv", "counts"),
    [
        ((["/usr/bin/python3", "x"]), True),
        ((["/opt/venv/bin/python"]), True),
        ((["/opt/venv/bin/pymachine", "ls"]), True),
        ((["ssh", "host"]), False),
        (("python3"), True),
        (([]), False),
    ],
)
def test_interpreters_are_known_by_their_names(argv: object, counts: bool) -> None:
    assert tally.starts_python(argv) is counts


def test_guests_are_counted_by_what_libvirt_wrote(tmp_path: Path) -> None:
    line = "2026-11-30 1{}:00:00.123+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4\nLC_ALL=C \\\n"
    restored = line.format(7) + "-incoming defer \\\n"
    (tmp_path / "node1.log").write_text(line.format(1) + line.format(5) + restored + line.format(6))
    (tmp_path / "pymachine-probe-1a.log").write_text(line.format(5))
    assert tally.guests(datetime(2026, 11, 30, 12, tzinfo=UTC), tmp_path) == Counter(vm_boots=2, probes=1)


def test_the_budget_names_everything_that_is_counted_and_says_what_is_above_it() -> None:
    budget = Budget.read()
    assert set(budget.tiers) == {"base", "slice", "soak"}
    most = budget.tiers["base"]["host_boots"]
    assert budget.excess("base", {"host_boots": most}) == []
    assert budget.excess("base", {"host_boots": most + 1}) == [
        f"base: {most + 1} host boots, and the budget is {most}"
    ]


def test_the_table_sums_what_held_up_the_run() -> None:
    spent = [
        Spent("hosts", "base", 100.0, Counter(host_boots=3)),
        Spent("image", "base", 50.0, Counter(host_boots=1), beside=True, waited=7.0),
    ]
    assert sum_of(spent, "base")["host_boots"] == 4
    shown = [line.split()[:4] for line in table(spent, Budget.read(), 120).splitlines()]
    assert ["hosts", "100", "0", "3"] in shown
    assert ["image", "(50)", "7", "0"] in shown
    assert ["all", "of", "base", "107"] in shown


def test_a_run_that_ends_takes_with_it_what_runs_beside(tmp_path: Path) -> None:
    run = Run.begin(0)
    mark = tmp_path / "mark"
    program = f"import time; open({str(mark)!r}, 'w').close(); time.sleep({AGES})"
    # A shell between: who started it is told, and so is the program itself.
    run.run(Stage("long", (("sh", "-c", f'{sys.executable} -c "{program}"; true'),), until="later"))
    until(mark.exists, "the program runs")
    process = run.beside[0].process
    run.close()
    assert process.returncode not in (None, -signal.SIGKILL)
    assert not run.folder.exists()


def test_a_stage_that_fails_ends_the_run(tmp_path: Path) -> None:
    run = Run.begin(time.time())
    try:
        run.run(Stage("good", (("true",),)))
        with pytest.raises(Failed, match="bad failed with 3"):
            run.run(Stage("bad", (("sh", "-c", "exit 3"),)))
        run.run(Stage("beside", (("sh", "-c", "exit 4"),), until="end"))
        with pytest.raises(Failed, match="beside failed with 4"):
            run.run(Stage("end", (("true",),)))
        assert [one.stage for one in run.spent] == ["good", "bad", "beside"]
    finally:
        run.close()


def test_the_age_of_a_soak_is_told_in_days(tmp_path: Path) -> None:
    file = tmp_path / "soak.toml"
    assert age(file) == "last whole soak: never (make soak)"
    Soak(date(2026, 11, 1), "0123456789abcdef", 5000.4).save(file)
    told = age(file, date(2026, 11, 30))
    assert told == "last whole soak: 2026-11-01, commit 0123456789ab, 29 days ago, in 5,000 s"


def test_what_failed_in_a_soak_is_kept_until_it_has_passed(tmp_path: Path) -> None:
    file, tests = tmp_path / "soak.toml", ['tests/lab/test_x.py::test_a["\\é\n]', "tests/unit/test_y.py::test_b"]
    Soak(date(2026, 11, 30), "0123456789abcdef", 5000, dict.fromkeys(tests, "")).save(file)
    assert Soak.failing_last(file) == tests
    for passed, still in (([], "of 2 failed tests 2 still fail"), (tests[:1], "of 2 failed tests 1 still fail"),
                          (tests[1:], "2 failed tests have all passed since")):  # fmt: skip
        last = Soak.last(file)
        assert last
        last.again(passed, "feed").save(file)
        assert age(file).endswith(f"; {still}")
    assert Soak.failing_last(file) == []
    assert Soak.failing_last(tmp_path / "none.toml") == []


def test_what_passed_and_what_failed_is_noted_by_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYMACHINE_RUN", str(tmp_path))
    for stage, passed, failed in (("one", ["a", "b"], ["c"]), ("two", ["d"], ["b"])):
        monkeypatch.setenv("PYMACHINE_STAGE", stage)
        note(PASSED, passed)
        note(FAILED, failed)
    assert failed_in(tmp_path) == ["c", "b"]
    assert failed_in(tmp_path, "two") == ["b"]
    assert passed_in(tmp_path) == ["a", "d"]
    assert failed_in(tmp_path, "three") == []


def test_a_soak_goes_on_after_a_stage_that_fails() -> None:
    run = Run.begin(time.time())
    run.goes_on = True
    try:
        run.run(Stage("beside", (("sh", "-c", "exit 4"),), until="good"))
        run.run(Stage("bad", (("sh", "-c", "exit 3"),)))
        run.run(Stage("good", (("true",),)))
        assert [stage.name for stage in run.failed] == ["bad", "beside"]
        assert [one.stage for one in run.spent] == ["bad", "beside", "good"]
    finally:
        run.close()


def test_single_tests_run_where_their_file_does() -> None:
    tests = [
        "tests/lab/test_swarm.py::test_a[x]",
        "tests/unit/proof/test_proof.py::test_b",
        "tests/unit/proof/test_proof.py::test_c",
    ]
    stages = {stage.name: stage for stage in again(tests)}
    assert set(stages) == {"soak: hosts", "soak: fast"}
    assert stages["soak: hosts"].commands[0][-1] == tests[0]
    assert list(stages["soak: fast"].commands[0][-2:]) == tests[1:]
    assert again([]) == []


def test_files_that_share_hosts_are_of_one_group() -> None:
    assert group_of("tests/lab/test_swarm.py::test_a[x::y]") == group_of("tests/lab/test_apply.py::test_b")
    assert group_of("tests/lab/test_aws.py::test_a[x::y]") == "tests/lab/test_aws.py"


def test_every_test_file_is_in_a_stage_and_can_be_named() -> None:
    files = Files.all()
    everywhere = {*files.fast, *files.hosts, *files.virtual, *files.speeds}
    assert everywhere == {f"tests/{path.relative_to(TESTS)}" for path in TESTS.glob("*/**/test_*.py")}
    swarm = files.of_area("swarm")
    assert "tests/lab/test_swarm_managers.py" in swarm.hosts
    assert files.of_area("test_swarm_managers.py").hosts == ("tests/lab/test_swarm_managers.py",)
    assert files.of_area("swa") == Files((), (), (), ())
    assert {"swarm", "apply", "kvm", "aws"} <= set(areas())
