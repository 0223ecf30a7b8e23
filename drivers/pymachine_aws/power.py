"""Power control. Every operation can be repeated, and waits until EC2 reports its effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pymachine.clock import Clock, growing
from pymachine.driver import NOBODY, Listener
from pymachine.errors import DriverError, NotSupported, Unreachable
from pymachine.transport.dial import dial
from pymachine_aws import current_address
from pymachine_aws.api import ApiError, AwsAccount, Unsure
from pymachine_aws.describe import ADDRESS_LAG, Described, address_of, state_of
from pymachine_aws.error_codes import explained_end, is_quota, is_throttled, lacks_room
from pymachine_aws.handle import Ec2
from pymachine_aws.status import end_code, reason_of

SHUTDOWN_PATIENCE = 120.0  # seconds for a guest to shut down before it is forced to
STOP_PATIENCE = 300.0
START_PATIENCE = 300.0
REBOOT_PATIENCE = 300.0  # EC2 reboots the hard way after some minutes (API Reference, RebootInstances)
BLIND_PAUSE = 45.0  # seconds for a reboot that cannot be watched from here
PAUSE = 3.0
LAG = 15.0  # seconds for which EC2 may go on showing a state that it has been told to leave
GLANCE = 0.5  # seconds between looks at a port, and for it to answer

_GONE = ("shutting-down", "terminated")


def answers(host: str, port: int) -> bool:
    """Whether a port takes connections just now."""
    try:
        dial(host, port, deadline=4 * GLANCE).close()
    except Unreachable:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Watch:
    """What tells that something has happened: time as it passes, and whether ports answer."""

    clock: Clock = field(default_factory=Clock)
    answers: Callable[[str, int], bool] = answers

    def ticks(self, seconds: float, pause: float = PAUSE) -> Iterator[float]:
        """Yield the seconds that have passed, every ``pause`` or sooner at first, until ``seconds`` are over."""
        return self.clock.ticks(seconds, growing(min(pause, 1.0), 1.2, pause))


def start(
    ec2: Ec2, listener: Listener = NOBODY, *, account: AwsAccount | None = None, watch: Watch | None = None
) -> None:
    """Start the instance and wait until it runs and has its address; one that is stopping is waited for first.

    Raises ``DriverError`` where it is gone, does not come up, or EC2 has no room for it.
    """
    switch = _Switch(account or AwsAccount.of(ec2), ec2, watch or Watch(), listener)
    switch.begin()
    switch.await_running()


def stop(
    ec2: Ec2, listener: Listener = NOBODY, *, account: AwsAccount | None = None, watch: Watch | None = None
) -> None:
    """Shut the instance down and wait until it is stopped; force one that does not follow within two minutes.

    Raises ``NotSupported`` for one that EC2 cannot stop, ``DriverError`` where it is gone or does not stop.
    """
    _Switch(account or AwsAccount.of(ec2), ec2, watch or Watch(), listener).stop(SHUTDOWN_PATIENCE)


def kill(ec2: Ec2, *, account: AwsAccount | None = None, watch: Watch | None = None) -> None:
    """Stop the instance without waiting for its guest. Raises as ``stop``."""
    _Switch(account or AwsAccount.of(ec2), ec2, watch or Watch(), NOBODY).stop(0.0)


def restart(
    ec2: Ec2, listener: Listener = NOBODY, *, account: AwsAccount | None = None, watch: Watch | None = None
) -> None:
    """Reboot the instance, which keeps its addresses; start one that is stopped.

    EC2 only takes note of a reboot and shows the instance as running all the while. So its SSH port is watched from
    here until it has gone and come back; where it cannot be seen from here, time has to do.
    Raises ``DriverError`` where it does not go down, or not come back.
    """
    switch = _Switch(account or AwsAccount.of(ec2), ec2, watch or Watch(), listener)
    if switch.observe() != "running":
        switch.begin()
        switch.await_running()
        return
    switch.reboot()


class _Switch:
    """One instance, and what is told while it is switched."""

    def __init__(self, account: AwsAccount, ec2: Ec2, watch: Watch, listener: Listener) -> None:
        self._account = account
        self._ec2 = ec2
        self._watch = watch
        self._listener = listener
        self._described: Described = {}
        self._told = ""

    def observe(self) -> str:
        """Return the instance's state, and tell of a new one. Raises ``DriverError`` where it is gone."""
        self._described = current_address.required(self._account, self._ec2)
        state = state_of(self._described)
        if state in _GONE:
            raise DriverError(
                f"{self._ec2.instance} is {state}{self._reason()}",
                hint="`pymachine rm` removes what is left of it; then create makes another",
            )
        if state != self._told:
            self._listener.progress(f"{self._ec2.instance} is {state}")
        self._told = state
        return state

    def begin(self) -> None:
        """Have the instance start, once it is stopped; one that is on its way already is left to that."""
        for _ in self._watch.ticks(STOP_PATIENCE):
            state = self.observe()
            if state in ("running", "pending") or (state == "stopped" and self._starts()):
                return
        raise DriverError(
            f"{self._ec2.instance} is still {self._told} after {STOP_PATIENCE:.0f} s, so it cannot be started",
            hint="`pymachine kill` forces it to stop",
        )

    def await_running(self) -> None:
        """Wait until it runs and has the address by which it is used, or for some seconds more without that."""
        begun, since = False, START_PATIENCE
        for passed in self._watch.ticks(START_PATIENCE):
            state = self.observe()
            begun = begun or state == "pending" or passed > LAG
            if state == "running":
                since = min(since, passed)
                if address_of(self._ec2.address, self._described) or passed - since >= ADDRESS_LAG:
                    return
            elif state == "stopped" and begun:
                raise self._fell_back()
        raise DriverError(
            f"{self._ec2.instance} is not running after {START_PATIENCE:.0f} s",
            hint="`pymachine start` continues waiting",
        )

    def stop(self, patience: float) -> None:
        """Wait until it is stopped, which it is told to, and after ``patience`` seconds with force."""
        forced = False
        for passed in self._watch.ticks(STOP_PATIENCE):
            state = self.observe()
            if state == "stopped":
                return
            if passed >= patience and not forced:
                forced = self._forced(patience)
            elif state == "running":
                self._call("stop_instances", "stop")
        raise DriverError(
            f"{self._ec2.instance} is still {self._told} after {STOP_PATIENCE:.0f} s",
            hint="EC2 is still working on it; if this persists, contact AWS support",
        )

    def reboot(self) -> None:
        """Reboot it and wait until it is back."""
        place = (address_of(self._ec2.address, self._described), self._ec2.ssh_port)
        seen = self._ec2.via != "ssm" and bool(place[0]) and self._watch.answers(*place)
        self._account.change("reboot_instances", f"reboot {self._ec2.instance}", InstanceIds=[self._ec2.instance])
        if not seen:
            self._listener.progress("its SSH port cannot be seen from here: giving the reboot some time")
            self._watch.clock.sleep(BLIND_PAUSE)
            return
        self._listener.progress("waiting for the reboot")
        self._await_port(place, False, "did not shut down for the reboot")
        self._await_port(place, True, "shut down for the reboot and did not come back")

    def _await_port(self, place: tuple[str, int], wanted: bool, otherwise: str) -> None:
        for _ in self._watch.ticks(REBOOT_PATIENCE, GLANCE):
            if self._watch.answers(*place) is wanted:
                return
        raise DriverError(
            f"{self._ec2.instance} {otherwise} within {REBOOT_PATIENCE:.0f} s",
            hint="look at its console output in AWS's console; `pymachine stop` and `start` give it a new host",
        )

    def _forced(self, patience: float) -> bool:
        forced = self._call("stop_instances", "stop", Force=True, SkipOsShutdown=True)
        if forced and patience:
            self._listener.notice(f"it did not shut down within {patience:.0f} s: EC2 forces it to stop")
        return forced

    def _starts(self) -> bool:
        try:
            return self._call("start_instances", "start")
        except ApiError as error:
            if not lacks_room(error.code) or is_quota(error.code):
                raise
            raise DriverError(
                f"EC2 has no capacity to start {self._ec2.instance} now: {error.message}",
                hint="its type and zone are fixed: try again later, or change its type in AWS's console",
            ) from error

    def _call(self, operation: str, verb: str, **how: Any) -> bool:
        """Have EC2 do something that may be asked again; whether it took note."""
        try:
            self._account.change(operation, f"{verb} {self._ec2.instance}", InstanceIds=[self._ec2.instance], **how)
        except Unsure:
            return False
        except ApiError as error:
            if error.code in _LATER or is_throttled(error):
                return False
            raise self._explained(error) from error
        return True

    def _explained(self, error: ApiError) -> DriverError:
        """EC2 cannot stop what has no disk of its own to go on from, or was bought to run once."""
        if error.code != "UnsupportedOperation":
            return error
        if self._described.get("InstanceLifecycle") == "spot":
            why = "a one-time spot instance runs until it is terminated"
        elif self._described.get("RootDeviceType") == "instance-store":
            why = "its root disk is an instance store, which is lost when it stops"
        else:
            return error
        return NotSupported(f"{self._ec2.instance} cannot be stopped: {why}", hint="`pymachine rm` terminates it")

    def _fell_back(self) -> DriverError:
        return DriverError(
            f"{self._ec2.instance} was started and stopped again{self._reason()}",
            hint=explained_end(end_code(self._described), "`pymachine start` tries again"),
        )

    def _reason(self) -> str:
        text = reason_of(self._described)
        return f": {text}" if text else ""


# It is on its way from one state to another: EC2 takes the request later.
_LATER = ("IncorrectInstanceState", "IncorrectState", "InvalidInstanceID.NotFound")
