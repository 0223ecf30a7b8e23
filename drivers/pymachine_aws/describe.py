"""Looking for an instance until it runs, and what it then is to the core."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pymachine.clock import Clock, growing
from pymachine.driver import Instance
from pymachine.errors import DriverError, Unreachable
from pymachine.model import SshAddress
from pymachine_aws import tags
from pymachine_aws.api import ApiError, AwsAccount
from pymachine_aws.error_codes import NoRoom, explained_end, is_throttled, lacks_room
from pymachine_aws.errors import Trouble
from pymachine_aws.handle import Ec2

KEPT = ("pending", "running", "stopping", "stopped")
PATIENCE = 300.0  # seconds from pending to running; minutes for the largest types, seconds for most
ADDRESS_LAG = 20.0  # seconds that a public address may stay away after the instance runs
PAUSES = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0)  # seconds between tries of what AWS may not be ready for
PROMPT_PAUSES = (0.3, 0.6, 1.2, 2.0)  # the same where somebody waits for an answer; the last one again and again
SETTLING = 6.0  # seconds within which EC2 shows what it has made, nearly always

Described = Mapping[str, Any]
T = TypeVar("T")


def find_instance(account: AwsAccount, instance: str) -> Described | None:
    """Return what EC2 tells of an instance, None while or once it knows none.

    Asked by filter: an id that is not known yet would be an error.
    """
    found = describe_instances(account, {"instance-id": (instance,)})
    return found[0] if found else None


def find_machine(account: AwsAccount, machine_id: str, states: Sequence[str] = KEPT) -> list[Described]:
    """Return the instances in these states that were launched for a machine."""
    return describe_instances(account, {f"tag:{tags.ID}": (machine_id,), "instance-state-name": states})


def describe_instances(account: AwsAccount, filters: Mapping[str, Sequence[str]], **paging: int) -> list[Described]:
    """Return the instances that all filters let through; ``paging`` may say how many a page holds."""
    asked = [{"Name": name, "Values": list(values)} for name, values in filters.items()]
    reservations = account.pages("describe_instances", "Reservations", "look for instances", Filters=asked, **paging)
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def until_seen(find: Callable[[], T], clock: Clock) -> T:
    """Look again for some seconds where nothing shows: EC2 is slow to tell of what it has just made."""
    for _ in clock.ticks(SETTLING, 1.0):
        if found := find():
            break
    return found


def insist(change: Callable[[], object], clock: Clock) -> None:
    """Make a change that may be repeated, again where AWS does not answer, or not so fast."""
    for pause in PAUSES:
        try:
            change()
        except (ApiError, Unreachable) as error:
            if isinstance(error, ApiError) and not is_throttled(error):
                raise
            clock.sleep(spread(pause))
        else:
            return
    change()


def asked_within(seconds: float, ask: Callable[[], T], clock: Clock) -> T:
    """Ask, again while EC2 says that it is asked too much or has trouble of its own, for ``seconds`` at most.

    Raises as ``ask``; what it failed by last where it went on failing.
    """
    failure: ApiError | Trouble | None = None
    for _ in clock.ticks(seconds, map(spread, PROMPT_PAUSES)):
        try:
            return ask()
        except (ApiError, Trouble) as error:
            if isinstance(error, ApiError) and not is_throttled(error):
                raise
            failure = error
    assert failure is not None, "it was asked"
    raise failure


def spread(pause: float) -> float:
    """Return a pause of about this length: many who were throttled at once shall not come back at once."""
    return random.uniform(0.7, 1.3) * pause


def state_of(described: Described) -> str:
    """Return ``pending``, ``running`` and so on."""
    return str(described["State"]["Name"])


def wait_running(account: AwsAccount, ec2: Ec2, clock: Clock, progress: Callable[[str], None]) -> Described:
    """Wait until the instance runs and has the address by which it is used; at last without that.

    Raises ``NoRoom`` where EC2 found no place for it after all, ``DriverError`` where it ended otherwise, or
    does not run within ``PATIENCE``.
    """
    wait = _Wait(ec2)
    for passed in clock.ticks(PATIENCE, growing(2.0, 1.25, 5.0)):
        found = find_instance(account, ec2.instance)
        if found is not None and wait.is_over(found, passed):
            return found
        wait.tell(found, progress)
    raise DriverError(
        f"{ec2.instance} in {ec2.region} is not running after {PATIENCE:.0f} s",
        hint="run the create command again to continue; `pymachine rm` removes it",
    )


@dataclass
class _Wait:
    """Since when it runs, and what was told of it."""

    ec2: Ec2
    running_since: float | None = None
    told: str = ""

    def is_over(self, found: Described, passed: float) -> bool:
        state = state_of(found)
        if state in _ENDED:
            raise _end_of(self.ec2, found)
        if state != "running":
            return False
        self.running_since = passed if self.running_since is None else self.running_since
        return bool(address_of(self.ec2.address, found)) or passed - self.running_since >= ADDRESS_LAG

    def tell(self, found: Described | None, progress: Callable[[str], None]) -> None:
        state = state_of(found) if found else "not shown yet"
        if state != self.told:
            progress(f"{self.ec2.instance} is {state}")
        self.told = state


def _end_of(ec2: Ec2, found: Described) -> DriverError:
    """Return what the end of an instance means."""
    reason = found.get("StateReason") or {}
    code, text = str(reason.get("Code", "")), str(reason.get("Message", ""))
    said = text or str(found.get("StateTransitionReason", "")) or code or "EC2 does not say why"
    message = f"{ec2.instance} went {state_of(found)} instead of running: {said}"
    return NoRoom(message, code=code) if lacks_room(code) else DriverError(message, hint=explained_end(code))


def address_of(kind: str, described: Described) -> str:
    """Return the instance's address of a kind (``public``, ``private``, ``ipv6``), empty where it has none."""
    if kind == "ipv6":
        return next(iter(_ipv6(described)), "")
    return str(described.get(_FIELDS[kind], ""))


