"""How long commands take beside a bare interpreter, and a list of many machines beside one of few: ratios of one run.

The stub engines share the processors with the command: how much of them they took is printed beside each ratio.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from pathlib import Path
from subprocess import DEVNULL, run

import pytest

from bench.stub_engine import stub_engines
from bench.test_speed import _report
from lab.workstation import Workstation

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

ROUNDS = 11
FEW, MANY = 20, 200


def _once(words: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Return seconds and CPU seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    run(words, env=env, check=True, capture_output=True, stdin=DEVNULL)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _against_bare(user: Workstation, words: tuple[str, ...], most: float, what: str) -> None:
    """Run a command and a bare interpreter in turn, and compare their medians.

    On a busy computer waiting for a processor is added to both sides, so that the ratio of CPU time counts as well.
    """
    env = user.env()
    bare, ours = [], []
    for _ in range(ROUNDS):
        bare.append(_once([sys.executable, "-c", "pass"], env))
        ours.append(_once(user.command(*words), env))
    ratio, of_cpu = (
        statistics.median(pair[kind] for pair in ours) / statistics.median(pair[kind] for pair in bare)
        for kind in (0, 1)
    )
    milliseconds = [statistics.median(pair[0] for pair in side) * 1000 for side in (ours, bare)]
    detail = f"{milliseconds[0]:.0f} ms against {milliseconds[1]:.0f} ms; of CPU {of_cpu:.1f}"
    _report(what, "`python -c pass`", ratio, most, detail)
    assert min(ratio, of_cpu) <= most


@pytest.mark.parametrize(
    ("line", "most"),
    [
        ("-s STORE env --shell sh node1", 5), ("-D url node1", 5), ("ip -s STORE node1", 5), ("ls -q", 6),
        ("--help", 6), ("--version", 5),
    ],
)  # fmt: skip
def test_what_needs_no_network_starts_fast(line: str, most: float, workstation: Workstation) -> None:
    workstation.pymachine("create", "-d", "none", "--url", "tcp://127.0.0.1:2376", "node1")
    words = tuple(str(workstation.store) if word == "STORE" else word for word in line.split())
    _against_bare(workstation, words, most, f"`{line}`")


def test_the_state_of_a_live_engine_is_told_fast(workstation: Workstation) -> None:
    """Behind TLS with both sides' certificates; the engine answers at once."""
    with stub_engines(workstation.store, 1, behind_tls=True, latency=0.0):
        assert workstation.pymachine("status", "stub0").stdout == "Running\n"
        _against_bare(workstation, ("status", "stub0"), 10, "`status`, engine behind TLS")


def test_a_long_list_behind_tls_takes_little_longer_than_a_short_one(
    tmp_path: Path, workstation: Workstation
) -> None:
    """Engines answer after 0.1 s. Few and many in turn, the best of five each."""
    users = [Workstation(tmp_path / str(count), workstation.docker_cli, workstation.key) for count in (FEW, MANY)]
    few, many = users
    with (
        stub_engines(few.store, FEW, behind_tls=True) as few_cpu,
        stub_engines(many.store, MANY, behind_tls=True) as many_cpu,
    ):
        for user, count in ((few, FEW), (many, MANY)):
            rows = json.loads(user.pymachine("ls", "--json").stdout)
            assert [row["state"] for row in rows] == ["Running"] * count
        before = few_cpu(), many_cpu()
        turns = [[_once(user.command("ls"), user.env()) for user in users] for _ in range(5)]
        stubs = [(cpu() - was) / 5 for cpu, was in zip((few_cpu, many_cpu), before, strict=True)]
    short, long = (min(turn[which][0] for turn in turns) for which in (0, 1))
    cpu = [min(turn[which][1] for turn in turns) for which in (0, 1)]
    detail = (
        f"{long:.2f} s against {short:.2f} s; CPU of the command {cpu[1]:.2f} s and {cpu[0]:.2f} s, "
        f"of the stub engines on the same processors {stubs[1]:.2f} s and {stubs[0]:.2f} s"
    )
    _report(f"`ls` of {MANY} engines behind TLS", f"`ls` of {FEW}", long / short, 2, detail)
    assert long / short <= 6
