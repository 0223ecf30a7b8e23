"""Operations on existing instances, made by pymachine or adopted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pymachine.clock import Clock
from pymachine.driver import API, NOBODY, Handle, Instance, Listener, Status
from pymachine_aws import current_address, own_credentials, power, status
from pymachine_aws.handle import Ec2
from pymachine_aws.options import AwsOptions


class Instances:
    """Inspects instances and controls their power."""

    api: ClassVar[int] = API
    options: ClassVar[type] = AwsOptions
    authorises_key: ClassVar[bool] = True

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()

    def use_credentials(self, machine_id: str, credentials: Mapping[str, str]) -> None:
        """Use these for the machine instead of those that boto3 finds."""
        own_credentials.keep(machine_id, credentials)

    @property
    def _watch(self) -> power.Watch:
        return power.Watch(self.clock)

    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """Ask EC2 for this one."""
        return status.inspect_handles([handle], deadline=deadline)[0]

    def inspect_all(self, handles: Sequence[Handle], *, deadline: float) -> Sequence[Status]:
        """Ask EC2 once per region."""
        return status.inspect_handles(handles, deadline=deadline)

    def whereabouts(self, handle: Handle) -> Instance:
        """Return its current addresses."""
        return current_address.find(Ec2.of(handle))

    def start(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Start it and wait until it runs."""
        power.start(Ec2.of(handle), listener, watch=self._watch)

    def stop(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Shut it down; EC2 powers it off if it does not shut down."""
        power.stop(Ec2.of(handle), listener, watch=self._watch)

    def kill(self, handle: Handle) -> None:
        """Have EC2 stop it without shutting down its system."""
        power.kill(Ec2.of(handle), watch=self._watch)

    def restart(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Reboot it: its addresses stay."""
        power.restart(Ec2.of(handle), listener, watch=self._watch)
