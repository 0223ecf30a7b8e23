"""Whether AWS accepts the credentials of this computer, for new instances and for those on record."""

from __future__ import annotations

from collections.abc import Sequence

from pymachine.driver import Handle, Health, HealthCheck
from pymachine.errors import DriverError, DriverMissing, PymachineError, UsageFault, refuses
from pymachine_aws.api import AwsAccount
from pymachine_aws.handle import Ec2

RETRIES = 2

# Where to ask: region, profile, URL of the endpoint; None leaves it to boto3.
Place = tuple[str | None, str | None, str | None]


def health(handles: Sequence[Handle], deadline: float) -> list[HealthCheck]:
    """Ask AWS who the credentials belong to, in each region and profile of an instance. Raises ``DriverMissing``."""
    accounts: dict[Place, set[str]] = {}
    for ec2 in map(Ec2.of, handles):
        accounts.setdefault((ec2.region, ec2.profile, ec2.endpoint_url), set()).update({ec2.account} - {""})
    if not accounts:
        accounts[None, None, None] = set()
    return [_checked(place, owners, deadline / len(accounts)) for place, owners in accounts.items()]


def _checked(place: Place, owners: set[str], deadline: float) -> HealthCheck:
    region, profile, endpoint = place
    name = " ".join(filter(None, ("credentials", profile, region)))
    account = AwsAccount(
        region, profile=profile, endpoint_url=endpoint, retries=RETRIES, timeout=max(deadline / RETRIES, 1.0)
    )
    try:
        here = str(account.read("get_caller_identity", "identify the AWS account", service="sts")["Account"])
    except DriverMissing:
        raise
    except UsageFault as error:  # no region, which only a create needs
        return HealthCheck(name, Health.UNKNOWN, error.message, error.hint or "")
    except PymachineError as error:
        fault = refuses(error) or isinstance(error, DriverError)  # AWS said so; anything else is the way to it
        return HealthCheck(name, Health.FAULT if fault else Health.UNKNOWN, error.message, error.hint or "")
    others = sorted(owners - {here})
    if others:
        detail = f"they belong to account {here}, and machines are in {', '.join(others)}"
        return HealthCheck(name, Health.FAULT, detail, "use the credentials, or the AWS_PROFILE, of that account")
    return HealthCheck(name, Health.FINE, f"account {here}")
