"""Finds resources with pymachine's tags that no machine needs, and that cost money or block others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pymachine.clock import Clock
from pymachine.driver import Handle, Leftover, Search
from pymachine.errors import DriverError, PymachineError, UsageFault
from pymachine.parallel import spread
from pymachine_aws import security_group, tags
from pymachine_aws.api import ApiError, AwsAccount
from pymachine_aws.config import LaunchConfig
from pymachine_aws.describe import KEPT, Described, describe_instances, insist, state_of
from pymachine_aws.error_codes import IN_USE
from pymachine_aws.parse_options import read_options
from pymachine_aws.placement import account_of
from pymachine_aws.remove import PROTECTED, protected

RELEASE = 180.0  # seconds that a group may still be held by instances that are on their way out
PAUSE = 3.0

EVERYWHERE = "all"
REGIONS_AT_ONCE = 8

Open = Callable[[LaunchConfig], AwsAccount]

INSTANCE, VOLUME, KEY_PAIR, GROUP = "instance", "volume", "key pair", "security group"


def find(search: Search, account: Open = account_of, now: datetime | None = None) -> list[Leftover]:
    """List what is left, in the order in which it is to be removed.

    Looks in the region of the options and in those of the machines that are known; with the region ``all`` in every
    one that the account has. What cannot be asked besides the first is noticed, and the rest goes on.

    A machine whose create is under way is left out, be it begun after ``search`` was put together. Our security
    group belongs to no store: it is left once nothing but leftovers has it, and is ours where these are. Raises as
    ``AwsAccount``.
    """
    options, began = search.options, now or datetime.now(UTC)
    if options.aws_access_key:
        raise UsageFault(
            "gc uses the credentials that boto3 finds", hint="export AWS_ACCESS_KEY_ID, or --aws-profile"
        )
    everywhere = options.aws_region == EVERYWHERE  # a region only here
    wanted = read_options(replace(options, aws_region=None) if everywhere else options)
    places = _places(search, wanted, account, everywhere=everywhere)
    looks = [_RegionSearch(search, place, began) for place in places]
    answers = dict(spread(range(len(looks)), lambda number: looks[number].everything(), REGIONS_AT_ONCE))
    found: list[Leftover] = []
    for number, region in enumerate(looks):
        answer = answers[number]
        if not isinstance(answer, PymachineError):
            found += answer
        elif number == 0:
            raise answer
        else:
            search.notice(f"not searched {region.place.account.region}: {answer.message}")
    return found


def discard(leftover: Leftover, account: AwsAccount | None = None, clock: Clock | None = None) -> None:
    """Remove one; it is not an error if it is already gone.

    Raises ``DriverError`` for a protected instance, or a group that is still in use.
    """
    place = dict(leftover.handle)
    account = account or AwsAccount(place["region"], profile=place["profile"], endpoint_url=place["endpoint_url"])
    _Discarding(account, clock or Clock()).discard(leftover)


@dataclass(frozen=True, slots=True)
class _Place:
    account: AwsAccount
    handle: Handle


@dataclass(frozen=True, slots=True)
class _RegionSearch:
    """One search of one region. ``began`` is when it did."""

    search: Search
    place: _Place
    began: datetime

    def everything(self) -> list[Leftover]:
        instances = list(self.instances())
        return [*instances, *self.volumes(), *self.key_pairs(), *self.groups(instances)]

    def instances(self) -> Iterator[Leftover]:
        for found in describe_instances(self.place.account, {"tag-key": (tags.ID,), "instance-state-name": KEPT}):
            instance = str(found["InstanceId"])
            if self._is_needed(tags.read(found)[tags.ID], instance) or self._is_later(found["LaunchTime"]):
                continue
            zone = found.get("Placement", {}).get("AvailabilityZone", "")
            detail = f"{found['InstanceType']} in {zone}, {state_of(found)}"
            yield self._leftover(INSTANCE, instance, found, detail, found["LaunchTime"])

    def volumes(self) -> Iterator[Leftover]:
        for found in self._all("describe_volumes", "Volumes", tags.ID, status="available"):
            detail = f"{found['Size']} GiB, {found['VolumeType']} in {found['AvailabilityZone']}"
            yield from self._unless_known(VOLUME, str(found["VolumeId"]), found, detail)

    def key_pairs(self) -> Iterator[Leftover]:
        for found in self._all("describe_key_pairs", "KeyPairs", tags.ID):
            # By name, as all the world has it: the id came later, and not every endpoint takes it.
            yield from self._unless_known(KEY_PAIR, str(found["KeyName"]), found, str(found["KeyPairId"]))

    def groups(self, instances: list[Leftover]) -> Iterator[Leftover]:
        going = {leftover.id: leftover.ours for leftover in instances}
        for found in self._all("describe_security_groups", "SecurityGroups", tags.GROUP):
            group = str(found["GroupId"])
            users = {str(user["InstanceId"]) for user in security_group.users(self.place.account, group)}
            if users <= going.keys() and not any(_may_need(handle, found) for handle in self.search.known.values()):
                left = self._leftover(GROUP, group, found, f"of {found['VpcId']}", None)
                yield replace(left, ours=all(going[user] for user in users))

    def _all(self, operation: str, key: str, tag: str, **filters: str) -> Iterator[Described]:
        asked = {"tag-key": tag, **filters}
        what = f"search for leftovers ({operation})"
        return self.place.account.pages(
            operation, key, what, Filters=[{"Name": name, "Values": [value]} for name, value in asked.items()]
        )

    def _unless_known(self, kind: str, name: str, found: Described, detail: str) -> Iterator[Leftover]:
        created = found.get("CreateTime")
        if tags.read(found)[tags.ID] not in self.search.known and not (created and self._is_later(created)):
            yield self._leftover(kind, name, found, detail, created)

    def _is_needed(self, machine: str, instance: str) -> bool:
        """Whether it is a machine's own, or may become so: one that knows no instance yet may own this one.

        An instance of a store that is lost may have been adopted: then it is its own under another id.
        """
        known = self.search.known
        begun = machine in known and not known[machine].get("instance")
        return begun or any(handle.get("instance") == instance for handle in known.values())

    def _is_later(self, created: datetime) -> bool:
        return created > self.began

    def _leftover(self, kind: str, name: str, found: Described, detail: str, created: datetime | None) -> Leftover:
        carried = tags.read(found)
        return Leftover(
            kind=kind,
            id=name,
            name=carried.get(tags.NAME) or carried.get("Name", ""),
            place=self.place.account.region,
            created=created.astimezone(UTC).isoformat(timespec="seconds") if created else "",
            detail=detail,
            ours=carried.get(tags.STORE) == self.search.owner,
            handle=self.place.handle,
        )


@dataclass(frozen=True, slots=True)
class _Discarding:
    account: AwsAccount
    clock: Clock

    def discard(self, leftover: Leftover) -> None:
        doing: dict[str, tuple[str, dict[str, Any]]] = {
            INSTANCE: ("terminate_instances", {"InstanceIds": [leftover.id]}),
            VOLUME: ("delete_volume", {"VolumeId": leftover.id}),
            KEY_PAIR: ("delete_key_pair", {"KeyName": leftover.id}),
            GROUP: ("delete_security_group", {"GroupId": leftover.id}),
        }
        operation, params = doing[leftover.kind]
        what = f"remove the {leftover.kind} {leftover.id}"
        self._insist(leftover, lambda: self.account.change(operation, what, **params))

    def _insist(self, leftover: Leftover, remove: Callable[[], object]) -> None:
        """Remove, again while something that is on its way out still holds it."""
        failure: ApiError | None = None
        for _ in self.clock.ticks(RELEASE, PAUSE):
            try:
                return insist(remove, self.clock)
            except ApiError as error:
                if _is_gone(error):
                    return None
                if leftover.kind != GROUP or error.code not in IN_USE:
                    raise _explained(error, leftover) from error
                failure = error
        assert failure is not None, "it was tried"
        raise _explained(failure, leftover) from failure


def _may_need(handle: Handle, group: Described) -> bool:
    """Whether a machine has our group of a VPC on record, or is about to."""
    return handle.get("group") == group["GroupId"] or (
        handle.get("vpc") == group["VpcId"] and not handle.get("group")
    )


def _is_gone(error: ApiError) -> bool:
    return error.code.endswith(".NotFound")


def _explained(error: ApiError, leftover: Leftover) -> DriverError:
    return protected(leftover.id, leftover.place) if error.code == PROTECTED else error


def _places(search: Search, wanted: LaunchConfig, account: Open, *, everywhere: bool) -> list[_Place]:
    """Return where to look: where the user says, then the rest."""
    at_home = account(wanted)
    if at_home.is_tied:
        return [_place(at_home, wanted)]
    if everywhere:
        found = at_home.read("describe_regions", "list the regions").get("Regions", ())
        regions = sorted(str(each["RegionName"]) for each in found)
    else:
        regions = [str(handle["region"]) for handle in search.known.values() if handle.get("region")]
    others = [account(replace(wanted, region=name)) for name in dict.fromkeys(regions) if name != at_home.region]
    return [_place(one, wanted) for one in (at_home, *others)]


def _place(account: AwsAccount, wanted: LaunchConfig) -> _Place:
    handle: Mapping[str, Any] = {
        "region": account.region,
        "profile": wanted.profile,
        "endpoint_url": wanted.endpoint_url,
    }
    return _Place(account, handle)
