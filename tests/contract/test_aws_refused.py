"""What a create is refused for, through the real command: 3 where nothing was made, else 1 and the way on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from contract.aws_creating import AT_ONCE, left_of
from lab.ec2.faults import request_expired
from lab.ec2.server import Ec2Server
from patience import LIMIT

COST = 12.0  # seconds of one of these tests


def run(ec2: Ec2Server, store: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**ec2.program_environ(), "MACHINE_STORAGE_PATH": str(store)}
    command = [str(Path(sys.executable).with_name("pymachine")), *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=LIMIT, check=False)


@pytest.mark.parametrize(
    ("action", "code", "billed"),
    [
        pytest.param("DescribeSubnets", 3, 0, marks=pytest.mark.soak(COST)),
        pytest.param("CreateSecurityGroup", 3, 0, marks=pytest.mark.soak(COST)),
        pytest.param("AuthorizeSecurityGroupIngress", 1, 0, marks=pytest.mark.soak(COST)),
        pytest.param("RunInstances", 1, 0, marks=pytest.mark.soak(COST)),
        ("DescribeInstances", 1, 1),
    ],
)
def test_credentials_that_expire_at_a_call(
    action: str, code: int, billed: int, ec2: Ec2Server, tmp_path: Path
) -> None:
    ec2.reset(**AT_ONCE)
    ec2.inject(request_expired(action=action, times=1000))
    made = run(ec2, tmp_path, "create", "-d", "aws", "--aws-checkip-url", ec2.checkip, "web")
    assert made.returncode == code, made.stderr
    ec2.clear_faults()
    assert sum(found.startswith("i-") for found in ec2.billed()) == billed
    assert run(ec2, tmp_path, "ls", "-q").stdout.split() == (["web"] if code == 1 else [])
    if code == 1:
        assert "`pymachine rm web`" in made.stderr
        assert run(ec2, tmp_path, "rm", "-y", "web").returncode == 0
    assert left_of(ec2) == []


@pytest.mark.soak(COST)
def test_a_group_of_somebody_elses_leaves_no_record(ec2: Ec2Server, tmp_path: Path) -> None:
    ec2.reset(**AT_ONCE)
    client = ec2.client()
    client.create_security_group(
        GroupName="pymachine", Description="another", VpcId=client.describe_vpcs()["Vpcs"][0]["VpcId"]
    )
    made = run(ec2, tmp_path, "create", "-d", "aws", "--aws-checkip-url", ec2.checkip, "web")
    assert made.returncode == 3, made.stderr
    assert run(ec2, tmp_path, "ls", "-q").stdout == ""
    assert left_of(ec2) == []
