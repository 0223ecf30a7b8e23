"""A machine's own credentials sign what is asked about it; those of the environment sign the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pymachine_aws.driver import AwsDriver
from pymachine_aws.handle import Ec2
from pymachine_aws.parse_options import wanted_by
from pymachine_aws.placement import account_of
from unit.aws_account import Loopback
from unit.aws_wishes import request

OWN = {"aws_access_key": "AKIAOWN", "aws_secret_key": "secret-of-its-own"}


@pytest.fixture(autouse=True)
def key_of_the_environment(nobodys_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")


def machine(aws: Loopback, name: str) -> Ec2:
    return Ec2("eu-central-1", name, endpoint_url=aws.url, instance=f"i-{name}")


def test_each_machine_is_asked_about_with_its_own(aws: Loopback) -> None:
    AwsDriver().use_credentials("keyed", OWN)
    machines = [machine(aws, "keyed"), machine(aws, "plain"), machine(aws, "other")]
    AwsDriver().inspect_all([each.handle() for each in machines], deadline=10.0)
    assert set(aws.keys) == {"AKIAOWN", "AKIAENVIRONMENT"}
    asked = dict(zip(aws.keys, aws.requests, strict=True))
    assert "i-keyed" in asked["AKIAOWN"].values()
    assert "i-keyed" not in asked["AKIAENVIRONMENT"].values()


def test_a_create_that_goes_on_has_them_without_the_options(aws: Loopback) -> None:
    asked = request(machine_id="resumed")
    AwsDriver().use_credentials("resumed", OWN)
    wanted = wanted_by(asked)
    assert "secret-of-its-own" not in repr(wanted)
    account_of(replace(wanted, region="eu-central-1", endpoint_url=aws.url)).read("describe_vpcs", "look")
    assert aws.keys == ["AKIAOWN"]
