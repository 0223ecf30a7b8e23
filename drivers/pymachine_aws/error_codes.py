"""EC2's error codes of failed launches, and their consequences, in one table."""

from __future__ import annotations

from enum import Enum

from pymachine.errors import DriverError
from pymachine_aws.api import ApiError
from pymachine_aws.errors import hint_of, plain
from pymachine_aws.site import Attempt


class RefusalScope(Enum):
    """The scope of a refusal: what need not be tried after it."""

    PLACE = "this type in this zone"
    SUBNET = "any type in this subnet"
    QUOTA = "this type in this market, in whatever zone"


class NoRoom(DriverError):
    """There is no capacity for an instance there and now; another zone, type or market may have some.

    ``code`` is EC2's code; the hint says what to do.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message, hint=hint_of(code))
        self.code = code

    @property
    def reach(self) -> RefusalScope:
        """How far it reaches."""
        return _NO_ROOM.get(plain(self.code), RefusalScope.PLACE)

    def rules_out(self, tried: Attempt, other: Attempt) -> bool:
        """Whether ``other`` would be refused as well, after ``tried`` was."""
        if self.reach is RefusalScope.QUOTA:
            return (other.type, other.market) == (tried.type, tried.market)
        return self.reach is RefusalScope.SUBNET and other.subnet.id == tried.subnet.id


_NO_ROOM = {
    "InsufficientInstanceCapacity": RefusalScope.PLACE,
    "InsufficientHostCapacity": RefusalScope.PLACE,
    "InsufficientCapacityOnHost": RefusalScope.PLACE,
    "InsufficientReservedInstanceCapacity": RefusalScope.PLACE,
    "ReservationCapacityExceeded": RefusalScope.PLACE,
    "InsufficientCapacity": RefusalScope.PLACE,
    "InsufficientVolumeCapacity": RefusalScope.PLACE,
    "Unsupported": RefusalScope.PLACE,
    "SpotMaxPriceTooLow": RefusalScope.PLACE,
    "SpotInstanceTermination": RefusalScope.PLACE,
    "InsufficientFreeAddressesInSubnet": RefusalScope.SUBNET,
    # Quotas are of a region: another family of types, or the other market, has one of its own.
    "VcpuLimitExceeded": RefusalScope.QUOTA,
    "InstanceLimitExceeded": RefusalScope.QUOTA,
    "MaxSpotInstanceCountExceeded": RefusalScope.QUOTA,
}
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
    "VolumeLimitExceeded": "the account's quota of EBS storage is used up: request an increase, or remove volumes",
    "Client.InternalError": "usually a KMS key that EC2 may not use: see --aws-kms-key and the key's policy",
    "InvalidSnapshot.NotFound": "the image's snapshot is gone or not shared with you: take another --aws-image",
    "UserInitiatedShutdown": "it was terminated; run the create command again to launch another one",
    "InstanceInitiatedShutdown": "it shut itself down: its console output may say why",
}


def lacks_room(code: str) -> bool:
    """Whether another zone, type or market may work: see ``NoRoom.rules_out``."""
    return plain(code) in _NO_ROOM


def is_quota(code: str) -> bool:
    """Whether a quota of the account is used up, so that waiting does not help."""
    return _NO_ROOM.get(plain(code)) is RefusalScope.QUOTA


def is_throttled(error: ApiError) -> bool:
    """Whether a call was throttled."""
    return error.code in _THROTTLED


def is_lagging(error: ApiError) -> bool:
    """Whether a part of AWS does not know yet what was made a moment ago."""
    profile = error.code == "InvalidParameterValue" and "iaminstanceprofile" in error.message.lower()
    return profile or error.code in _LAGGING


def explained_end(
    code: str, again: str = "run the create command again to retry; `pymachine rm` removes what is left"
) -> str:
    """Return a hint for an instance that ended with this reason; ``again`` if the reason is unknown."""
    return _ENDS.get(code) or _ENDS.get(plain(code), again)
