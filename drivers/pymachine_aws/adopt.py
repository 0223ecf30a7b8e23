"""Adopts existing instances: they are set up like bare-metal hosts, can be powered on and off, and outlive ``rm``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from pymachine.clock import Clock
from pymachine.driver import Handle, Instance, Remember, Request
from pymachine.errors import CheckFailed, NotSupported, UsageFault
from pymachine_aws import console_key, images
from pymachine_aws.api import AwsAccount
from pymachine_aws.config import LaunchConfig
from pymachine_aws.describe import Described, address_of, find_instance, instance_of, state_of
from pymachine_aws.handle import Ec2
from pymachine_aws.instances import Instances
from pymachine_aws.parse_options import wanted_by
from pymachine_aws.placement import account_of
from pymachine_aws.ssh_proxy import proxy_words

CONSOLE_PATIENCE = 20.0  # seconds; it booted long ago, so the console shows the key now or never

_ID = re.compile(r"i-[0-9a-f]{8,17}", re.ASCII)


class AdoptedAws(Instances):
    """Adopts an existing instance, and releases it again. Changes neither the instance in EC2 nor its groups.

    Only the options for its region and for the access to it are used.
    """

    preexisting: ClassVar[bool] = True

    def __init__(
        self, account: Callable[[LaunchConfig], AwsAccount] = account_of, clock: Clock | None = None
    ) -> None:
        super().__init__(clock)
        self._open = account

    def check(self, request: Request) -> None:
        """Refuse an instance that does not exist, does not run, or has no address of the wanted kind.

        Raises ``UsageFault``, ``CheckFailed``.
        """
        wanted = wanted_by(request)
        account = self._open(wanted)
        _user(account, wanted, _running(account, wanted, request))

    def create(self, request: Request, remember: Remember) -> Instance:
        """Remember the instance as it is; nothing is made."""
        instance = self.locate(request)
        remember(instance.handle)
        return instance

    def locate(self, request: Request) -> Instance:
        """Return the instance as it is now. Raises as ``check``, and ``NotSupported`` for a dry run without a key."""
        wanted = wanted_by(request)
        account = self._open(wanted)
        described = _running(account, wanted, request)
        ec2 = _handle(account, wanted, request, _user(account, wanted, described))
        found = instance_of(ec2, described, proxy=proxy_words(ec2), host_key=self._host_key(account, ec2, request))
        return _with_key(found, wanted)

    def destroy(self, handle: Handle) -> None:
        """Do nothing: the instance stays, and the core removes the set-up."""

    def _host_key(self, account: AwsAccount, ec2: Ec2, request: Request) -> str | None:
        return console_key.host_key_if_wanted(
            account, ec2, progress=request.progress, deadline=CONSOLE_PATIENCE, clock=self.clock
        )


def _running(account: AwsAccount, wanted: LaunchConfig, request: Request) -> Described:
    """Return what EC2 tells of the instance, which runs and has an address as wanted."""
    name = request.adopted
    if not _ID.fullmatch(name):
        raise UsageFault(f"{name!r} is not the id of an instance", hint="write it like i-0123456789abcdef0")
    found = find_instance(account, name)
    if found is None:
        raise CheckFailed(
            f"EC2 has no instance {name} in {account.region}", hint="if it is in another region, give --aws-region"
        )
    if state_of(found) != "running":
        raise CheckFailed(f"{name} is {state_of(found)}", hint=_HINTS.get(state_of(found)))
    if not address_of(wanted.way.address, found):
        raise CheckFailed(
            f"{name} has no {wanted.way.address} address", hint=f"give --aws-address {_other(found) or 'private'}"
        )
    return found


def _other(found: Described) -> str:
    return next((kind for kind in ("public", "private", "ipv6") if address_of(kind, found)), "")


def _user(account: AwsAccount, wanted: LaunchConfig, described: Described) -> str:
    """Return the account to log in to: the wanted one, else the one that the image is known to have."""
    user = wanted.way.user or images.user_of(account, str(described["ImageId"]))
    if not user:
        raise UsageFault(
            f"the account of image {described['ImageId']} is not known", hint="give --aws-ssh-user, such as ubuntu"
        )
    return user


def _handle(account: AwsAccount, wanted: LaunchConfig, request: Request, user: str) -> Ec2:
    way = wanted.way
    return Ec2(
        region=account.region,
        id=request.machine_id,
        profile=wanted.profile,
        endpoint_url=wanted.endpoint_url,
        instance=request.adopted,
        user=user,
        ssh_port=way.port,
        address=way.address,
        via=way.via,
        public_key=_login_key(request) if way.via == "instance-connect" else "",
        host_key=way.host_key,
        adopted=True,
    )


def _login_key(request: Request) -> str:
    if request.login is None:
        raise NotSupported(
            f"{request.adopted} cannot be examined beforehand: EC2 Instance Connect accepts only pymachine's key",
            hint="omit --dry-run",
        )
    return request.login.public_key.strip()


def _with_key(found: Instance, wanted: LaunchConfig) -> Instance:
    """Log in by the user's own key, but where EC2 Instance Connect lets in ours."""
    if found.ssh is None or wanted.way.via == "instance-connect":
        return found
    return replace(found, ssh=replace(found.ssh, key_path=wanted.access.key_path), own_key=True)


_HINTS = {
    "stopped": "start it first: `aws ec2 start-instances`",
    "stopping": "wait until it is stopped, then start it",
    "pending": "its state is changing: run the same command again in a moment",
}
