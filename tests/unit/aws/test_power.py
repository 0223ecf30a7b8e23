"""Switching instances: every switch can be thrown twice, and returns when EC2 shows what it did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pymachine.errors import DriverError, NotSupported
from pymachine_aws import power
from pymachine_aws.api import Unsure
from pymachine_aws.power import Watch
from unit.aws_life import Region, Told, described, ec2, refusal

CHANGES = ("describe_instances",)


def watch(region: Region, answers: Iterator[bool] | None = None) -> Watch:
    looks = answers if answers is not None else iter(())
    return Watch(region.time.clock, lambda _host, _port: next(looks))


def state(region: Region) -> str:
    return str(region.instances["i-1"]["State"]["Name"])


def test_start_waits_until_it_runs_and_has_its_address() -> None:
    region, told = Region(described("i-1", "stopped")), Told()
    power.start(ec2(), told.listener, account=region, watch=watch(region))
    assert state(region) == "running"
    assert region.operations(*CHANGES) == ["start_instances"]
    assert told.progress == ["i-1 is stopped", "i-1 is pending", "i-1 is running"]


def test_start_of_one_that_runs_changes_nothing() -> None:
    region = Region(described("i-1"))
    power.start(ec2(), account=region, watch=watch(region))
    assert region.operations(*CHANGES) == []


def test_start_while_it_stops_waits_for_the_stop() -> None:
    region = Region(described("i-1", "stopping"))
    region.time.later(30, lambda: region.set_state("i-1", "stopped"))
    power.start(ec2(), account=region, watch=watch(region))
    assert state(region) == "running"
    assert region.time.seconds >= 30


@pytest.mark.parametrize(
    "fault", [refusal("IncorrectInstanceState"), Unsure("lost"), refusal("RequestLimitExceeded")]
)
def test_start_asks_again_where_ec2_is_not_ready_or_not_clear(fault: Exception) -> None:
    region = Region(described("i-1", "stopped"))
    region.before["start_instances"].append(fault)
    power.start(ec2(), account=region, watch=watch(region))
    assert region.operations(*CHANGES) == ["start_instances"] * 2


@pytest.mark.parametrize("verb", [power.start, power.stop, power.restart, power.kill])
def test_a_terminated_instance_is_said_to_be_so(verb: object) -> None:
    region = Region(described("i-1", "terminated", StateReason={"Message": "User initiated shutdown"}))
    with pytest.raises(DriverError, match="i-1 is terminated: User initiated shutdown") as fault:
        verb(ec2(), account=region, watch=watch(region))  # type: ignore[operator]
    assert "pymachine rm" in (fault.value.hint or "")


def test_no_room_to_start_is_explained() -> None:
    region = Region(described("i-1", "stopped"))
    region.before["start_instances"].append(refusal("InsufficientInstanceCapacity"))
    with pytest.raises(DriverError, match="start i-1") as fault:
        power.start(ec2(), account=region, watch=watch(region))
    assert fault.value.hint


def test_one_that_falls_back_is_an_error_with_the_reason_and_not_a_long_wait() -> None:
    region = Region(described("i-1", "stopped"))
    region.boot = 1000.0
    reason = ("Client.InternalError", "Client.InternalError: Internal error on launch")
    region.time.later(4, lambda: region.set_state("i-1", "stopped", *reason))
    with pytest.raises(DriverError, match=": Internal error") as fault:
        power.start(ec2(), account=region, watch=watch(region))
    assert "KMS" in (fault.value.hint or "")
    assert region.time.seconds < 60


def test_one_without_its_address_is_not_waited_for_for_long() -> None:
    region = Region(described("i-1", "stopped"))
    power.start(ec2(address="ipv6"), account=region, watch=watch(region))
    assert 20 <= region.time.seconds < 60


def test_stop_waits_until_it_is_stopped() -> None:
    region, told = Region(described("i-1")), Told()
    power.stop(ec2(), told.listener, account=region, watch=watch(region))
    assert state(region) == "stopped"
    assert region.operations(*CHANGES) == ["stop_instances"]
    assert told.notices == []


@pytest.mark.parametrize("verb", [power.stop, power.kill])
def test_stopped_already_is_no_error(verb: object) -> None:
    region = Region(described("i-1", "stopped"))
    verb(ec2(), account=region, watch=watch(region))  # type: ignore[operator]
    assert region.operations(*CHANGES) == []


def test_a_guest_that_does_not_follow_is_forced_after_two_minutes_and_that_is_told() -> None:
    region, told = Region(described("i-1")), Told()
    region.stopping = None
    power.stop(ec2(), told.listener, account=region, watch=watch(region))
    assert state(region) == "stopped"
    assert region.calls[-1][0] == "describe_instances"
    forced = [params for name, params in region.calls if name == "stop_instances"]
    assert [params.get("Force", False) for params in forced] == [False, True]
    assert ["within 120 s: " in notice for notice in told.notices] == [True]
    assert 120 <= region.time.seconds < 140


def test_stop_of_one_that_starts_is_asked_for_again() -> None:
    region = Region(described("i-1", "pending"))
    region.time.later(10, lambda: region.set_state("i-1", "running"))
    power.stop(ec2(), account=region, watch=watch(region))
    assert state(region) == "stopped"


def test_force_that_ec2_does_not_take_at_once_is_told_of_once() -> None:
    region, told = Region(described("i-1", "stopping")), Told()
    region.before["stop_instances"] += [refusal("IncorrectInstanceState"), Unsure("lost")]
    power.stop(ec2(), told.listener, account=region, watch=watch(region))
    assert state(region) == "stopped"
    assert len(told.notices) == 1


def test_one_that_never_stops_is_an_error_in_the_end() -> None:
    region = Region(described("i-1", "stopping"))
    region.before["stop_instances"].extend(refusal("IncorrectInstanceState") for _ in range(200))
    with pytest.raises(DriverError, match="i-1 is still stopping after 300 s"):
        power.stop(ec2(), account=region, watch=watch(region))


def test_kill_does_not_wait_for_the_guest() -> None:
    region = Region(described("i-1"))
    region.stopping = None
    power.kill(ec2(), account=region, watch=watch(region))
    assert region.calls[1] == ("stop_instances", {"InstanceIds": ["i-1"], "Force": True, "SkipOsShutdown": True})
    assert region.time.seconds < 10


@pytest.mark.parametrize(
    ("kind", "why"),
    [({"InstanceLifecycle": "spot"}, "one-time spot"), ({"RootDeviceType": "instance-store"}, "instance store")],
)
def test_what_ec2_cannot_stop_is_explained(kind: dict[str, str], why: str) -> None:
    region = Region(described("i-1", **kind))
    region.before["stop_instances"].append(refusal("UnsupportedOperation"))
    with pytest.raises(NotSupported, match=why) as fault:
        power.stop(ec2(), account=region, watch=watch(region))
    assert "pymachine rm" in (fault.value.hint or "")


def test_other_refusals_come_through_as_they_are() -> None:
    region = Region(described("i-1"))
    region.before["stop_instances"].append(refusal("UnauthorizedOperation", "not allowed"))
    with pytest.raises(DriverError, match="not allowed"):
        power.stop(ec2(), account=region, watch=watch(region))


def test_restart_waits_until_the_host_has_gone_and_come_back() -> None:
    region = Region(described("i-1"))
    looks = iter([True, True, True, False, False, True])
    power.restart(ec2(), account=region, watch=watch(region, looks))
    assert region.operations(*CHANGES) == ["reboot_instances"]
    assert list(looks) == []


def test_restart_of_a_host_that_ignores_it_is_an_error_and_no_success() -> None:
    region = Region(described("i-1"))
    with pytest.raises(DriverError, match=r"reboot .*within 300 s"):
        power.restart(ec2(), account=region, watch=watch(region, iter([True] * 1000)))


def test_restart_of_a_host_that_stays_away_is_an_error() -> None:
    region = Region(described("i-1"))
    with pytest.raises(DriverError, match=" back"):
        power.restart(ec2(), account=region, watch=watch(region, iter([True] + [False] * 1000)))


@pytest.mark.parametrize(("via", "looks"), [("ssm", []), ("direct", [False])])
def test_restart_of_a_host_out_of_sight_is_given_some_time(via: str, looks: list[bool]) -> None:
    region, told = Region(described("i-1")), Told()
    power.restart(ec2(via=via), told.listener, account=region, watch=watch(region, iter(looks)))
    assert region.operations(*CHANGES) == ["reboot_instances"]
    assert region.time.seconds >= 30
    assert "from here" in told.progress[-1]


def test_restart_of_one_that_is_stopped_starts_it() -> None:
    region = Region(described("i-1", "stopped"))
    power.restart(ec2(), account=region, watch=watch(region))
    assert state(region) == "running"
    assert region.operations(*CHANGES) == ["start_instances"]
