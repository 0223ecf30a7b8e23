"""Checks the account of the credentials: another does not show the instance, and would be billed for a new one."""

from __future__ import annotations

from pymachine.errors import DriverError
from pymachine_aws.api import AwsAccount
from pymachine_aws.handle import Ec2


def refuse_another_account(account: AwsAccount, ec2: Ec2) -> None:
    """Raise ``DriverError`` if a missing instance is in another account than that of the credentials.

    Costs a call if the account is on record, so it is used only for missing instances.
    """
    if not ec2.account:
        return
    here = account.read("get_caller_identity", "identify the AWS account", service="sts")["Account"]
    if here != ec2.account:
        raise DriverError(
            f"{ec2.instance or 'the instance'} is in the AWS account {ec2.account}, "
            f"but these credentials belong to {here}",
            hint="use the credentials, or the AWS_PROFILE, that it was created with",
        )
