"""Whose credentials are at work: those of another account see nothing of ours, and launch what is billed anew."""

from __future__ import annotations

from pymachine.errors import DriverError
from pymachine_aws.api import AwsAccount
from pymachine_aws.handle import Ec2


def refuse_another_account(account: AwsAccount, ec2: Ec2) -> None:
    """Raise ``DriverError`` where an instance that does not show is in another account than the one that is asked.

    Costs a call where the account is on record, so it is for instances that do not show.
    """
    if not ec2.account:
        return
    here = account.read("get_caller_identity", "look which account this is", service="sts")["Account"]
    if here != ec2.account:
        raise DriverError(
            f"{ec2.instance or 'the instance'} is in the AWS account {ec2.account}, "
            f"and these credentials are of {here}",
            hint="use the credentials, or the AWS_PROFILE, that it was created with",
        )
