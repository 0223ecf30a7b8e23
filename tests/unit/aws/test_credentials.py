"""Whether AWS accepts the credentials: each answer of STS, for the accounts that machines are in."""

from __future__ import annotations

import pytest

from pymachine.driver import Health, HealthCheck
from pymachine_aws.credentials import health
from pymachine_aws.driver import AwsDriver
from pymachine_aws.handle import Ec2
from unit.aws_account import Loopback, Reply, error_body

IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)
REFUSED = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>no</Message></Error></ErrorResponse>"


def checked(aws: Loopback, *accounts: str, deadline: float = 10.0) -> list[HealthCheck]:
    handles = [Ec2("eu-central-1", f"id{account}", endpoint_url=aws.url, account=account) for account in accounts]
    return health([handle.handle() for handle in handles], deadline)


def test_accepted_credentials_are_asked_for_once(aws: Loopback) -> None:
    aws.says("GetCallerIdentity", Reply(IDENTITY))
    found = checked(aws, "123456789012", "", "123456789012")
    assert [(one.health, one.detail) for one in found] == [(Health.FINE, "account 123456789012")]
    assert aws.actions == ["GetCallerIdentity"]


def test_credentials_of_another_account_are_a_fault(aws: Loopback) -> None:
    aws.says("GetCallerIdentity", Reply(IDENTITY))
    (found,) = checked(aws, "999999999999")
    assert found.health is Health.FAULT
    assert "999999999999" in found.detail
    assert found.mend


def test_refused_credentials_are_a_fault_and_silence_is_unknown(aws: Loopback) -> None:
    aws.says("GetCallerIdentity", Reply(REFUSED, 403))
    assert [one.health for one in checked(aws, "1")] == [Health.FAULT]
    aws.forget()
    aws.says("GetCallerIdentity", Reply(error_body("InternalError"), 503))
    assert [one.health for one in checked(aws, "1", deadline=2.0)] == [Health.UNKNOWN]


def test_without_credentials_or_without_a_region(aws: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = AwsDriver().health([], deadline=2.0)
    assert found.health is Health.UNKNOWN
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert [one.health for one in checked(aws, "1")] == [Health.FAULT]
