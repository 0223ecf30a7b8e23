"""The aws driver keeps the driver contract, against an EC2 as strict as AWS."""

from __future__ import annotations

from typing import Any

import pytest
from typing_extensions import override

from contract.aws_creating import AT_ONCE, QUICK
from lab.ec2.server import Ec2Server
from pymachine.driver import Driver
from pymachine.testing.contract import DriverContract
from pymachine_aws.driver import AwsDriver
from pymachine_aws.options import AwsOptions

REGION = "us-east-1"


class TestAws(DriverContract):
    @pytest.fixture(autouse=True)
    def _ec2(self, ec2: Ec2Server, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in ec2.environ(REGION).items():
            monkeypatch.setenv(name, value)
        ec2.set(**AT_ONCE)
        self.ec2 = ec2

    @override
    def driver(self) -> Driver:
        return AwsDriver(QUICK)

    @override
    def options(self) -> Any:
        return AwsOptions(aws_allow=("203.0.113.9/32",))

    @override
    def bad_options(self) -> Any:
        return AwsOptions(aws_allow=("everybody",))

    @override
    def count(self) -> int:
        return len(self.ec2.billed())
