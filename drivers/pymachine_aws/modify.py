"""Changes the options of an existing instance: what EC2 can change, and for what it must be off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymachine.clock import Clock
from pymachine.driver import NOBODY, InPlaceUpdate, Listener
from pymachine.errors import CheckFailed, DriverError
from pymachine_aws import current_address, security_group, tags
from pymachine_aws.api import ApiError, AwsAccount
from pymachine_aws.config import Volume
from pymachine_aws.describe import Described
from pymachine_aws.handle import Ec2
from pymachine_aws.ingress import ports_of
from pymachine_aws.ingress_sources import sources_of
from pymachine_aws.instance_types import kinds_of
from pymachine_aws.parse_options import read_options
from pymachine_aws.security_group_rules import wanted_rules
from pymachine_aws.subnets import subnet_of

TYPE, SIZE = "aws_instance_type", "aws_root_size"
VOLUME = (SIZE, "aws_volume_type", "aws_volume_iops", "aws_volume_throughput")
TAG, HOPS, TOKENS = "aws_tag", "aws_metadata_hops", "aws_metadata_tokens"
ACCESS = ("aws_allow", "aws_open_port")
ALTERS: Mapping[str, str] = {
    **dict.fromkeys((TYPE, *VOLUME, TAG, HOPS, TOKENS, *ACCESS), "refit"),
    **dict.fromkeys(("aws_retries", "aws_checkip_url"), "record"),
}
RESHAPING = 600.0  # seconds until EBS has taken note of another size; seconds for most
PAUSE = 3.0
ANEW = "`pymachine apply --replace` makes another instance"


def needs_power_off(ec2: Ec2, change: InPlaceUpdate, account: AwsAccount | None = None) -> bool:
    """Return whether the instance has to be off: for another type, and for a larger disk, which grows at a boot.

    Raises ``CheckFailed`` for a type that it cannot become, a disk that would shrink, and a spot instance that would
    have to be stopped.
    """
    work = _Refit(ec2, change, account or AwsAccount.of(ec2))
    power_off = work.other_type() is not None or work.is_larger()
    if power_off and work.described.get("InstanceLifecycle") == "spot":
        raise CheckFailed(f"{ec2.instance} is a spot instance, which cannot be stopped to be changed", hint=ANEW)
    return power_off


def refit(
    ec2: Ec2,
    change: InPlaceUpdate,
    listener: Listener = NOBODY,
    *,
    account: AwsAccount | None = None,
    clock: Clock,
) -> None:
    """Make the change. Raises ``CheckFailed`` for an impossible type, ``DriverError`` if EC2 refuses."""
    _Refit(ec2, change, account or AwsAccount.of(ec2)).run(listener, clock)


class _Refit:
    """One change of one instance, which is looked at once, as its options are read once."""

    def __init__(self, ec2: Ec2, change: InPlaceUpdate, account: AwsAccount) -> None:
        self._ec2 = ec2
        self._account = account
        self._names = frozenset(change.names)
        self._engine_port = change.engine_port
        self._before, self._after = read_options(change.before), read_options(change.after)
        self.described = current_address.required(account, ec2)

    def run(self, listener: Listener, clock: Clock) -> None:
        self._retype(listener)
        if not self._names.isdisjoint(VOLUME):
            _reshape(self._account, _root_of(self.described), self._after.volume, clock)
        # Metadata cannot show every tag: it is told not to before such tags are there, or to once they are gone.
        steps = [self._retag, self._set_metadata]
        for step in steps if tags.visible(self._after.tags) else reversed(steps):
            step()
        if self._ec2.group and not self._names.isdisjoint(ACCESS):
            self._open(clock)
            listener.notice("its group is shared: what it allowed before is still allowed")

    def other_type(self) -> str | None:
        """Return the type that it is to become, None where it has one of those that are asked for."""
        types = self._after.types
        if TYPE not in self._names or self.described["InstanceType"] in types:
            return None
        zone, arch = str(self.described["Placement"]["AvailabilityZone"]), str(self.described["Architecture"])
        for kind in kinds_of(self._account, types, [zone]):
            if arch in kind.arches and kind.offered_in(zone):
                return kind.name
        raise CheckFailed(
            f"{self._ec2.instance} is {arch} in {zone}, and cannot become {' or '.join(types)}", hint=ANEW
        )

    def is_larger(self) -> bool:
        """Whether its disk is to grow. Raises ``CheckFailed`` for one that is to shrink."""
        before, after = self._before.volume.size, self._after.volume.size
        if SIZE in self._names and after < before:
            raise CheckFailed(f"the root disk cannot shrink from {before} to {after} GiB", hint=ANEW)
        return SIZE in self._names and after > before

    def _retype(self, listener: Listener) -> None:
        name = self.other_type()
        if name is not None:
            listener.progress(f"{self._ec2.instance} becomes {name}")
            self._change("modify_instance_attribute", InstanceType={"Value": name})

    def _set_metadata(self) -> None:
        """Set how far its metadata is let through, whether without a token, and whether it shows the tags."""
        if not self._names.isdisjoint((HOPS, TOKENS, TAG)):
            self._change(
                "modify_instance_metadata_options",
                HttpTokens=self._after.metadata_tokens,
                HttpPutResponseHopLimit=self._after.metadata_hops,
                InstanceMetadataTags="enabled" if tags.visible(self._after.tags) else "disabled",
            )

    def _retag(self) -> None:
        """Put the user's tags on what carries the machine's, and take off those that were and are not to be."""
        if TAG not in self._names:
            return
        things = _parts_of(self.described)
        put = {"Name": tags.read(self.described).get(tags.NAME, ""), **self._after.tags}
        gone = [{"Key": key} for key in self._before.tags if key not in put]
        self._account.change("create_tags", "tag the instance", Resources=things, Tags=tags.listed(put))
        if gone:
            self._account.change("delete_tags", "remove tags from the instance", Resources=things, Tags=gone)

    def _open(self, clock: Clock) -> None:
        sources = sources_of(self._after, subnet_of(self._account, str(self.described["SubnetId"])))
        rules = wanted_rules(ports_of(self._after, self._engine_port), sources)
        security_group.ensure(self._account, self._ec2.vpc, rules, clock)

    def _change(self, operation: str, **params: Any) -> None:
        instance = self._ec2.instance
        self._account.change(operation, f"change {instance}", InstanceId=instance, **params)


def _root_of(described: Described) -> str:
    """Return the id of the root volume."""
    for mapping in described.get("BlockDeviceMappings", ()):
        if mapping["DeviceName"] == described.get("RootDeviceName"):
            return str(mapping["Ebs"]["VolumeId"])
    raise DriverError(f"{described['InstanceId']} has no root volume that could be changed", hint=ANEW)


def _reshape(account: AwsAccount, volume: str, wanted: Volume, clock: Clock) -> None:
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
            f"EBS does not change {volume} again yet: {error.message}",
            hint="a volume can be changed once in six hours, after the last change is complete: then apply again",
        )
    return error


def _await_shape(account: AwsAccount, volume: str, clock: Clock) -> None:
    for _ in clock.ticks(RESHAPING, PAUSE):
        what, key = f"check the change of {volume}", "VolumesModifications"
        found = list(account.pages("describe_volumes_modifications", key, what, VolumeIds=[volume]))
        state = str(found[-1].get("ModificationState", "")) if found else ""
        if state in ("optimizing", "completed"):
            return
        if state == "failed":
            raise DriverError(f"EBS could not change {volume}: {found[-1].get('StatusMessage') or 'no reason given'}")
    raise DriverError(
        f"EBS has not changed {volume} within {RESHAPING:.0f} s", hint="apply again to continue waiting"
    )


def _parts_of(described: Described) -> Sequence[str]:
    volumes = [str(each["Ebs"]["VolumeId"]) for each in described.get("BlockDeviceMappings", ()) if "Ebs" in each]
    interfaces = [str(each["NetworkInterfaceId"]) for each in described.get("NetworkInterfaces", ())]
    return [str(described["InstanceId"]), *volumes, *interfaces]
