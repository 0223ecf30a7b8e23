"""The driver: each method parses its input, and calls a module that does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pymachine.clock import Clock
from pymachine.driver import (
    NOBODY,
    Driver,
    Handle,
    HealthCheck,
    InPlaceUpdate,
    Instance,
    Leftover,
    Listener,
    NodePort,
    RecordedInstance,
    Remember,
    Request,
    Search,
)
from pymachine_aws import adopt, credentials, launch, leftovers, modify, placement, remove, security_group
from pymachine_aws.api import AwsAccount
from pymachine_aws.handle import Ec2
from pymachine_aws.instances import Instances
from pymachine_aws.parse_options import wanted_by
from pymachine_aws.recorded import instance_of as recorded_instance
from pymachine_aws.site import Site


class AwsDriver(Instances):
    """Launches instances and ensures that no second one is ever billed. ``clock`` is how it waits."""

    preexisting: ClassVar[bool] = False
    takes_over: ClassVar[frozenset[str]] = frozenset({"amazonec2"})
    alters: ClassVar[Mapping[str, str]] = modify.ALTERS

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._sites: dict[str, Site] = {}

    def check(self, request: Request) -> None:
        """Check options, credentials and the account; ``create`` reuses the results."""
        wanted = wanted_by(request)
        launch.check(request, wanted)
        self._sites[request.machine_id] = placement.survey(request, wanted)

    def create(self, request: Request, remember: Remember) -> Instance:
        """Launch the instance, or continue an earlier launch."""
        wanted = wanted_by(request)
        if request.options.aws_block_duration:
            request.notice("--amazonec2-block-duration-minutes has no effect: AWS no longer offers such instances")
        if request.options.aws_access_key:
            request.notice("other users of this computer can read credentials on a command line")
        site = self._sites.get(request.machine_id) or placement.survey(request, wanted)
        means = launch.Means(placement.account_of(wanted), self.clock)
        return launch.Launch(request, wanted, site, remember, means).instance()

    def destroy(self, handle: Handle) -> None:
        """Terminate what carries the machine's id, and remove pymachine's group with the last machine."""
        remove.remove(Ec2.of(handle), clock=self.clock)

    def interconnect(self, handle: Handle, openings: Sequence[NodePort]) -> None:
        """Open ports within pymachine's own security group; the user's groups are not changed."""
        ec2 = Ec2.of(handle)
        if ec2.group:
            security_group.interconnect(AwsAccount.of(ec2), ec2.vpc, openings, self.clock)

    def needs_power_off(self, handle: Handle, change: InPlaceUpdate) -> bool:
        """Return whether the change needs the instance to be off."""
        return modify.needs_power_off(Ec2.of(handle), change)

    def refit(self, handle: Handle, change: InPlaceUpdate, listener: Listener = NOBODY) -> None:
        """Change type, disk, tags or open ports."""
        modify.refit(Ec2.of(handle), change, listener, clock=self.clock)

    def adopting(self) -> Driver:
        """Return the driver for instances that others launched."""
        return adopt.AdoptedAws(clock=self.clock)

    def recorded(self, recorded: RecordedInstance) -> tuple[Any, Instance]:
        """Take an instance over that docker-machine launched."""
        return recorded_instance(recorded)

    def health(self, handles: Sequence[Handle], *, deadline: float) -> Sequence[HealthCheck]:
        """Check that AWS accepts the credentials."""
        return credentials.health(handles, deadline)

    def leftovers(self, search: Search) -> Sequence[Leftover]:
        """Find what carries our tags and no machine needs."""
        return leftovers.find(search)

    def discard(self, leftover: Leftover) -> None:
        """Remove it."""
        leftovers.discard(leftover, clock=self.clock)
