"""Removing: every instance of the machine, its spot requests and key pair, and our group with the last machine."""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import partial

from pymachine.clock import Clock, growing
from pymachine.errors import DriverError
from pymachine_aws import describe, key_pairs, security_group, tags
from pymachine_aws.api import ApiError, AwsAccount
from pymachine_aws.describe import Described
from pymachine_aws.error_codes import INSTANCE_GONE
from pymachine_aws.handle import Ec2
from pymachine_aws.identity import refuse_another_account

ENDING = 300.0  # seconds from shutting-down to terminated; a minute for most
PROTECTED = "OperationNotPermitted"


def remove(ec2: Ec2, account: AwsAccount | None = None, clock: Clock | None = None) -> None:
    """Remove what was made for the machine; what is gone already is passed over, what others made stays.

    Waits for the end of its instances only where our security group is to go with them: EC2 keeps it as long as
    they have it. Raises ``DriverError`` for an instance that is protected, or does not end in time.
    """
    if not ec2.adopted:
        _Removal(ec2, account or AwsAccount.of(ec2), clock or Clock()).run()


def terminate(account: AwsAccount, instance: str) -> None:
    """Terminate one instance, unless it is gone."""
    try:
        account.change("terminate_instances", f"terminate {instance}", InstanceIds=[instance])
    except ApiError as error:
        if error.code == PROTECTED:
            raise protected(instance, account.region) from error
        if error.code not in INSTANCE_GONE:
            raise


class _Removal:
    def __init__(self, ec2: Ec2, account: AwsAccount, clock: Clock) -> None:
        self._ec2 = ec2
        self._account = account
        self._clock = clock

    def run(self) -> None:
        instances = self._instances()
        if not instances:
            refuse_another_account(self._account, self._ec2)
        self._cancel_spot_requests()
        self._terminate([each["InstanceId"] for each in instances if describe.state_of(each) in describe.KEPT])
        if self._ec2.key_pair:
            key_pairs.remove(self._account, self._ec2.key_pair, self._clock)
        if self._ec2.vpc:
            for vpc in dict.fromkeys((self._ec2.vpc, *(each["VpcId"] for each in instances if "VpcId" in each))):
                self._leave(vpc, {each["InstanceId"] for each in instances})

    def _instances(self) -> list[Described]:
        """Return the machine's instances in every state, those as well that EC2 does not show at the first look."""
        asked_for = bool(self._ec2.token or self._ec2.instance)
        return describe.until_seen(self._described, self._clock) if asked_for else self._described()

    def _described(self) -> list[Described]:
        found = describe.describe_instances(self._account, {f"tag:{tags.ID}": (self._ec2.id,)})
        if self._ec2.instance and self._ec2.instance not in [each["InstanceId"] for each in found]:
            found += describe.describe_instances(self._account, {"instance-id": (self._ec2.instance,)})
        return found

    def _terminate(self, ids: Sequence[str]) -> None:
        for instance in ids:  # one by one: a single one that is protected would keep all of them
            describe.insist(partial(terminate, self._account, instance), self._clock)

    def _cancel_spot_requests(self) -> None:
        """Cancel what could still launch an instance: a request that is open lives on without one."""
        if self._ec2.market != "spot":
            return
        filters = [
            {"Name": f"tag:{tags.ID}", "Values": [self._ec2.id]},
            {"Name": "state", "Values": ["open", "active"]},
        ]
        what = "look for spot requests"
        key = "SpotInstanceRequests"
        found = self._account.pages("describe_spot_instance_requests", key, what, Filters=filters)
        ids = [each["SpotInstanceRequestId"] for each in found]
        if ids:
            cancel, what = "cancel_spot_instance_requests", "cancel the spot request"
            describe.insist(lambda: self._account.change(cancel, what, SpotInstanceRequestIds=ids), self._clock)

    def _leave(self, vpc: str, own: Set[str]) -> None:
        """Give up our group of the VPC. Of several who leave at once, the last to look deletes it."""
        group = describe.until_seen(lambda: security_group.find(self._account, vpc), self._clock)
        if group and {each["InstanceId"] for each in security_group.users(self._account, group["GroupId"])} <= own:
            self._wait_for_the_end()
            security_group.delete_unused(self._account, vpc, self._clock)

    def _wait_for_the_end(self) -> None:
        for _ in self._clock.ticks(ENDING, growing(2.0, 1.25, 5.0)):
            left = [each["InstanceId"] for each in self._described() if describe.state_of(each) != "terminated"]
            if not left:
                return
        raise DriverError(
            f"{', '.join(left)} is still shutting down after {ENDING:.0f} s, and uses pymachine's security group",
            hint="run `rm` again later to remove the group as well",
        )


def protected(instance: str, region: str) -> DriverError:
    """Return the error for an instance that may not be terminated, with what lifts that."""
    return DriverError(
        f"{instance} is protected against termination",
        hint=f"`aws ec2 modify-instance-attribute --region {region} --instance-id {instance} "
        "--no-disable-api-termination` disables that, then remove the machine again",
    )