def addresses_of(described: Described) -> tuple[str, ...]:
    """Return every address and DNS name of an instance, each once."""
    values = (
        described.get("PrivateIpAddress"),
        described.get("PublicIpAddress"),
        *_ipv6(described),
        described.get("PrivateDnsName"),
        described.get("PublicDnsName"),
    )
    return tuple(dict.fromkeys(str(value) for value in values if value))


def instance_of(
    ec2: Ec2, described: Described, *, proxy: tuple[str, ...] = (), host_key: str | None = None
) -> Instance:
    """Return the core's description of a running instance.

    Raises ``DriverError`` where it has no address of the wanted kind.
    """
    host = address_of(ec2.address, described)
    if not host:
        raise DriverError(
            f"{ec2.instance} in {ec2.region} has no {_WORDS[ec2.address]} address", hint=_REMEDIES[ec2.address]
        )
    ssh = SshAddress(host, ec2.ssh_port, ec2.user, host_key=host_key, proxy=proxy)
    return Instance(ec2.handle(), ssh=ssh, addresses=addresses_of(described))


def _ipv6(described: Described) -> list[str]:
    interfaces = described.get("NetworkInterfaces", ())
    return [str(found["Ipv6Address"]) for interface in interfaces for found in interface.get("Ipv6Addresses", ())]


_ENDED = ("shutting-down", "terminated")
_FIELDS = {"public": "PublicIpAddress", "private": "PrivateIpAddress"}
_WORDS = {"public": "public IPv4", "private": "private IPv4", "ipv6": "IPv6"}
_REMEDIES = {
    "public": "its subnet assigns none: use another --aws-subnet, or --aws-address private",
    "private": "use --aws-address ipv6",
    "ipv6": "its subnet has no IPv6 block, or it was launched without --aws-ipv6: use --aws-address public",
}
