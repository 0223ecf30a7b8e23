"""The driver: each method reads what it is given, and leaves the work to a module of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pymachine.driver import (
    API,
    NOBODY,
    Driver,
    Handle,
    Instance,
    Leftover,
    Listener,
    Remember,
    Request,
    Search,
    Status,
)
from pymachine_aws import adopting, launching, leftovers, power, removal, status, surveying, whereabouts
from pymachine_aws.handle import Ec2
from pymachine_aws.options import AwsOptions
from pymachine_aws.site import Site
from pymachine_aws.wanting import read_options


class AwsDriver:
    """Launches instances and takes care that no second one is ever billed."""

    api: ClassVar[int] = API
    options: ClassVar[type] = AwsOptions
    preexisting: ClassVar[bool] = False
    authorises_key: ClassVar[bool] = True

    def __init__(self) -> None:
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
        return launching.Launch(request, wanted, site, remember).instance()

    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """Ask EC2 for this one."""
        return status.inspect_all([Ec2.of(handle)], deadline=deadline)[0]

    def inspect_all(self, handles: Sequence[Handle], *, deadline: float) -> Sequence[Status]:
        """Ask EC2 once a region."""
        return status.inspect_all([Ec2.of(handle) for handle in handles], deadline=deadline)

    def whereabouts(self, handle: Handle) -> Instance:
        """Say which addresses it has now."""
        return whereabouts.find(Ec2.of(handle))

    def destroy(self, handle: Handle) -> None:
        """Terminate what carries the machine's id, and remove our group with the last machine."""
        removal.remove(Ec2.of(handle))

    def start(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Start it and wait until it runs."""
        power.start(Ec2.of(handle), listener)

    def stop(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Shut it down; EC2 cuts the power of one that does not follow."""
        power.stop(Ec2.of(handle), listener)

    def kill(self, handle: Handle) -> None:
        """Have EC2 stop it without its file systems' consent."""
        power.kill(Ec2.of(handle))

    def restart(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Reboot it: its addresses stay."""
        power.restart(Ec2.of(handle), listener)

    def adopting(self) -> Driver:
        """Return the driver for instances that others launched."""
        return adopting.AdoptedAws()

    def leftovers(self, search: Search) -> Sequence[Leftover]:
        """Find what carries our tags and no machine needs."""
        return leftovers.find(search)

    def discard(self, leftover: Leftover) -> None:
        """Remove it."""
        leftovers.discard(leftover)
