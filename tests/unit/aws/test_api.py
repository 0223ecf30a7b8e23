"""boto3 at its one edge: when it is loaded, how often a call goes out, and what its errors become."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from patience import LIMIT
from pymachine.errors import CheckFailed, DriverError, PymachineError, Unreachable, UsageFault
from pymachine_aws.api import ApiError, AwsAccount, Unsure
from pymachine_aws.handle import Ec2
from unit.aws_account import KEYS, Loopback, Reply, error_body

pytestmark = pytest.mark.usefixtures("nobodys_settings")


def new_account(aws: Loopback, **settings: Any) -> AwsAccount:
    return AwsAccount("eu-central-1", endpoint_url=aws.url, **{"retries": 1, "timeout": 5.0, **settings})


def account(aws: Loopback, **settings: Any) -> AwsAccount:
    """The module's own: a new one reads EC2's model again, which takes most of a second."""
    return aws.accounts.setdefault(str(settings), new_account(aws, **settings))


def failure(call: Any) -> PymachineError:
    with pytest.raises(PymachineError) as failed:
        call()
    assert failed.value.hint
    return failed.value


def reading(account: AwsAccount) -> PymachineError:
    return failure(lambda: account.read("describe_vpcs", "look for a VPC"))


def changing(account: AwsAccount) -> PymachineError:
    return failure(lambda: account.change("stop_instances", "stop i-1", InstanceIds=["i-1"]))


def test_boto3_is_not_loaded_with_the_driver() -> None:
    code = "import sys, pymachine_aws; print([m for m in ('boto3', 'botocore', 'urllib3') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT)

    assert done.stdout.strip() == "[]"


def test_a_missing_boto3_is_one_line_with_the_command_that_installs_it() -> None:
    code = (
        "import sys; sys.modules['boto3'] = None\n"
        "from pymachine.errors import DriverMissing\nfrom pymachine_aws.api import AwsAccount\n"
        "try: AwsAccount('eu-central-1').read('describe_vpcs', 'look')\n"
        "except DriverMissing as error: print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT)

    assert done.stdout.strip() == "pip install 'pymachine-docker[aws]'"


def test_an_answer_is_what_boto3_makes_of_it_and_the_call_is_marked_as_ours(aws: Loopback) -> None:
    aws.says("DescribeVpcs", Reply("<R><vpcSet><item><vpcId>vpc-1</vpcId></item></vpcSet></R>"))

    answer = account(aws).read("describe_vpcs", "look for a VPC", VpcIds=["vpc-1"])

    assert answer["Vpcs"] == [{"VpcId": "vpc-1"}]
    assert aws.requests[0]["VpcId.1"] == "vpc-1"
    assert "pymachine/" in aws.agents[0]


def test_all_pages_are_asked_for(aws: Loopback) -> None:
    aws.says(
        "DescribeVpcs",
        Reply("<R><nextToken>more</nextToken><vpcSet><item><vpcId>vpc-1</vpcId></item></vpcSet></R>"),
        Reply("<R><vpcSet><item><vpcId>vpc-2</vpcId></item></vpcSet></R>"),
    )

    found = [each["VpcId"] for each in account(aws).pages("describe_vpcs", "Vpcs", "look for VPCs")]

    assert found == ["vpc-1", "vpc-2"]
    assert [each.get("NextToken") for each in aws.requests] == [None, "more"]


def test_what_has_no_pages_is_read_all_the_same(aws: Loopback) -> None:
    aws.says("DescribeKeyPairs", Reply("<R><keySet><item><keyName>k</keyName></item></keySet></R>"))

    assert [each["KeyName"] for each in account(aws).pages("describe_key_pairs", "KeyPairs", "look")] == ["k"]


def test_an_error_on_a_later_page_is_ours_too(aws: Loopback) -> None:
    aws.says(
        "DescribeVpcs", Reply("<R><nextToken>more</nextToken></R>"), Reply(error_body("InvalidPaginationToken"), 400)
    )

    with pytest.raises(ApiError) as failed:
        list(account(aws).pages("describe_vpcs", "Vpcs", "look for VPCs"))
    assert failed.value.code == "InvalidPaginationToken"


def test_a_reading_call_is_tried_again(aws: Loopback) -> None:
    aws.says("DescribeVpcs", Reply(error_body("InternalError"), 500), Reply())

    account(aws, retries=2).read("describe_vpcs", "look for a VPC")

    assert aws.actions == ["DescribeVpcs"] * 2


def test_a_changing_call_goes_out_once_whatever_it_meets(aws: Loopback) -> None:
    aws.refuses("StopInstances", "RequestLimitExceeded", status=503)

    error = changing(account(aws, retries=5))

    assert aws.actions == ["StopInstances"]
    assert isinstance(error, ApiError)
    assert error.code == "RequestLimitExceeded"
    assert error.hint


def test_no_room_is_a_refusal_although_its_status_is_a_servers_fault(aws: Loopback) -> None:
    aws.refuses("StopInstances", "InsufficientInstanceCapacity", status=500)

    error = changing(account(aws))

    assert isinstance(error, ApiError)
    assert error.code == "InsufficientInstanceCapacity"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(error_body("InternalError"), 500),
        Reply(error_body("Unavailable"), 503),
        Reply("<html>bad gateway</html>", 502),
        Reply(cut=True),
    ],
)
def test_a_change_that_was_sent_and_not_answered_is_never_taken_for_a_refusal(aws: Loopback, reply: Reply) -> None:
    aws.says("StopInstances", reply)
    aws.says("DescribeVpcs", reply)

    assert isinstance(changing(account(aws)), Unsure)
    read = reading(account(aws))
    assert isinstance(read, Unreachable)
    assert not isinstance(read, Unsure)


def test_a_change_that_is_answered_too_late_is_unsure(aws: Loopback) -> None:
    late = threading.Event()
    aws.says("StopInstances", Reply(wait=late))

    error = changing(account(aws, timeout=0.3))

    late.set()
    assert isinstance(error, Unsure)
    assert error.retryable


def test_a_change_that_never_went_out_is_unreachable_and_not_unsure() -> None:
    error = changing(AwsAccount("eu-central-1", endpoint_url="http://127.0.0.1:1", timeout=2.0))

    assert isinstance(error, Unreachable)
    assert not isinstance(error, Unsure)
    assert "http://127.0.0.1:1" in error.message


def test_a_refusal_says_what_where_and_why_and_keeps_the_code(aws: Loopback) -> None:
    aws.refuses("DescribeVpcs", "InvalidVpcID.NotFound", "The vpc ID 'vpc-1' does not exist")

    error = reading(account(aws))

    assert isinstance(error, ApiError)
    assert error.code == "InvalidVpcID.NotFound"
    assert "a VPC in eu-central-1: The vpc ID 'vpc-1'" in error.message


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("VcpuLimitExceeded", "You have requested more vCPU capacity", "Service Quotas"),
        ("OptInRequired", "To do so please visit https://aws.amazon.com/marketplace/pp?sku=x.", "https://aws.amazon.com/marketplace/pp?sku=x"),
        ("InvalidKeyPair.NotFound", "The key pair 'k' does not exist", "describe-key-pairs"),
        ("PendingVerification", "Your account is being validated", "verifies"),
    ],
)  # fmt: skip
def test_the_hint_says_what_to_do(aws: Loopback, code: str, message: str, said: str) -> None:
    aws.refuses("StopInstances", code, message)

    error = changing(account(aws))

    assert isinstance(error, ApiError)
    assert said in str(error.hint)


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_every_word_for_expired_asks_for_a_new_login(aws: Loopback, code: str) -> None:
    aws.refuses("StopInstances", code)

    error = changing(account(aws))

    assert isinstance(error, CheckFailed)
    assert "log in" in str(error.hint)


def test_expired_credentials_are_told_from_wrong_ones(aws: Loopback) -> None:
    aws.refuses("DescribeVpcs", "RequestExpired", "Request has expired.")
    expired = reading(account(aws))
    aws.refuses("DescribeVpcs", "AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    wrong = reading(account(aws))

    assert isinstance(expired, CheckFailed)
    assert "have expired" in expired.message
    assert isinstance(wrong, CheckFailed)
    assert " accept" in wrong.message
    assert "region" in str(wrong.hint)


def test_credentials_that_expire_after_a_change_are_no_refusal(aws: Loopback) -> None:
    changed = new_account(aws)
    changed.change("stop_instances", "stop i-1", InstanceIds=["i-1"])
    for operation, ask in (("DescribeVpcs", reading), ("StopInstances", changing)):
        aws.refuses(operation, "RequestExpired", "Request has expired.")
        error = ask(changed)
        assert (type(error), error.exit_code) == (DriverError, 1)
        assert "have expired" in error.message


@pytest.mark.parametrize(
    ("code", "ahead", "said"),
    [
        ("AuthFailure", 12 * 60 + 1, "12 minutes behind"),
        ("SignatureDoesNotMatch", -3 * 3600, "3 hours ahead of"),
        ("RequestExpired", 90 * 60, "90 minutes behind"),
        ("InvalidSignatureException", 40 * 86400, "40 days behind"),
    ],
)
def test_a_wrong_clock_is_found_by_the_answers_date(aws: Loopback, code: str, ahead: float, said: str) -> None:
    aws.refuses("DescribeVpcs", code, "Signature expired: 20261125T100000Z is now earlier than …", 403, ahead=ahead)

    error = reading(account(aws))

    assert isinstance(error, CheckFailed)
    assert f"clock is {said} AWS's" in error.message
    assert "set-ntp" in str(error.hint)


def test_auth_failure_of_one_image_says_nothing_about_the_keys(aws: Loopback) -> None:
    aws.refuses("StopInstances", "AuthFailure", "Not authorized for images: [ami-1]")

    assert isinstance(changing(account(aws)), ApiError)


ENCODED = "You are not authorized to perform this operation. Encoded authorization failure message: tBuj0-x_y"
DECODED = (
    '{"allowed":false,"explicitDeny":true,"context":{"principal":{"arn":"arn:aws:iam::1:user/eve"},'
    '"action":"ec2:StopInstances","resource":"arn:aws:ec2:eu-central-1:1:instance/i-1"}}'
)


def test_an_encoded_refusal_is_decoded(aws: Loopback) -> None:
    aws.refuses("StopInstances", "UnauthorizedOperation", ENCODED, 403)
    result = "DecodeAuthorizationMessageResult"
    body = f"<R><{result}><DecodedMessage>{DECODED}</DecodedMessage></{result}></R>"
    aws.says("DecodeAuthorizationMessage", Reply(body))

    error = changing(account(aws))

    assert isinstance(error, ApiError)
    assert error.code == "UnauthorizedOperation"
    assert "user/eve may" in error.message
    assert " ec2:StopInstances on arn:aws:ec2:eu-central-1:1:instance/i-1" in error.message
    assert "ec2:StopInstances" in str(error.hint)
    assert aws.requests[-1]["EncodedMessage"] == "tBuj0-x_y"


def test_where_sts_may_not_be_asked_the_command_that_decodes_is_said(aws: Loopback) -> None:
    aws.refuses("StopInstances", "UnauthorizedOperation", ENCODED, 403)
    aws.says(
        "DecodeAuthorizationMessage",
        Reply("<R><Error><Code>AccessDenied</Code><Message>no</Message></Error></R>", 403),
    )

    error = changing(account(aws))

    assert "ec2:StopInstances" in error.message
    assert "aws sts decode-authorization-message --encoded-message tBuj0-x_y" in str(error.hint)
    assert aws.actions == ["StopInstances", "DecodeAuthorizationMessage"]


def test_a_refusal_in_clear_names_who_what_and_where(aws: Loopback) -> None:
    text = (
        "You are not authorized to perform this operation. User: arn:aws:iam::1:user/eve is not authorized to "
        "perform: ec2:RunInstances on resource: arn:aws:ec2:eu-central-1:1:subnet/s because no identity-based "
        "policy allows it"
    )
    aws.refuses("StopInstances", "UnauthorizedOperation", text, 403)

    error = changing(account(aws))

    assert " ec2:RunInstances on arn:aws:ec2:eu-central-1:1:subnet/s" in error.message
    assert "have ec2:RunInstances allowed" in str(error.hint)


def test_no_credentials_are_said_with_the_ways_to_give_them(aws: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)

    error = reading(new_account(aws))

    assert isinstance(error, CheckFailed)
    assert "AWS credentials" in error.message
    assert "--aws-profile" in str(error.hint)
    assert aws.requests == []


def test_half_of_a_key_is_told(aws: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    error = reading(new_account(aws))

    assert isinstance(error, CheckFailed)
    assert "AWS_SECRET_ACCESS_KEY" in error.message


def test_an_unknown_profile_is_a_wrong_option(aws: Loopback) -> None:
    error = reading(new_account(aws, profile="nobodys"))

    assert isinstance(error, UsageFault)
    assert "nobodys" in error.message


def test_an_expired_login_says_how_to_log_in_again(aws: Loopback, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[profile work]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = admin\n"
        "[sso-session s]\nsso_region = eu-central-1\nsso_start_url = https://example.invalid/start\n"
    )

    error = reading(new_account(aws, profile="work"))

    assert isinstance(error, CheckFailed)
    assert "aws sso login --profile work" in str(error.hint)


def test_a_program_that_should_give_credentials_and_fails_is_told(aws: Loopback, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[profile work]\ncredential_process = /bin/sh -c 'echo vault is sealed >&2; exit 1'\n"
    )

    error = reading(new_account(aws, profile="work"))

    assert isinstance(error, CheckFailed)
    assert "vault is sealed" in error.message
    assert aws.requests == []


def test_a_role_that_may_not_be_taken_is_told_from_a_call_that_may_not_be_made(
    aws: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(
        "[profile work]\nrole_arn = arn:aws:iam::123456789012:role/r\ncredential_source = Environment\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    aws.says("AssumeRole", Reply("<R><Error><Code>AccessDenied</Code><Message>not you</Message></Error></R>", 403))

    error = reading(new_account(aws, profile="work"))

    assert isinstance(error, CheckFailed)
    assert ": not you " in error.message
    assert "that role" in str(error.hint)
    assert aws.actions == ["AssumeRole"]


def test_keys_in_the_environment_come_before_the_profile_that_it_names_as_in_boto3(
    aws: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[profile work]\nsso_account_id = 1\n")
    monkeypatch.setenv("AWS_PROFILE", "work")

    new_account(aws, profile="work").read("describe_vpcs", "look for a VPC")

    assert aws.actions == ["DescribeVpcs"]


def test_a_region_that_is_none_is_told_with_those_like_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # keeps the look-up on this computer

    error = reading(AwsAccount("eu-central-9", retries=1, timeout=2.0))

    assert isinstance(error, UsageFault)
    assert "eu-central-1" in str(error.hint)


def test_a_region_that_cannot_be_reached_is_not_called_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    assert isinstance(reading(AwsAccount("eu-central-1", retries=1, timeout=2.0)), Unreachable)


def test_any_name_will_do_for_a_region_at_a_url_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:1")

    assert isinstance(reading(AwsAccount("my-lab-1", retries=1, timeout=2.0)), Unreachable)


def test_without_any_region_the_option_is_named() -> None:
    with pytest.raises(UsageFault, match="AWS region") as failed:
        AwsAccount(None).region  # noqa: B018
    assert "--aws-region" in str(failed.value.hint)


def test_the_region_is_the_profiles_where_none_is_given(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile work]\nregion = eu-west-3\n")

    assert AwsAccount(None, profile="work").region == "eu-west-3"


def test_a_url_of_nothing_is_a_wrong_option() -> None:
    assert isinstance(reading(AwsAccount("eu-central-1", endpoint_url="nonsense")), UsageFault)


def test_the_account_of_a_record_is_the_one_it_was_made_in(aws: Loopback) -> None:
    ec2 = Ec2("eu-west-1", "id", endpoint_url=aws.url)

    AwsAccount.of(ec2, retries=1).read("describe_vpcs", "look for a VPC")

    assert AwsAccount.of(ec2).region == "eu-west-1"
    assert aws.actions == ["DescribeVpcs"]


@pytest.mark.parametrize(
    ("url", "ssm"),
    [
        ("https://vpce-1.ec2.eu-central-1.vpce.amazonaws.com", "https://ssm.eu-central-1.amazonaws.com"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_a_url_of_amazons_is_ec2s_alone_and_any_other_is_all_of_aws(url: str, ssm: str) -> None:
    here = AwsAccount("eu-central-1", endpoint_url=url)

    assert here.url("ec2") == url
    assert here.url("ssm") == ssm


def test_many_threads_share_one_account(aws: Loopback) -> None:
    here = new_account(aws)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: here.read("describe_vpcs", "look for a VPC"), range(24)))

    assert len(aws.requests) == 24


def test_user_data_is_not_logged_even_where_all_is(aws: Loopback, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    account(aws).change("run_instances", "launch", MinCount=1, MaxCount=1, ImageId="ami-1", UserData=b"hush-hush")

    assert "aHVzaC1odXNo" not in caplog.text
    assert "hush-hush" not in caplog.text


def test_the_types_that_boto3_knows_are_told_without_a_call(aws: Loopback) -> None:
    assert "t3.small" in account(aws).words("InstanceType")
    assert aws.requests == []
