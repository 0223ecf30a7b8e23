"""Removing: everything of the machine goes, nothing of others, and any handle will do."""

from __future__ import annotations

from typing import Any

import pytest

from pymachine.errors import DriverError
from pymachine_aws import security_group, tags
from pymachine_aws.handle import Ec2
from pymachine_aws.launch import Launch, Means
from pymachine_aws.remove import remove
from unit.aws_cloud import Cloud, lost, refusal
from unit.aws_wishes import MACHINE, PLAIN, SITE, access, request

OTHER = "11111111-0000-4000-8000-000000000000"


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def made(cloud: Cloud, machine: str = MACHINE, **changes: Any) -> Ec2:
    """Create a machine; return its handle."""
    handles: list[Any] = []
    means = Means(cloud, cloud.time.clock, lambda wanted, site: wanted.access.allow or ("203.0.113.9/32",))
    Launch(request(machine_id=machine), access(**changes), SITE, handles.append, means).instance()
    return Ec2.of(handles[-1])


def begun(cloud: Cloud, operation: str, when: str) -> Ec2:
    """Return the handle of a create that was killed at a call."""
    handles: list[Any] = []
    getattr(cloud, when)[operation] = [KeyboardInterrupt()]
    means = Means(cloud, cloud.time.clock)
    with pytest.raises(KeyboardInterrupt):
        Launch(request(), PLAIN, SITE, handles.append, means).instance()
    return Ec2.of(handles[-1])


def test_nothing_is_left_of_the_last_machine(cloud: Cloud) -> None:
    ec2 = made(cloud, import_key=True)
    remove(ec2, cloud, cloud.time.clock)
    assert (cloud.live, cloud.groups, cloud.keys) == ([], {}, {})


def test_removing_twice_is_no_error(cloud: Cloud) -> None:
    ec2 = made(cloud)
    for _ in range(2):
        remove(ec2, cloud, cloud.time.clock)
    assert cloud.count("terminate_instances") == 1


def test_an_instance_that_ec2_has_forgotten_is_no_error(cloud: Cloud) -> None:
    ec2 = made(cloud)
    cloud.instances.clear()
    remove(ec2, cloud, cloud.time.clock)
    assert cloud.groups == {}


def test_the_group_stays_for_other_machines_and_nobody_waits(cloud: Cloud) -> None:
    first, _ = made(cloud), made(cloud, OTHER)
    begun_at = cloud.time.seconds
    remove(first, cloud, cloud.time.clock)
    assert len(cloud.groups) == 1
    assert cloud.time.seconds == begun_at
    assert cloud.live == ["i-0002"]


def test_of_two_who_leave_at_once_one_takes_the_group_along(cloud: Cloud) -> None:
    first, second = made(cloud), made(cloud, OTHER)
    remove(first, cloud, cloud.time.clock)  # still shutting down when the second looks
    assert cloud.instances["i-0001"]["State"]["Name"] == "shutting-down"
    remove(second, cloud, cloud.time.clock)
    assert cloud.groups == {}


def test_a_group_that_somebody_else_holds_is_left_after_two_minutes(cloud: Cloud) -> None:
    ec2 = made(cloud)
    cloud.before["delete_security_group"] = [refusal("DependencyViolation") for _ in range(100)]
    remove(ec2, cloud, cloud.time.clock)
    assert len(cloud.groups) == 1
    assert security_group.RELEASE < cloud.time.seconds < security_group.RELEASE + 60


def test_a_machine_that_comes_meanwhile_keeps_the_group(cloud: Cloud) -> None:
    ec2 = made(cloud)
    cloud.time.later(10.0, lambda: made(cloud, OTHER))
    remove(ec2, cloud, cloud.time.clock)
    assert len(cloud.groups) == 1
    assert cloud.live == ["i-0002"]


@pytest.mark.parametrize("operation", ["create_security_group", "run_instances", "describe_instances"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_a_killed_create_left_goes(cloud: Cloud, operation: str, when: str) -> None:
    ec2 = begun(cloud, operation, when)
    remove(ec2, cloud, cloud.time.clock)
    assert (cloud.live, cloud.groups) == ([], {})


def test_an_instance_that_does_not_show_at_the_first_look_goes_as_well(cloud: Cloud) -> None:
    cloud.unseen = 4.0
    remove(begun(cloud, "run_instances", "after"), cloud, cloud.time.clock)
    assert cloud.live == []


def test_an_instance_that_lost_its_tags_goes_by_its_id(cloud: Cloud) -> None:
    ec2 = made(cloud)
    cloud.instances["i-0001"]["Tags"] = []
    remove(ec2, cloud, cloud.time.clock)
    assert cloud.live == []


@pytest.mark.parametrize("operation", ["terminate_instances", "delete_security_group"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_unanswered_call_is_made_again(cloud: Cloud, operation: str, when: str) -> None:
    ec2 = made(cloud)
    getattr(cloud, when)[operation] = [lost(), refusal("RequestLimitExceeded")]
    remove(ec2, cloud, cloud.time.clock)
    assert (cloud.live, cloud.groups) == ([], {})


def test_a_protected_instance_is_told_with_the_command_that_lifts_it(cloud: Cloud) -> None:
    ec2 = made(cloud)
    cloud.instances["i-0001"]["protected"] = True
    with pytest.raises(DriverError, match="i-0001 is protected") as caught:
        remove(ec2, cloud, cloud.time.clock)
    assert "--no-disable-api-termination" in str(caught.value.hint)


def test_an_instance_that_does_not_end_is_told_and_the_group_kept(cloud: Cloud) -> None:
    ec2 = made(cloud)
    cloud.shutdown = 1e9
    with pytest.raises(DriverError, match="shutting down"):
        remove(ec2, cloud, cloud.time.clock)
    assert cloud.count("delete_security_group") == 0


def test_open_spot_requests_are_cancelled(cloud: Cloud) -> None:
    ec2 = made(cloud).with_(market="spot")
    cloud.spot_requests["sir-1"] = {}
    remove(ec2, cloud, cloud.time.clock)
    assert cloud.spot_requests == {}


def test_what_was_adopted_is_left_alone(cloud: Cloud) -> None:
    remove(made(cloud).with_(adopted=True), cloud, cloud.time.clock)
    assert cloud.live == ["i-0001"]
    assert cloud.groups


def test_a_group_without_our_tag_is_left_alone(cloud: Cloud) -> None:
    ec2 = made(cloud)
    (group,) = cloud.groups.values()
    group["Tags"] = [tag for tag in group["Tags"] if tag["Key"] != tags.GROUP]
    remove(ec2, cloud, cloud.time.clock)
    assert cloud.groups


def test_credentials_of_another_account_do_not_make_it_look_removed(cloud: Cloud) -> None:
    ec2 = made(cloud)
    elsewhere = Cloud()
    elsewhere.owner = "999999999999"
    with pytest.raises(DriverError, match="account 123456789012"):
        remove(ec2, elsewhere, cloud.time.clock)
