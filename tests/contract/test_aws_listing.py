"""`pymachine ls` over many instances, through the real command: what it asks of EC2, and what it loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.ec2.catalogue import IMAGES
from lab.ec2.server import Ec2Server
from patience import LIMIT
from pymachine.model import Endpoint, Machine, Phase, SshAddress
from pymachine.store.sqlite import SqliteStore
from pymachine_aws.handle import Ec2

REGIONS = ("us-east-1", "eu-central-1")
EACH = 50
CLOSED = 1  # a port of loopback on which nothing listens


def launched(ec2: Ec2Server, region: str) -> list[str]:
    image = next(image for image in IMAGES if "noble" in image.name and image.architecture == "x86_64")
    made = ec2.client("ec2", region).run_instances(
        MinCount=EACH, MaxCount=EACH, ImageId=image.id(region), InstanceType="t3.small"
    )
    return [str(found["InstanceId"]) for found in made["Instances"]]


def recorded(store: SqliteStore, region: str, instance: str) -> None:
    """A machine whose engine does not answer, so that EC2 has to be asked why."""
    handle: Any = Ec2(region, instance, instance=instance, user="ubuntu").handle()
    here = "127.0.0.1"
    store.put(
        Machine(
            f"{region}-{instance[2:]}", instance, "aws", Phase.READY, handle,
            ssh=SshAddress(here, CLOSED), endpoint=Endpoint(here, CLOSED),
        )
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def ls(folder: Path, environ: dict[str, str]) -> tuple[list[dict[str, Any]], set[str]]:
    """Run ls in a fresh interpreter; return its rows and the modules that it loaded."""
    program = (
        "import sys; from pymachine.cli import main; main(['ls', '--json', '--timeout', '30']);"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environ, "MACHINE_STORAGE_PATH": str(folder)},
        capture_output=True, text=True, timeout=LIMIT, check=True,
    )  # fmt: skip
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows, set(done.stderr.split())


def test_a_hundred_machines_in_two_regions_cost_one_call_each_region(ec2: Ec2Server, folder: Path) -> None:
    ec2.reset(instance_unseen=0, pending_looks=0, pending_ms=0)
    with SqliteStore.open(folder) as store:
        for region in REGIONS:
            for instance in launched(ec2, region):
                recorded(store, region, instance)
    before = len(ec2.calls())
    rows, loaded = ls(folder, ec2.environ())
    asked = ec2.calls()[before:]
    assert [call.action for call in asked] == ["DescribeInstances"] * len(REGIONS)
    assert {call.region for call in asked} == set(REGIONS)
    assert len(rows) == EACH * len(REGIONS)
    assert {row["state"] for row in rows} == {"Running"}
    assert "boto3" in loaded


def test_machines_of_other_drivers_are_listed_without_boto3(folder: Path, ec2: Ec2Server) -> None:
    with SqliteStore.open(folder) as store:
        here = "127.0.0.1"
        for name in ("one", "two"):
            handle = {"host": here, "port": CLOSED, "jump": None}
            ssh, endpoint = SshAddress(here, CLOSED), Endpoint(here, CLOSED)
            store.put(Machine(name, name, "ssh", Phase.READY, handle, ssh=ssh, endpoint=endpoint))
    rows, loaded = ls(folder, ec2.environ())
    assert [row["name"] for row in rows] == ["one", "two"]
    assert not loaded & {"boto3", "botocore", "pymachine_aws"}
    assert ec2.calls() == []
