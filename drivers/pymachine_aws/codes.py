"""EC2's words for why a launch did not work, and what each is worth: one table for all who launch."""

from __future__ import annotations

from pymachine.errors import DriverError
from pymachine_aws.account import ApiError


class NoRoom(DriverError):
    """There is no room for an instance there and now: another zone, type or market may have some."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


_NO_ROOM = frozenset({
    "InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientReservedInstanceCapacity",
    "InsufficientCapacity", "InsufficientFreeAddressesInSubnet", "InsufficientVolumeCapacity", "Unsupported",
    "SpotMaxPriceTooLow", "MaxSpotInstanceCountExceeded", "SpotInstanceTermination",
})  # fmt: skip
_THROTTLED = frozenset({
    "RequestLimitExceeded", "EC2ThrottledException", "Throttling", "ThrottlingException", "ThrottledException",
    "RequestThrottled", "RequestThrottledException", "TooManyRequestsException", "PriorRequestNotComplete",
    "BandwidthLimitExceeded", "SlowDown",
})  # fmt: skip
_LAGGING = frozenset({
    "InvalidKeyPair.NotFound", "InvalidSubnetID.NotFound", "InvalidAMIID.NotFound", "InvalidInstanceID.NotFound",
    "NoSuchEntity",
})  # fmt: skip

IN_USE = frozenset({"DependencyViolation", "InvalidGroup.InUse", "ResourceInUse"})
GROUP_GONE = frozenset({"InvalidGroup.NotFound", "InvalidGroupId.NotFound", "InvalidSecurityGroupID.NotFound"})
INSTANCE_GONE = frozenset({"InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"})
TOKEN_USED_UP = "IdempotentInstanceTerminated"
TOKEN_OF_ANOTHER = "IdempotentParameterMismatch"

# StateReason codes of instances that ended before they ran (EC2 User Guide, troubleshooting launches; AWS names no
# cause for an internal error, which is a KMS key that EC2 may not use in most cases).
_ENDS = {
    "VolumeLimitExceeded": "the account's quota of EBS storage is used up: ask for more, or remove volumes",
    "Client.InternalError": "usually a KMS key that EC2 may not use: see --aws-kms-key and the key's policy",
    "InvalidSnapshot.NotFound": "the image's snapshot is gone or not shared with you: take another --aws-image",
    "UserInitiatedShutdown": "somebody terminated it; the same create makes another one",
    "InstanceInitiatedShutdown": "it shut itself down: its console output may say why",
}


def plain(code: str) -> str:
    """Return a code without the side at fault (``Server.InternalError`` is ``InternalError``)."""
    return code.removeprefix("Server.").removeprefix("Client.")


def lacks_room(code: str) -> bool:
    """Whether another zone, type or market may do."""
    return plain(code) in _NO_ROOM


def is_throttled(error: ApiError) -> bool:
    """Whether a call was too much just now."""
    return error.code in _THROTTLED


def is_lagging(error: ApiError) -> bool:
    """Whether AWS does not know everywhere yet what was made, or seen, a moment ago."""
    profile = error.code == "InvalidParameterValue" and "iaminstanceprofile" in error.message.lower()
    return profile or error.code in _LAGGING


def explained_end(code: str, again: str = "the same create tries again; `pymachine rm` removes what is left") -> str:
    """Return what to do about an instance that ended with this reason; ``again`` where that tells nothing."""
    return _ENDS.get(code) or _ENDS.get(plain(code), again)
