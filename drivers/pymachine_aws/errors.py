"""Explains AWS's errors: what failed, where, why, and what to do about it. Calls nothing.

botocore's classes are distinguished by name, so that this module loads without it and accepts classes of newer
versions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pymachine.errors import CheckFailed, DriverError, PymachineError, Unreachable, UsageFault

# AWS takes a signature for five minutes before and after it was made (EC2 API Reference, "Common errors").
SKEW_ALLOWED = 240.0


class ApiError(DriverError):
    """AWS refused a call, and nothing was changed. ``code`` is AWS's error code (``InvalidVpcID.NotFound``)."""

    def __init__(self, message: str, *, code: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class Unsure(Unreachable):
    """A call that changes something was sent, and its result is unknown.

    It must be checked, or repeated with the same client token; it must never be treated as a refusal.
    """


class Trouble(Unreachable):
    """AWS failed to answer a call that only reads: a fault of its own, or an answer that was cut off."""


@dataclass(frozen=True, slots=True)
class AwsCall:
    """A call to report on: ``what`` completes "cannot …", ``place`` is its region, ``changes`` whether it does."""

    what: str
    place: str
    endpoint: str = ""
    changes: bool = False
    profile: str | None = None

    @property
    def failed(self) -> str:
        """The beginning of its messages."""
        return f"cannot {self.what} in {self.place}"


def explain(error: Exception, call: AwsCall, *, now: datetime | None = None) -> PymachineError:
    """Convert an error of botocore. ``now`` is this computer's time, for comparison with AWS's."""
    if _kinds(error) & {"ClientError"}:
        return _refused(error, call, now or datetime.now(UTC))
    for names, ours in _KINDS:
        if _kinds(error) & names:
            return ours(error, call)
    return DriverError(f"{call.failed}: {_line(error)}", hint="`pymachine --debug` shows more")


def authorisation_message(error: Exception) -> str:
    """Return the encoded part of a refusal that only STS can read, or an empty string."""
    match = _ENCODED.search(_message(error)) if code_of(error) == "UnauthorizedOperation" else None
    return match[1] if match else ""


def not_authorised(error: Exception, call: AwsCall, decoded: Mapping[str, Any] | None = None) -> ApiError:
    """Return the error for a missing permission; ``decoded`` is what STS made of its encoded part."""
    context = (decoded or {}).get("context") or {}
    action = context.get("action") or _found(_ACTION, error) or f"ec2:{getattr(error, 'operation_name', '')}"
    resource = context.get("resource") or _found(_RESOURCE, error)
    who = (context.get("principal") or {}).get("arn") or _found(_USER, error) or "these credentials"
    denied = (decoded or {}).get("explicitDeny") or "explicit deny" in _message(error)
    text = f"{who} may not do {action}" + (f" on {resource}" if resource else "")
    hint = (
        f"a policy denies {action}: have the policy changed" if denied else f"have {action} allowed by an IAM policy"
    )
    encoded = authorisation_message(error)
    if encoded and not decoded:
        hint += f"; `aws sts decode-authorization-message --encoded-message {encoded}` shows why"
    return ApiError(f"{call.failed}: {text}", code=code_of(error), hint=hint)


def code_of(error: Exception) -> str:
    """Return AWS's code of a ``ClientError``, empty for others."""
    return str(_response(error).get("Error", {}).get("Code", ""))


_ENCODED = re.compile(r"Encoded authorization failure message: ?(\S+)")
_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")
_RESOURCE = re.compile(r"on resource: (\S+)")
_USER = re.compile(r"User: (\S+) is not authorized")
_LINK = re.compile(r"https://\S+")

_SIGNATURE = frozenset({
    "AuthFailure", "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature",
    "RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture",
})  # fmt: skip
_NO_TOKEN = frozenset({
    "InvalidClientTokenId", "UnrecognizedClientException", "MissingAuthenticationToken",
    "MissingAuthenticationTokenException", "InvalidAccessKeyId",
})  # fmt: skip
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})
_NOT_ALLOWED = frozenset(
    {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation"}
)
_THROTTLED = frozenset({
    "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "EC2ThrottledException",
    "TooManyRequestsException", "RequestThrottled", "RequestThrottledException", "SlowDown", "BandwidthLimitExceeded",
    "PriorRequestNotComplete", "ResourceCountExceeded",
})  # fmt: skip
_CREDENTIALS_OF = frozenset({
    "AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "GetSessionToken", "GetRoleCredentials",
    "CreateToken",
})  # fmt: skip
# An answer with one of these says that nothing was made, although its HTTP status is that of a server's fault.
_DEFINITE = ("Insufficient", "Unsupported", "InvalidParameter")


def _refused(error: Exception, call: AwsCall, now: datetime) -> PymachineError:
    code = code_of(error)
    if getattr(error, "operation_name", "") in _CREDENTIALS_OF:
        hint = _ROLE if code in _NOT_ALLOWED else _again(call)
        return CheckFailed(f"{call.failed}: no credentials could be obtained: {_message(error)} ({code})", hint=hint)
    if _is_about_keys(code, error):
        return _not_counting(error, code, now, call)
    if code in _NOT_ALLOWED:
        return not_authorised(error, call)
    if _is_server_fault(error, code):
        return _server_fault(error, call, code)
    return ApiError(f"{call.failed}: {_message(error)} ({code})", code=code, hint=_hint(code, error))


def _is_about_keys(code: str, error: Exception) -> bool:
    # EC2 also says AuthFailure of a single thing: "Not authorized for images: [ami-…]".
    return code in _SIGNATURE | _NO_TOKEN | _EXPIRED and "Not authorized for" not in _message(error)


def _not_counting(error: Exception, code: str, now: datetime, call: AwsCall) -> CheckFailed:
    """Return what is wrong with credentials: the clock, their age, or they themselves."""
    skew = _skew(error, now)
    if code in _SIGNATURE and skew is not None and abs(skew) > SKEW_ALLOWED:
        side = "behind" if skew > 0 else "ahead of"
        return CheckFailed(
            f"{call.failed}: this computer's clock is {_span(abs(skew))} {side} AWS's, which tolerates five minutes",
            hint="set the clock (`timedatectl set-ntp true`), then run the same command again",
        )
    if code in _EXPIRED:
        return CheckFailed(f"{call.failed}: the AWS credentials have expired ({code})", hint=_again(call))
    return CheckFailed(
        f"{call.failed}: AWS does not accept these credentials: {_message(error)} ({code})",
        hint="`aws sts get-caller-identity` must work; check that the keys are complete and active, and that the "
        "region is enabled for the account",
    )


def _skew(error: Exception, now: datetime) -> float | None:
    """Return by how many seconds AWS's clock is ahead of ours, as its answer tells."""
    headers = _response(error).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return (parsedate_to_datetime(headers["date"]) - now).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None


def _span(seconds: float) -> str:
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours" if seconds < 172800 else f"{seconds / 86400:.0f} days"


def _is_server_fault(error: Exception, code: str) -> bool:
    status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _THROTTLED or code.startswith(_DEFINITE):
        return False
    return int(status) >= 500 or code in {"InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable"}


def _server_fault(error: Exception, call: AwsCall, code: str) -> Unreachable:
    kind = Unsure if call.changes else Trouble
    return kind(f"{call.failed}: AWS has an internal error: {_message(error)} ({code})", hint=_SAME)


def plain(code: str) -> str:
    """Return a code without the side at fault (``Server.InternalError`` is ``InternalError``)."""
    return code.removeprefix("Server.").removeprefix("Client.")


def hint_of(code: str) -> str | None:
    """Return what mends a refusal with this code (``InvalidVpcID.NotFound``), None where that is not known."""
    return _HINTS.get(plain(code).partition(".")[0])


def _hint(code: str, error: Exception) -> str | None:
    if code in _THROTTLED:
        return "too many calls at once for this account: wait a minute, then run the same command again"
    if code == "OptInRequired":
        link = _LINK.search(_message(error))
        return f"accept the terms at {link[0].rstrip('.')}" if link else "subscribe to it in the AWS console first"
    return hint_of(code)


_ROLE = "allow these credentials to assume that role, or give another --aws-profile"
_SAME = "run the same command again: it continues where this one stopped"
_QUOTA = ": request an increase (Service Quotas in the AWS console), or remove what is not needed"
_NO_ROOM = "no capacity there now: give additional --aws-zone or --aws-instance-type, or try again later"
_NO_VOLUME = "no capacity for its disk there now: give additional --aws-zone, or another --aws-volume-type"
_OFFERINGS = "`aws ec2 describe-instance-type-offerings --location-type availability-zone` lists the zones of a type"
_GROUPS = "`aws ec2 describe-security-groups` lists the groups of the region"
_HINTS = {
    "VcpuLimitExceeded": "the quota of vCPUs for this family of types is used up" + _QUOTA,
    "InstanceLimitExceeded": "the account's quota of instances is used up" + _QUOTA,
    "MaxSpotInstanceCountExceeded": "the quota of spot instances is used up" + _QUOTA,
    "VolumeLimitExceeded": "the account's quota of EBS storage is used up" + _QUOTA,
    "SecurityGroupLimitExceeded": "the quota of security groups is used up: --aws-security-group names one",
    "RulesPerSecurityGroupLimitExceeded": "the security group has no room for further rules" + _QUOTA,
    "PendingVerification": "AWS still verifies this account for the region; it may take some hours",
    "AuthFailure": "its owner may not have shared it with this account",
    "Blocked": "AWS has blocked the account: open a case with its support",
    "InsufficientInstanceCapacity": _NO_ROOM,
    "InsufficientHostCapacity": _NO_ROOM,
    "InsufficientCapacityOnHost": _NO_ROOM,
    "InsufficientCapacity": _NO_ROOM,
    "InsufficientReservedInstanceCapacity": _NO_ROOM,
    "ReservationCapacityExceeded": _NO_ROOM,
    "InsufficientVolumeCapacity": _NO_VOLUME,
    "SpotInstanceTermination": _NO_ROOM,
    "Unsupported": _OFFERINGS,
    "InsufficientFreeAddressesInSubnet": "the subnet has no free addresses: give another --aws-subnet",
    "SpotMaxPriceTooLow": "raise --aws-spot-price or omit it",
    "InvalidInstanceType": "`aws ec2 describe-instance-types` lists the types of the region",
    "InvalidAMIID": "AMIs are of one region: give one of this region, or an alias such as ubuntu-24.04",
    "InvalidSubnetID": "`aws ec2 describe-subnets` lists the subnets of the region",
    "InvalidVpcID": "`aws ec2 describe-vpcs` lists the VPCs of the region",
    "InvalidGroup": _GROUPS,
    "InvalidGroupId": _GROUPS,
    "InvalidSecurityGroupID": _GROUPS,
    "InvalidKeyPair": "`aws ec2 describe-key-pairs` lists the key pairs of the region",
    "VPCIdNotSpecified": "give --aws-vpc or --aws-subnet, or `aws ec2 create-default-vpc`",
}  # fmt: skip


def _again(call: AwsCall) -> str:
    profile = f" --profile {call.profile}" if call.profile else ""
    return f"log in again (`aws sso login{profile}`, or new keys), then run the same command again"


def _no_keys(error: Exception, call: AwsCall) -> PymachineError:
    return CheckFailed(
        f"{call.failed}: no AWS credentials were found",
        hint="`aws configure` or `aws sso login`; or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or give "
        "--aws-profile",
    )


def _half_keys(error: Exception, call: AwsCall) -> PymachineError:
    return CheckFailed(f"{call.failed}: the AWS credentials are incomplete: {_line(error)}", hint="give all parts")


def _no_profile(error: Exception, call: AwsCall) -> PymachineError:
    return UsageFault(f"no AWS profile {call.profile!r}", hint="`aws configure list-profiles` lists them")


def _stale_keys(error: Exception, call: AwsCall) -> PymachineError:
    return CheckFailed(f"{call.failed}: the AWS login is missing or has expired: {_line(error)}", hint=_again(call))


def _unread_keys(error: Exception, call: AwsCall) -> PymachineError:
    return CheckFailed(
        f"{call.failed}: no credentials could be obtained: {_line(error)}",
        hint="`aws sts get-caller-identity` must work",
    )


def _bad_settings(error: Exception, call: AwsCall) -> PymachineError:
    return UsageFault(f"the AWS configuration cannot be used: {_line(error)}", hint="correct ~/.aws/config")


def _no_region(error: Exception, call: AwsCall) -> PymachineError:
    return UsageFault("no AWS region is given", hint="give --aws-region, or set AWS_DEFAULT_REGION")


def _bad_region(error: Exception, call: AwsCall) -> PymachineError:
    return UsageFault(f"--aws-region: {call.place!r} is not a valid region", hint="write it like eu-central-1")


def _bad_endpoint(error: Exception, call: AwsCall) -> PymachineError:
    return UsageFault(f"the endpoint URL cannot be used: {_line(error)}", hint="write it like https://host:port")


def _not_connected(error: Exception, call: AwsCall) -> PymachineError:
    return Unreachable(
        f"{call.failed}: {call.endpoint} cannot be reached: {_line(error)}",
        hint="check the network, DNS, proxy (HTTPS_PROXY), region and --aws-endpoint-url",
    )


def _not_trusted(error: Exception, call: AwsCall) -> PymachineError:
    return Unreachable(
        f"{call.failed}: no trusted connection to {call.endpoint}: {_line(error)}",
        hint="AWS_CA_BUNDLE names the certificates to trust, e.g. those of a company's proxy",
    )


def _cut_off(error: Exception, call: AwsCall) -> PymachineError:
    kind = Unsure if call.changes else Trouble
    return kind(f"{call.failed}: no answer from {call.endpoint}: {_line(error)}", hint=_SAME)


# In this order: botocore's ConnectTimeoutError is a ConnectionError as well, for one.
_KINDS = (
    (frozenset({"NoCredentialsError", "NoAuthTokenError"}), _no_keys),
    (frozenset({"PartialCredentialsError"}), _half_keys),
    (frozenset({"ProfileNotFound"}), _no_profile),
    (frozenset({"SSOError", "LoginError", "TokenRetrievalError", "RefreshWithMFAUnsupportedError"}), _stale_keys),
    (frozenset({"CredentialRetrievalError", "MetadataRetrievalError", "UnknownCredentialError"}), _unread_keys),
    (frozenset({"NoRegionError"}), _no_region),
    (frozenset({"InvalidRegionError"}), _bad_region),
    (frozenset({"SSLError", "ProxyConnectionError"}), _not_trusted),
    (frozenset({"EndpointConnectionError", "ConnectTimeoutError"}), _not_connected),
    (frozenset({"HTTPClientError", "IncompleteReadError", "ResponseParserError", "ConnectionError"}), _cut_off),
    (frozenset({"InvalidConfigError", "ConfigParseError", "ConfigNotFound"}), _bad_settings),
    (frozenset({"ValueError"}), _bad_endpoint),
)  # fmt: skip


def _kinds(error: Exception) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _response(error: Exception) -> dict[str, Any]:
    response = getattr(error, "response", None)
    return response if isinstance(response, dict) else {}


def _message(error: Exception) -> str:
    text = str(_response(error).get("Error", {}).get("Message", "")) or _line(error)
    return " ".join(text.split())


def _found(pattern: re.Pattern[str], error: Exception) -> str:
    match = pattern.search(_message(error))
    return match[1] if match else ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
