"""How instances are: one question to EC2 for all of a region, all regions at once, none of it past the deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pymachine.clock import REAL, Clock, Deadline
from pymachine.driver import Handle, Status
from pymachine.errors import DriverError, PymachineError
from pymachine.model import State
from pymachine.parallel import spread
from pymachine_aws import own_credentials, tags
from pymachine_aws.api import AwsAccount
from pymachine_aws.describe import Described, address_of, addresses_of, asked_within, describe_instances, state_of
from pymachine_aws.handle import Ec2
from pymachine_aws.own_credentials import Credentials

CHUNK = 200  # values that a filter takes (EC2 API Reference, Filter)
PAGE = 1000  # instances on a page, at most
TRIES = 2  # by boto3 itself; what is left of the time is for ours

RETRYING = 0.9  # of the deadline: after that nothing is asked again

Open = Callable[[Ec2, float], AwsAccount]
Place = tuple[str, str | None, str | None, Credentials | None]

_STATES = {
    "pending": State.STARTING,
    "running": State.RUNNING,
    "shutting-down": State.MISSING,
    "terminated": State.MISSING,
    "stopping": State.STOPPING,
    "stopped": State.STOPPED,
}
# Where several instances carry one machine's id, the one that is most alive is meant.
_LIVELIEST = ("running", "pending", "stopping", "stopped", "shutting-down", "terminated")


def account_of(ec2: Ec2, timeout: float) -> AwsAccount:
    """Return the account of an instance, for questions that must be answered soon."""
    return AwsAccount.of(ec2, retries=TRIES, timeout=timeout)


def inspect_all(
    machines: Sequence[Ec2], *, deadline: float, account: Open = account_of, clock: Clock = REAL
) -> list[Status]:
    """Return how each of the instances is, in their order, within ``deadline`` seconds.

    What a region does not answer, or refuses to, is the status of its instances and no error. One that is asked too
    much, by others of the account say, is asked again as long as there is time. ``clock`` is what they wait by.
    """
    limit, groups = Deadline(deadline), _by_place(machines)

    def ask(place: Place) -> _Found:
        return _Asking(groups[place], account, deadline, clock).answer()

    # A look-up of a name knows no deadline: a region that is late is left as it is.
    found = dict(spread(groups, ask, max(len(groups), 1), limit))
    return [_status_in(found.get(_place(ec2)), ec2, deadline) for ec2 in machines]


def inspect_handles(handles: Sequence[Handle], *, deadline: float, account: Open = account_of) -> list[Status]:
    """Do the same for records; one that is damaged is ``State.ERROR``."""
    read = [_read(handle) for handle in handles]
    machines = [each for each in read if isinstance(each, Ec2)]
    found = iter(inspect_all(machines, deadline=deadline, account=account))
    return [next(found) if isinstance(each, Ec2) else each for each in read]


def status_of(ec2: Ec2, described: Described) -> Status:
    """Return what EC2's description of an instance comes to."""
    state = state_of(described)
    text, detail = reason_of(described), ""
    if state in ("shutting-down", "terminated"):
        detail = f"{state}: {text}" if text else state
    elif state == "stopped" and end_code(described).startswith("Server."):
        detail = text  # EC2's doing, as where it takes spot capacity back; who stopped it otherwise knows why
    return Status(_STATES.get(state, State.UNKNOWN), _addresses(ec2, described), detail)


def end_code(described: Described) -> str:
    """Return EC2's code for why an instance is not running (``Server.SpotInstanceTermination``), or empty."""
    return str((described.get("StateReason") or {}).get("Code", ""))


def reason_of(described: Described) -> str:
    """Return why it is not, in EC2's words without the code that they begin with, or empty."""
    return str((described.get("StateReason") or {}).get("Message", "")).rpartition(": ")[2]


@dataclass(frozen=True, slots=True)
class _Found:
    """What a region answered: descriptions by instance, and by machine for those that know no instance yet."""

    instances: dict[str, Described]
    machines: dict[str, Described]

    def status(self, ec2: Ec2) -> Status:
        described = self.instances.get(ec2.instance) if ec2.instance else self.machines.get(ec2.id)
        if described is not None:
            return status_of(ec2, described)
        nothing = f"EC2 has no instance {ec2.instance}" if ec2.instance else "no instance was launched yet"
        return Status(State.MISSING, detail=nothing)


@dataclass(frozen=True, slots=True)
class _Asking:
    """The question for the instances of one place."""

    group: Sequence[Ec2]
    account: Open
    deadline: float
    clock: Clock

    def answer(self) -> _Found:
        # The last try needs time for its answer, or nobody hears why it failed.
        return asked_within(self.deadline * RETRYING, self._ask, self.clock)

    def _ask(self) -> _Found:
        account = self.account(self.group[0], self.deadline)
        instances = [ec2.instance for ec2 in self.group if ec2.instance]
        begun = [ec2.id for ec2 in self.group if not ec2.instance]
        by_id = {str(found["InstanceId"]): found for found in _described(account, "instance-id", instances)}
        launched = sorted(_described(account, f"tag:{tags.ID}", begun), key=_rank, reverse=True)
        return _Found(by_id, {tags.read(found)[tags.ID]: found for found in launched})


def _read(handle: Handle) -> Ec2 | Status:
    try:
        return Ec2.of(handle)
    except DriverError as error:
        return Status(State.ERROR, detail=error.message)


def _described(account: AwsAccount, name: str, values: Sequence[str]) -> Iterator[Described]:
    """Yield the instances that a filter lets through. Asked by id, one that is unknown would fail all of them."""
    for start in range(0, len(values), CHUNK):
        yield from describe_instances(account, {name: values[start : start + CHUNK]}, MaxResults=PAGE)


def _by_place(machines: Iterable[Ec2]) -> dict[Place, list[Ec2]]:
    groups: dict[Place, list[Ec2]] = {}
    for ec2 in machines:
        groups.setdefault(_place(ec2), []).append(ec2)
    return groups


def _place(ec2: Ec2) -> Place:
    return ec2.region, ec2.profile, ec2.endpoint_url, own_credentials.of(ec2.id)


def _status_in(answer: _Found | PymachineError | None, ec2: Ec2, deadline: float) -> Status:
    if answer is None:
        return Status(State.TIMEOUT, detail=f"EC2 of {ec2.region} did not answer within {deadline:g} s")
    if isinstance(answer, PymachineError):
        return Status(State.UNKNOWN, detail=answer.message)
    return answer.status(ec2)


def _rank(described: Described) -> int:
    state = state_of(described)
    return _LIVELIEST.index(state) if state in _LIVELIEST else len(_LIVELIEST)


def _addresses(ec2: Ec2, described: Described) -> tuple[str, ...]:
    """The address that the machine is used by, then all others."""
    used = address_of(ec2.address, described)
    return tuple(dict.fromkeys(address for address in (used, *addresses_of(described)) if address))
