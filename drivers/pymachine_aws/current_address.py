"""The current address of an instance."""

from __future__ import annotations

from pymachine.driver import Instance
from pymachine.errors import DriverError
from pymachine_aws.api import AwsAccount
from pymachine_aws.describe import Described, find_instance, instance_of, state_of
from pymachine_aws.handle import Ec2
from pymachine_aws.ssh_proxy import proxy_words


def find(ec2: Ec2, account: AwsAccount | None = None) -> Instance:
    """Return the instance with its current addresses. Raises ``DriverError`` if it does not run."""
    described = required(account or AwsAccount.of(ec2), ec2)
    state = state_of(described)
    if state != "running":
        raise DriverError(f"{ec2.instance} in {ec2.region} is {state}, so it has no address", hint=_HINTS.get(state))
    return instance_of(ec2, described, proxy=proxy_words(ec2))


def required(account: AwsAccount, ec2: Ec2) -> Described:
    """Return EC2's description of the instance. Raises ``DriverError`` if there is none yet, or none any more."""
    if not ec2.instance:
        raise DriverError("there is no instance yet", hint="run the machine's create command again to continue it")
    found = find_instance(account, ec2.instance)
    if found is None:
        raise DriverError(f"EC2 has no instance {ec2.instance} in {ec2.region}", hint=_HINTS["terminated"])
    return found


_GONE = "`pymachine rm` removes what is left of it"
_HINTS = {
    "stopped": "`pymachine start` starts it",
    "stopping": "`pymachine start` waits until it is stopped, and starts it",
    "terminated": _GONE,
    "shutting-down": _GONE,
    "pending": "its state is changing: try again in a moment",
}
