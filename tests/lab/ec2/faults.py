"""Faults that the test EC2 shows on request: refusals, silence, lost replies, and calls held for a kill."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["error", "drop", "hang", "hold", "kill"]
When = Literal["before", "after"]
HOLD_LIMIT = 120.0  # seconds after which a held call goes on by itself


@dataclass(frozen=True)
class Fault:
    """One fault and the calls it befalls.

    kind: ``error`` answers with code, message and status; ``drop`` closes the connection without an answer; ``hang``
    waits for ``seconds`` and goes on; ``hold`` waits until released, and performs nothing for a caller that ended
    before; ``kill`` ends process ``pid`` with SIGKILL.
    when: ``before`` the call is performed (an error or a drop then means it never was), or ``after``.
    action: which calls count, ``*`` for all. nth: the first of them that is hit, counted from the injection.
    times: how many in a row. region: calls elsewhere do not count. call: instead of nth, the number of a call since
    the last reset, of any action.
    """

    kind: Kind
    when: When = "before"
    action: str = "*"
    nth: int = 1
    times: int = 1
    region: str = ""
    call: int | None = None
    code: str = "InternalError"
    message: str = "An internal error has occurred"
    status: int = 500
    seconds: float = 0.0
    pid: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def error_before(code: str, message: str = "", status: int = 400, **where: Any) -> Fault:
    """Refuse without performing; ``where`` is action, nth, times, region or call."""
    return Fault("error", "before", code=code, message=message or code, status=status, **where)


def error_after(code: str = "InternalError", message: str = "", status: int = 500, **where: Any) -> Fault:
    """Perform, then answer that it failed."""
    return Fault("error", "after", code=code, message=message or code, status=status, **where)


def dropped_after(**where: Any) -> Fault:
    """Perform, then close the connection without an answer."""
    return Fault("drop", "after", **where)


def dropped_before(**where: Any) -> Fault:
    """Close the connection without performing."""
    return Fault("drop", "before", **where)


def hang(seconds: float, when: When = "before", **where: Any) -> Fault:
    """Be slow."""
    return Fault("hang", when, seconds=seconds, **where)


def hold(when: When, **where: Any) -> Fault:
    """Keep the caller waiting until the test releases it."""
    return Fault("hold", when, **where)


def kill(pid: int, when: When, **where: Any) -> Fault:
    """Kill the caller."""
    return Fault("kill", when, pid=pid, **where)


def throttled(**where: Any) -> Fault:
    """Too many requests."""
    return error_before("RequestLimitExceeded", "Request limit exceeded.", 503, **where)


def no_capacity(kind: str = "t3.small", zone: str = "us-east-1a", **where: Any) -> Fault:
    """No machine of this type in this zone now."""
    told = f"We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone})."
    return error_before("InsufficientInstanceCapacity", told, 500, **{"action": "RunInstances", **where})


def profile_not_there_yet(name: str, **where: Any) -> Fault:
    """A new instance profile that EC2 has not heard of."""
    told = f"Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
    return error_before("InvalidParameterValue", told, 400, **{"action": "RunInstances", **where})


def over_quota(**where: Any) -> Fault:
    """The account's limit of virtual CPUs is reached."""
    told = (
        "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket "
        "that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to "
        "request an adjustment to this limit."
    )
    return error_before("VcpuLimitExceeded", told, 400, **{"action": "RunInstances", **where})


def unauthorized(encoded: str = "lab-denied", **where: Any) -> Fault:
    """A policy says no; DecodeAuthorizationMessage explains a message that starts with ``lab-``."""
    told = f"You are not authorized to perform this operation. Encoded authorization failure message: {encoded}"
    return error_before("UnauthorizedOperation", told, 403, **where)


def expired_token(**where: Any) -> Fault:
    """Temporary credentials ran out."""
    return error_before("ExpiredToken", "The security token included in the request is expired", 400, **where)


def request_expired(**where: Any) -> Fault:
    """The same as EC2 words it, also for a clock that is slow."""
    return error_before("RequestExpired", "Request has expired.", 400, **where)


def clock_skew(**where: Any) -> Fault:
    """The caller's clock is wrong, or its secret key is."""
    told = "AWS was not able to validate the provided access credentials"
    return error_before("AuthFailure", told, 401, **where)


class Armed:
    """An injected fault with its count of calls."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.met = 0

    def hits(self, action: str, number: int) -> bool:
        """Count a call and say whether this one is hit."""
        fault = self.fault
        if fault.call is not None:
            return fault.call <= number < fault.call + fault.times
        if fault.action not in ("*", action):
            return False
        self.met += 1
        return fault.nth <= self.met < fault.nth + fault.times


class Faults:
    """All injected faults, and the calls being held."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Armed] = []
        self._held: dict[int, tuple[dict[str, Any], threading.Event]] = {}

    def clear(self) -> None:
        """Forget all faults and let every held call go on."""
        with self._lock:
            self._armed.clear()
        self.release()

    def inject(self, fault: Fault) -> None:
        """Add one."""
        with self._lock:
            self._armed.append(Armed(fault))

    def befalling(self, action: str, number: int, region: str) -> list[Fault]:
        """The faults of one call, which is thereby counted."""
        with self._lock:
            there = [armed for armed in self._armed if armed.fault.region in ("", region)]
            return [armed.fault for armed in there if armed.hits(action, number)]

    def wait_held(self, shown: dict[str, Any]) -> None:
        """Hold a call until it is released."""
        event = threading.Event()
        with self._lock:
            self._held[id(event)] = (shown, event)
        event.wait(HOLD_LIMIT)
        with self._lock:
            self._held.pop(id(event), None)

    def held(self) -> list[dict[str, Any]]:
        """The calls that are waiting: number, action and when."""
        with self._lock:
            return [shown for shown, _ in self._held.values()]

    def release(self) -> None:
        """Let them go on, and hold no more."""
        with self._lock:
            self._armed = [armed for armed in self._armed if armed.fault.kind != "hold"]
            for _, event in self._held.values():
                event.set()
