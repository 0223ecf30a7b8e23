"""The test EC2 fails as it is told to: before a call, after it, in between, or by holding the caller for its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from contract.test_strict_ec2 import code, launch
from lab.ec2 import faults
from lab.ec2.faults import Fault
from lab.ec2.server import Ec2Server
from patience import LIMIT

PROGRAM = """
import boto3, sys
client = boto3.client("ec2")
client.describe_vpcs()
client.create_key_pair(KeyName="one")
client.create_key_pair(KeyName="two")
"""


def program(ec2: Ec2Server) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM], env={**os.environ, **ec2.environ()})


def pairs(ec2: Ec2Server) -> list[str]:
    return [pair["KeyName"] for pair in ec2.client().describe_key_pairs()["KeyPairs"]]


@pytest.mark.parametrize(
    ("fault", "expected", "status"),
    [
        (faults.throttled(action="RunInstances"), "RequestLimitExceeded", 503),
        (faults.no_capacity(), "InsufficientInstanceCapacity", 500),
        (faults.over_quota(), "VcpuLimitExceeded", 400),
        (faults.unauthorized(action="RunInstances"), "UnauthorizedOperation", 403),
        (faults.expired_token(action="RunInstances"), "ExpiredToken", 400),
        (faults.request_expired(action="RunInstances"), "RequestExpired", 400),
        (faults.clock_skew(action="RunInstances"), "AuthFailure", 401),
    ],
)
def test_a_refused_call_was_not_performed(ec2: Ec2Server, fault: Fault, expected: str, status: int) -> None:
    ec2.inject(fault)
    with pytest.raises(ClientError) as error:
        launch(ec2)
    assert (code(error), error.value.response["ResponseMetadata"]["HTTPStatusCode"]) == (expected, status)
    assert ec2.instances() == []
    seen = ec2.calls("RunInstances")[0]
    assert (seen.status, seen.performed) == (status, None)
    launch(ec2)


def test_an_error_after_the_call_hides_that_it_was_performed(ec2: Ec2Server) -> None:
    ec2.inject(faults.error_after(action="RunInstances"))
    with pytest.raises(ClientError) as error:
        launch(ec2)
    assert code(error) == "InternalError"
    assert len(ec2.billed()) == 1
    assert (ec2.calls("RunInstances")[0].status, ec2.calls("RunInstances")[0].performed) == (500, 200)


@pytest.mark.parametrize(("fault", "made"), [(faults.dropped_after, 1), (faults.dropped_before, 0)])
def test_a_connection_is_closed_without_an_answer(ec2: Ec2Server, fault: Any, made: int) -> None:
    ec2.inject(fault(action="RunInstances"))
    with pytest.raises(ConnectionClosedError):
        launch(ec2)
    assert len(ec2.billed()) == made


def test_a_call_can_be_slow(ec2: Ec2Server) -> None:
    ec2.inject(faults.hang(0.5, action="DescribeVpcs"))
    began = time.monotonic()
    ec2.client().describe_vpcs()
    assert time.monotonic() - began >= 0.5  # however slow the computer is


def test_a_fault_hits_the_calls_it_names(ec2: Ec2Server) -> None:
    ec2.inject(faults.throttled(action="DescribeVpcs", nth=2, times=2))
    client, answers = ec2.client(), []
    for _ in range(4):
        client.describe_subnets()
        try:
            client.describe_vpcs()
            answers.append("ok")
        except ClientError as error:
            answers.append(error.response["Error"]["Code"])
    assert answers == ["ok", "RequestLimitExceeded", "RequestLimitExceeded", "ok"]


def test_a_fault_hits_the_call_of_a_number(ec2: Ec2Server) -> None:
    ec2.inject(faults.throttled(call=2))
    client = ec2.client()
    client.describe_vpcs()
    with pytest.raises(ClientError):
        client.describe_subnets()
    client.describe_subnets()
    assert [call.status for call in ec2.calls()] == [200, 503, 200]


@pytest.mark.parametrize(("when", "left"), [("before", ["one"]), ("after", ["one", "two"])])
def test_a_program_is_killed_at_a_call(ec2: Ec2Server, when: Any, left: list[str]) -> None:
    assert ec2.kill_at(lambda: program(ec2), when, action="CreateKeyPair", nth=2)
    assert pairs(ec2) == left


def test_a_program_that_makes_no_such_call_ends_by_itself(ec2: Ec2Server) -> None:
    assert not ec2.kill_at(lambda: program(ec2), "after", call=4)
    assert pairs(ec2) == ["one", "two"]


def test_a_program_is_killed_by_its_number(ec2: Ec2Server) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    ec2.inject(faults.kill(process.pid, "after", action="DescribeVpcs"))
    ec2.client().describe_vpcs()
    assert process.wait(LIMIT) == -signal.SIGKILL


def test_held_calls_go_on_when_released(ec2: Ec2Server) -> None:
    with ec2.holding("before", action="CreateKeyPair") as held:
        process = program(ec2)
        assert held.wait()["action"] == "CreateKeyPair"
        assert pairs(ec2) == []
    assert process.wait(LIMIT) == 0
    assert pairs(ec2) == ["one", "two"]


def test_an_encoded_message_is_explained(ec2: Ec2Server) -> None:
    client = ec2.client("sts")
    answer = client.decode_authorization_message(EncodedMessage="lab-denied")
    assert "ec2:RunInstances" in answer["DecodedMessage"]
    with pytest.raises(ClientError) as error:
        client.decode_authorization_message(EncodedMessage="nonsense")
    assert code(error) == "InvalidAuthorizationMessageException"


def test_calls_are_logged_as_they_came(ec2: Ec2Server) -> None:
    ec2.client("ec2", "eu-central-1").describe_instances(Filters=[{"Name": "tag:a", "Values": ["b"]}])
    ec2.client("ssm").get_parameters(Names=["/aws/service/nothing"])
    first, second = ec2.calls()
    assert (first.service, first.action, first.region) == ("ec2", "DescribeInstances", "eu-central-1")
    assert first.params == {"Filter.1.Name": "tag:a", "Filter.1.Value.1": "b"}
    assert (second.service, second.params) == ("ssm", {"Names": ["/aws/service/nothing"]})


def test_the_server_ends_with_whoever_started_it(tmp_path: Any) -> None:
    with Ec2Server(tmp_path / "log") as server:
        process = server._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(LIMIT) == 0
