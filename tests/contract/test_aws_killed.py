"""kill -9 at a call of create or rm: the same command goes on, and what is billed is one instance at most."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contract.aws_creating import REGION, left_of
from lab.ec2.faults import When
from lab.ec2.server import TESTS, Ec2Server


@dataclass
class Program:
    """The driver's verbs, each in a process of its own; ``handle`` is where the machine is remembered."""

    ec2: Ec2Server
    handle: Path

    def start(self, verb: str) -> subprocess.Popen[Any]:
        words = [sys.executable, "-m", "contract.aws_program", verb, str(self.handle)]
        environ = {**os.environ, **self.ec2.environ(REGION), "PYTHONPATH": str(TESTS)}
        return subprocess.Popen(words, cwd=TESTS, env=environ)

    def run(self, verb: str) -> None:
        assert self.start(verb).wait(120) == 0

    def killed(self, verb: str, when: When, action: str) -> None:
        assert self.ec2.kill_at(lambda: self.start(verb), when, action=action)


@pytest.fixture
def program(ec2: Ec2Server, tmp_path: Path) -> Program:
    ec2.reset(instance_unseen=2, group_unseen=1)
    return Program(ec2, tmp_path / "handle.json")


CREATE: list[tuple[When, str]] = [
    ("after", "CreateSecurityGroup"),
    ("after", "AuthorizeSecurityGroupIngress"),
    ("before", "RunInstances"),
    ("after", "RunInstances"),
    ("after", "DescribeInstances"),
]
REMOVE: list[tuple[When, str]] = [
    ("before", "TerminateInstances"),
    ("after", "TerminateInstances"),
    ("before", "DeleteSecurityGroup"),
    ("after", "DeleteSecurityGroup"),
]


@pytest.mark.parametrize(("when", "action"), CREATE)
def test_a_killed_create_goes_on_and_bills_one_instance(program: Program, when: When, action: str) -> None:
    program.killed("create", when, action)
    program.run("create")
    assert len(program.ec2.instances()) == 1
    program.run("remove")
    assert left_of(program.ec2) == []


@pytest.mark.parametrize(("when", "action"), [CREATE[0], CREATE[2], CREATE[3]])
def test_a_killed_create_is_undone_by_rm(program: Program, when: When, action: str) -> None:
    program.killed("create", when, action)
    program.run("remove")
    assert left_of(program.ec2) == []


@pytest.mark.parametrize(("when", "action"), REMOVE)
def test_a_killed_rm_is_finished_by_the_next(program: Program, when: When, action: str) -> None:
    program.run("create")
    program.killed("remove", when, action)
    program.run("remove")
    assert left_of(program.ec2) == []
