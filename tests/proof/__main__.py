"""The whole proof: python -m proof test, or soak, or soak AREA. With any Python from 3.11 on; `make` calls it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from proof.budget import Budget
from proof.record import Soak, age, commit
from proof.results import failed_in, passed_in
from proof.run import Failed, Run
from proof.slices import Unit, choose
from proof.stages import ROOT, SUDO, Files, Stage, again, areas, every_run, preparation, pytest, rest, slice_of


def main() -> int:
    """Run what was requested; the first and the last line say how old the last whole soak is."""
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument("what", choices=("test", "soak", "again", "age"))
    parser.add_argument("area", nargs="*", help="for soak: a folder of tests, or a word in the name of a test file")
    args = parser.parse_args()
    if args.what == "age":
        print(age(), flush=True)
        return 0
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    began = float(os.environ.get("STARTED") or time.time())
    run = Run.begin(began)
    try:
        return _outcome(run, args.what, args.area)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    finally:
        run.close()
        print(age(), flush=True)


def _outcome(run: Run, what: str, area: list[str]) -> int:
    budget, proved = Budget.read(), commit()
    failed: list[str] = []
    try:
        _run_all(run, what, area)
        if what == "test":
            _run_slice(run, budget, proved)
        run.join()
    except Failed as error:
        failed.append(str(error))
    over = run.told(budget)
    for line in over:
        print(f"over budget: {line} (tests/budget.toml)")
    failed += [f"{stage.name} failed" for stage in run.failed]
    for line in (*failed, *failed_in(run.folder)):
        print(f"FAILED: {line}")
    _record(run, what, area, proved)
    return 1 if failed or over else 0


def _run_all(run: Run, what: str, area: list[str]) -> None:
    """Run the stages. A test ends with the first that fails; a soak takes hours, and goes on."""
    for stage in _preparation(area):
        run.run(stage)
    run.goes_on = what != "test"
    for stage in _stages(run, what, area):
        run.run(stage)


def _preparation(area: list[str]) -> list[Stage]:
    # The image of an area is waited for by its first stage that has virtual machines, under whatever name.
    return [stage for stage in preparation() if not area or stage.name != "image"]


def _stages(run: Run, what: str, area: list[str]) -> list[Stage]:
    files = Files.all()
    if what == "again":
        return again(Soak.failing_last())
    if area:
        run.join()
        return rest(_of_areas(files, area), "all")
    return [*every_run(files), *(rest(files) if what == "soak" else ())]


def _record(run: Run, what: str, area: list[str], proved: str) -> None:
    """Write down a soak that came to its end, and what of its failures has passed now."""
    if what == "again" and (last := Soak.last()):
        last.again(passed_in(run.folder), proved).save()
    if what != "soak" or area or not run.goes_on:
        return
    if nameless := [stage.name for stage in run.failed if not failed_in(run.folder, stage.slug)]:
        print(f"not written down: {', '.join(nameless)} failed without the name of a test")
        return
    Soak(datetime.now(UTC).date(), proved, time.time() - run.began, dict.fromkeys(failed_in(run.folder), "")).save()


def _of_areas(files: Files, area: list[str]) -> Files:
    found = Files((), (), (), ())
    for name in area:
        these = files.of_area(name)
        if these == Files((), (), (), ()):
            raise Failed(f"no test is of area {name}; areas are {', '.join(areas())}")
        found |= these
    return found


def _run_slice(run: Run, budget: Budget, proved: str) -> None:
    """Choose from the soak tier by the commit, say what, and run it."""
    seed = os.environ.get("SLICE") or proved
    units = _units(run)
    cut = choose((Unit(name, cost) for name, cost in units.items()), seed, budget.slice_cost)
    print(f"== the slice of the soak tier that {seed or 'no commit'} chooses (SLICE={seed} chooses it again)")
    for unit in cut.chosen:
        print(f"   {unit.cost:5.0f} s  {unit.id}")
    print(f"   {cut.cost:5.0f} s of {budget.slice_cost:.0f}, {len(cut.chosen)} of {len(units)} units", flush=True)
    for unit in cut.too_long:
        print(f"   too long for any slice, in `make soak` alone: {unit.id} ({unit.cost:.0f} s)")
    if cut.chosen:
        listed = run.folder / "chosen.json"
        listed.write_text(json.dumps([unit.id for unit in cut.chosen]))
        for stage in slice_of(listed, sorted({unit.file for unit in cut.chosen})):
            run.run(stage)


def _units(run: Run) -> dict[str, float]:
    """The units of the soak tier, as pytest finds them; only files that speak of it are looked at."""
    files = [str(path.relative_to(ROOT)) for path in Path(ROOT / "tests").glob("*/**/test_*.py") if _speaks(path)]
    listed = run.folder / "units.json"
    words = [*SUDO, *pytest("--collect-only", "-p", "no:xdist", "--tier", "soak", "--units", str(listed), *files)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    if not listed.exists():
        raise Failed(f"the soak tier could not be listed\n{done.stdout}{done.stderr}")
    found: dict[str, float] = json.loads(listed.read_text())
    return found


def _speaks(path: Path) -> bool:
    return "mark.soak(" in path.read_text()


if __name__ == "__main__":
    sys.exit(main())
