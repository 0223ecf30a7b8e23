"""kill -9 at a call of create or rm: run the command again to continue, and what is billed is one instance at most.

One of each kind runs each time, the others in the soak run.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from contract.aws_creating import REGION, left_of
from contract.aws_program import main
from lab.ec2.faults import When
from lab.ec2.server import TESTS, Ec2Server

LIMIT = 120.0  # seconds
COST = 8.0  # seconds of one of these tests


@dataclass
class Program:
    """The driver's verbs, each in a process of its own; ``handle`` is where the machine is remembered."""

    ec2: Ec2Server
    handle: Path
    forks: ForkServerContext

    def start(self, verb: str) -> ForkServerProcess:
        process = self.forks.Process(target=main, args=(verb, self.handle, self.ec2.environ(REGION)))
        process.start()
        return process

    def run(self, verb: str) -> None:
        process = self.start(verb)
        process.join(LIMIT)
        assert process.exitcode == 0

    def killed(self, verb: str, when: When, action: str) -> None:
        """Kill the verb while the call is held; a verb that never makes the call fails the test."""
        with self.ec2.holding(when, action=action) as held:
            process = self.start(verb)
            end = time.monotonic() + LIMIT
            while not self.ec2.ask("held"):
                assert process.is_alive(), f"{verb} ended by itself: {self.ec2.actions()}"
                assert time.monotonic() < end, f"{verb} did not make the call: {self.ec2.actions()}"
                time.sleep(0.05)
            assert held.wait()["action"] == action
            process.kill()
            process.join(LIMIT)
            assert process.exitcode == -signal.SIGKILL


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServerContext]:
    """Processes forked from one that has loaded boto3 and its model of EC2."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["contract.aws_warm"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(TESTS))
        yield context


@pytest.fixture
def program(ec2: Ec2Server, tmp_path: Path, forks: ForkServerContext) -> Program:
    ec2.reset(instance_unseen=2, group_unseen=1)
    return Program(ec2, tmp_path / "handle.json", forks)


def places(always: tuple[When, str], *soaked: tuple[When, str]) -> list[ParameterSet]:
    """The calls to be killed at: one in each run, the others in the soak run."""
    return [pytest.param(*always), *(pytest.param(*place, marks=pytest.mark.soak(COST)) for place in soaked)]


@pytest.mark.parametrize(
    ("when", "action"),
    places(
        ("after", "RunInstances"),
        ("after", "CreateSecurityGroup"),
        ("after", "AuthorizeSecurityGroupIngress"),
        ("before", "RunInstances"),
        ("after", "DescribeInstances"),
    ),
)
def test_a_killed_create_goes_on_and_bills_one_instance(program: Program, when: When, action: str) -> None:
    program.killed("create", when, action)
    program.run("create")
    assert len(program.ec2.instances()) == 1
    program.run("remove")
    assert left_of(program.ec2) == []


@pytest.mark.parametrize(
    ("when", "action"),
    places(("after", "RunInstances"), ("after", "CreateSecurityGroup"), ("before", "RunInstances")),
)
def test_a_killed_create_is_undone_by_rm(program: Program, when: When, action: str) -> None:
    program.killed("create", when, action)
    program.run("remove")
    assert left_of(program.ec2) == []


@pytest.mark.parametrize(
    ("when", "action"),
    places(
        ("after", "TerminateInstances"),
        ("before", "TerminateInstances"),
        ("before", "DeleteSecurityGroup"),
        ("after", "DeleteSecurityGroup"),
    ),
)
def test_a_killed_rm_is_finished_by_the_next(program: Program, when: When, action: str) -> None:
    program.run("create")
    program.killed("remove", when, action)
    program.run("remove")
    assert left_of(program.ec2) == []


def test_a_program_that_does_not_make_the_call_fails_the_test(program: Program) -> None:
    with pytest.raises(AssertionError, match="ended by itself"):
        program.killed("remove", "after", "TerminateInstances")
