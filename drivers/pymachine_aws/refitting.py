"""Other options for an instance that exists: what EC2 changes of it, and what it must be off for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymachine.driver import NOBODY, Listener, Refitting
from pymachine.errors import CheckFailed, DriverError
from pymachine_aws import groups, tags, whereabouts
from pymachine_aws.account import Account, ApiError
from pymachine_aws.handle import Ec2
from pymachine_aws.kinds import kinds_of
from pymachine_aws.openings import ports_of
from pymachine_aws.rules import wanted_rules
from pymachine_aws.sources import sources_of
from pymachine_aws.subnets import subnet_of
from pymachine_aws.waiting import Clock, Described
from pymachine_aws.wanted import Volume, Wanted
from pymachine_aws.wanting import read_options

TYPE, SIZE = "aws_instance_type", "aws_root_size"
VOLUME = (SIZE, "aws_volume_type", "aws_volume_iops", "aws_volume_throughput")
TAG, HOPS = "aws_tag", "aws_metadata_hops"
ACCESS = ("aws_allow", "aws_open_port")
ALTERS: Mapping[str, str] = {
    **dict.fromkeys((TYPE, *VOLUME, TAG, HOPS, *ACCESS), "refit"),
    **dict.fromkeys(("aws_retries", "aws_checkip_url"), "record"),
}
RESHAPING = 600.0  # seconds until EBS has taken note of another size; seconds for most
PAUSE = 3.0
ANEW = "`pymachine apply --replace` makes another instance"


def rests(ec2: Ec2, change: Refitting, account: Account | None = None) -> bool:
    """Return whether the instance has to be off: for another type, and for a larger disk, which grows at a boot.

    Raises ``CheckFailed`` for a type that it cannot become, a disk that would shrink, and a spot instance that would
    have to be stopped.
    """
    account = account or Account.of(ec2)
    described = whereabouts.required(account, ec2)
    wanted = read_options(change.after)
    resting = _other_type(account, described, wanted, change) is not None or _is_larger(change)
    if resting and described.get("InstanceLifecycle") == "spot":
        raise CheckFailed(f"{ec2.instance} is a spot instance, which cannot be stopped to be changed", hint=ANEW)
    return resting


def refit(
    ec2: Ec2, change: Refitting, listener: Listener = NOBODY, *, account: Account | None = None, clock: Clock
) -> None:
    """Make the change. Raises ``CheckFailed`` as ``rests``, ``DriverError`` for what EC2 refuses."""
    account = account or Account.of(ec2)
    described, wanted = whereabouts.required(account, ec2), read_options(change.after)
    name = _other_type(account, described, wanted, change)
    if name is not None:
        listener.progress(f"{ec2.instance} becomes {name}")
        _modify(account, ec2, InstanceType={"Value": name})
    if not set(VOLUME).isdisjoint(change.names):
        _reshape(account, _root_of(described), wanted.volume, clock)
    visible = tags.visible(wanted.tags)
    if not visible:  # before the tags that it cannot show are there, and else after they are gone
        _set_metadata(account, ec2, wanted, change, visible=False)
    if TAG in change.names:
        _retag(account, described, read_options(change.before).tags, wanted.tags)
    if visible:
        _set_metadata(account, ec2, wanted, change, visible=True)
    if ec2.group and not set(ACCESS).isdisjoint(change.names):
        _open(account, ec2, described, change, clock)
        listener.notice("its group is shared: what it let in before is still let in")


def _other_type(account: Account, described: Described, wanted: Wanted, change: Refitting) -> str | None:
    """Return the type that it is to become, None where it has one of those that are asked for."""
    if TYPE not in change.names or described["InstanceType"] in wanted.types:
        return None
    zone, arch = str(described["Placement"]["AvailabilityZone"]), str(described["Architecture"])
    for kind in kinds_of(account, wanted.types, [zone]):
        if arch in kind.arches and kind.offered_in(zone):
            return kind.name
    raise CheckFailed(
        f"{described['InstanceId']} is {arch} in {zone}, and cannot become {' or '.join(wanted.types)}",
        hint=ANEW,
    )


def _is_larger(change: Refitting) -> bool:
    if SIZE not in change.names:
        return False
    before, after = read_options(change.before).volume.size, read_options(change.after).volume.size
    if after < before:
        raise CheckFailed(f"the root disk cannot shrink from {before} to {after} GiB", hint=ANEW)
    return after > before


def _modify(account: Account, ec2: Ec2, **attribute: Any) -> None:
    account.change("modify_instance_attribute", f"change {ec2.instance}", InstanceId=ec2.instance, **attribute)


def _root_of(described: Described) -> str:
    """Return the id of the root volume."""
    for mapping in described.get("BlockDeviceMappings", ()):
        if mapping["DeviceName"] == described.get("RootDeviceName"):
            return str(mapping["Ebs"]["VolumeId"])
    raise DriverError(f"{described['InstanceId']} has no root volume that could be changed", hint=ANEW)


def _reshape(account: Account, volume: str, wanted: Volume, clock: Clock) -> None:
    """Have the volume become what it is not yet, and wait until EBS counts it so."""
    present = account.read("describe_volumes", f"look at {volume}", VolumeIds=[volume])["Volumes"][0]
    asked: dict[str, Any] = {
        "Size": wanted.size if wanted.size > present["Size"] else None,
        "VolumeType": wanted.kind,
        "Iops": wanted.iops,
        "Throughput": wanted.throughput,
    }
    changes = {key: value for key, value in asked.items() if value is not None and present.get(key) != value}
    if changes:
        try:
            account.change("modify_volume", f"change {volume}", VolumeId=volume, **changes)
        except ApiError as error:
            raise _explained(error, volume) from error
        _await_shape(account, volume, clock)


def _explained(error: ApiError, volume: str) -> DriverError:
    if error.code in ("VolumeModificationRateExceeded", "IncorrectModificationState"):
        return DriverError(
            f"EBS does not change {volume} again so soon: {error.message}",
            hint="a volume can be changed once in six hours, and after the last change is through: apply again then",
        )
    return error


def _await_shape(account: Account, volume: str, clock: Clock) -> None:
    end = clock.now() + RESHAPING
    while clock.now() < end:
        what, key = f"look at the change of {volume}", "VolumesModifications"
        found = list(account.pages("describe_volumes_modifications", key, what, VolumeIds=[volume]))
        state = str(found[-1].get("ModificationState", "")) if found else ""
        if state in ("optimizing", "completed"):
            return
        if state == "failed":
            raise DriverError(f"EBS could not change {volume}: {found[-1].get('StatusMessage') or 'it says not why'}")
        clock.sleep(PAUSE)
    raise DriverError(f"EBS has not changed {volume} within {RESHAPING:.0f} s", hint="apply again goes on waiting")


def _set_metadata(account: Account, ec2: Ec2, wanted: Wanted, change: Refitting, *, visible: bool) -> None:
    """Set how far its metadata is let through, and whether it shows the tags."""
    if {HOPS, TAG}.isdisjoint(change.names):
        return
    account.change(
        "modify_instance_metadata_options",
        f"change {ec2.instance}",
        InstanceId=ec2.instance,
        HttpTokens="required",
        HttpPutResponseHopLimit=wanted.metadata_hops,
        InstanceMetadataTags="enabled" if visible else "disabled",
    )


def _retag(account: Account, described: Described, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Put the user's tags on what carries the machine's, and take off those that were and are not to be."""
    things = _parts_of(described)
    own = tags.read(described)
    put = {"Name": own.get(tags.NAME, ""), **after}
    gone = [{"Key": key} for key in before if key not in put]
    account.change("create_tags", "tag the instance", Resources=things, Tags=tags.listed(put))
    if gone:
        account.change("delete_tags", "take tags off the instance", Resources=things, Tags=gone)


def _parts_of(described: Described) -> Sequence[str]:
    volumes = [str(each["Ebs"]["VolumeId"]) for each in described.get("BlockDeviceMappings", ()) if "Ebs" in each]
    interfaces = [str(each["NetworkInterfaceId"]) for each in described.get("NetworkInterfaces", ())]
    return [str(described["InstanceId"]), *volumes, *interfaces]


def _open(account: Account, ec2: Ec2, described: Described, change: Refitting, clock: Clock) -> None:
    wanted = read_options(change.after)
    sources = sources_of(wanted, subnet_of(account, str(described["SubnetId"])))
    groups.ensure(account, ec2.vpc, wanted_rules(ports_of(wanted, change.engine_port), sources), clock)
