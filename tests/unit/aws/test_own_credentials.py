"""A machine's own credentials sign what is asked about it; those of the environment sign the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pymachine_aws.driver import AwsDriver
from pymachine_aws.handle import Ec2
from pymachine_aws.parse_options import wanted_by
from pymachine_aws.placement import account_of
from unit.aws_account import Loopback, loopback
from unit.aws_wishes import request

OWN = {"aws_access_key": "AKIAOWN", "aws_secret_key": "secret-of-its-own"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Loopback]:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with loopback(time.time) as running:
        yield running


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
