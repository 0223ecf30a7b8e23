"""Pytest fixtures of the test EC2; a conftest takes them with `from lab.ec2.fixtures import *`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.core import Lab
from lab.ec2.booting import BootingEc2
from lab.ec2.server import Ec2Server

__all__ = ["booting_ec2", "ec2", "ec2_process"]


@pytest.fixture(scope="session")
def ec2_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ec2Server]:
    """The process, started once."""
    with Ec2Server(tmp_path_factory.mktemp("ec2") / "log") as server:
        yield server


@pytest.fixture
def ec2(ec2_process: Ec2Server) -> Iterator[Ec2Server]:
    """The test EC2, empty; whatever waits for it is let go afterwards."""
    ec2_process.reset()
    yield ec2_process
    ec2_process.reset()


@pytest.fixture
def booting_ec2(ec2_process: Ec2Server, lab_session: Lab) -> Iterator[BootingEc2]:
    """The test EC2 whose instances of us-east-1 are hosts of the lab; tests with it are marked lab."""
    with BootingEc2(ec2_process, lab_session) as booting:
        yield booting
    ec2_process.reset()
