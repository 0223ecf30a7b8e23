"""The driver: each method reads what it is given, and leaves the work to a module of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pymachine.driver import (
    NOBODY,
    Driver,
    Handle,
    Instance,
    Leftover,
    Listener,
    Opening,
    Refitting,
    Remember,
    Request,
    Search,
)
from pymachine_aws import adopting, groups, launching, leftovers, refitting, removal, surveying
from pymachine_aws.account import Account
from pymachine_aws.handle import Ec2
from pymachine_aws.instances import Instances
from pymachine_aws.site import Site
from pymachine_aws.waiting import Clock
from pymachine_aws.wanting import read_options


class AwsDriver(Instances):
    """Launches instances and takes care that no second one is ever billed. ``clock`` is how it waits."""

    preexisting: ClassVar[bool] = False
    alters: ClassVar[Mapping[str, str]] = refitting.ALTERS

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._sites: dict[str, Site] = {}

    def check(self, request: Request) -> None:
        """Look at options, credentials and what the account has; what was found serves ``create`` as well."""
        wanted = read_options(request.options)
        launching.check(request, wanted)
        self._sites[request.machine_id] = surveying.survey(request, wanted)

    def create(self, request: Request, remember: Remember) -> Instance:
        """Launch the instance, or go on with the one whose launch was begun."""
        wanted = read_options(request.options)
        site = self._sites.get(request.machine_id) or surveying.survey(request, wanted)
        means = launching.Means(surveying.account_of(wanted), self.clock)
        return launching.Launch(request, wanted, site, remember, means).instance()

    def destroy(self, handle: Handle) -> None:
        """Terminate what carries the machine's id, and remove our group with the last machine."""
        removal.remove(Ec2.of(handle), clock=self.clock)

    def interconnect(self, handle: Handle, openings: Sequence[Opening]) -> None:
        """Open ways within our own security group; groups of the user's stay as they are."""
        ec2 = Ec2.of(handle)
        if ec2.group:
            groups.interconnect(Account.of(ec2), ec2.vpc, openings, self.clock)

    def rests(self, handle: Handle, change: Refitting) -> bool:
        """Say whether EC2 has to switch it off for other options."""
        return refitting.rests(Ec2.of(handle), change)

    def refit(self, handle: Handle, change: Refitting, listener: Listener = NOBODY) -> None:
        """Give it another type, disk, tags or openings."""
        refitting.refit(Ec2.of(handle), change, listener, clock=self.clock)

    def adopting(self) -> Driver:
        """Return the driver for instances that others launched."""
        return adopting.AdoptedAws(clock=self.clock)

    def leftovers(self, search: Search) -> Sequence[Leftover]:
        """Find what carries our tags and no machine needs."""
        return leftovers.find(search)

    def discard(self, leftover: Leftover) -> None:
        """Remove it."""
        leftovers.discard(leftover, clock=self.clock)
