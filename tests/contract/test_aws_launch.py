"""Launching and removing against an EC2 as strict as AWS, over HTTP, through boto3."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from contract.aws_creating import HERE, QUICK, REGION, Creating, creating, left_of, site_of
from lab.ec2 import faults
from lab.ec2.faults import Fault
from lab.ec2.server import Ec2Server
from pymachine.errors import DriverError, PymachineError
from pymachine.swarm.node_ports import openings
from pymachine_aws import security_group, tags
from pymachine_aws.handle import Ec2

__all__ = ["creating"]


def test_a_create_runs_with_everything_tagged_and_rm_leaves_nothing(creating: Creating, ec2: Ec2Server) -> None:
    made = creating.create(replace(HERE, tags={"team": "red"}, access=replace(HERE.access, import_key=True)))
    assert made.ssh is not None
    assert made.ssh.host in made.addresses
    client = ec2.client("ec2", REGION)
    (volume,) = client.describe_volumes()["Volumes"]
    (instance,) = client.describe_instances()["Reservations"][0]["Instances"]
    for described in (volume, instance):
        assert tags.read(described)[tags.ID] == creating.machine
        assert tags.read(described)["team"] == "red"
    creating.remove()
    assert left_of(ec2) == []


def test_a_plain_create_makes_five_calls_beside_the_survey(creating: Creating, ec2: Ec2Server) -> None:
    site = site_of(ec2)
    before = len(ec2.calls())
    ec2.set(instance_unseen=0, pending_looks=0, pending_ms=0)
    creating.create(site=site)
    assert ec2.actions()[before:] == [
        "DescribeSecurityGroups",
        "CreateSecurityGroup",
        "AuthorizeSecurityGroupIngress",
        "RunInstances",
        "DescribeInstances",
    ]


def test_a_create_that_is_repeated_launches_nothing_more(creating: Creating, ec2: Ec2Server) -> None:
    creating.create()
    creating.create()
    assert len(ec2.calls("RunInstances")) == 1


@pytest.mark.parametrize("action", ["RunInstances", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress"])
@pytest.mark.parametrize("fault", [faults.dropped_before, faults.dropped_after, faults.error_after])
def test_lost_answers_are_asked_for_again_within_one_create(
    creating: Creating, ec2: Ec2Server, action: str, fault: Callable[..., Fault]
) -> None:
    ec2.inject(fault(action=action, times=2))
    creating.create()
    assert len(ec2.billed()) == 1


def test_a_launch_whose_record_is_all_that_is_left_goes_on_with_its_instance(
    creating: Creating, ec2: Ec2Server
) -> None:
    creating.create()
    creating.handle = Ec2.of(creating.handle or {}).with_(instance="").handle()
    creating.create()
    assert len(ec2.billed()) == 1
    assert len({call.params["ClientToken"] for call in ec2.calls("RunInstances")}) == 1


def test_other_options_than_at_the_launch_do_not_launch_a_second_one(creating: Creating, ec2: Ec2Server) -> None:
    creating.create()
    creating.handle = Ec2.of(creating.handle or {}).with_(instance="").handle()
    creating.create(replace(HERE, monitoring=True))
    assert len(ec2.billed()) == 1
    assert any("other options" in text for text in creating.told)


def test_an_instance_that_was_terminated_elsewhere_is_replaced(creating: Creating, ec2: Ec2Server) -> None:
    creating.create()
    creating.handle = Ec2.of(creating.handle or {}).with_(instance="").handle()
    (first,) = ec2.billed()
    ec2.settle(first, "terminated")
    creating.create()
    (second,) = ec2.billed()
    assert second != first


def test_an_instance_that_shows_late_is_waited_for(creating: Creating, ec2: Ec2Server) -> None:
    ec2.set(instance_unseen=4, group_unseen=2)
    creating.create()
    assert len(ec2.billed()) == 1


def test_no_room_in_the_first_zone_leads_to_the_second(creating: Creating, ec2: Ec2Server) -> None:
    ec2.inject(faults.no_capacity())
    creating.create()
    (instance,) = ec2.client("ec2", REGION).describe_instances()["Reservations"][0]["Instances"]
    assert instance["SubnetId"] == site_of(ec2).attempts[1].subnet.id


def test_a_launch_that_dies_says_why(creating: Creating, ec2: Ec2Server) -> None:
    ec2.set(launch_dies="Client.InternalError")
    with pytest.raises(DriverError, match=r" running") as caught:
        creating.create()
    assert "KMS" in str(caught.value.hint)
    creating.remove()
    assert left_of(ec2) == []


def test_quotas_stop_at_once_and_rm_clears_up(creating: Creating, ec2: Ec2Server) -> None:
    ec2.inject(faults.over_quota(times=10))
    with pytest.raises(DriverError, match="vCPU"):
        creating.create()
    assert len(ec2.calls("RunInstances")) == 1
    creating.remove()
    assert left_of(ec2) == []


def test_spot_is_asked_for_and_removed(creating: Creating, ec2: Ec2Server) -> None:
    creating.create(replace(HERE, markets=("spot",)), site_of(ec2, market="spot"))
    (instance,) = ec2.client("ec2", REGION).describe_instances()["Reservations"][0]["Instances"]
    assert instance["InstanceLifecycle"] == "spot"
    creating.remove()
    assert left_of(ec2) == []


def test_a_group_that_was_there_is_neither_opened_nor_deleted(creating: Creating, ec2: Ec2Server) -> None:
    site = site_of(ec2)
    client = ec2.client("ec2", REGION)
    theirs = client.create_security_group(GroupName="theirs", Description="x", VpcId=site.vpc)["GroupId"]
    creating.create(site=replace(site, groups=(theirs,)))
    creating.remove()
    (group,) = client.describe_security_groups(GroupIds=[theirs])["SecurityGroups"]
    assert group["IpPermissions"] == []


def machines(ec2: Ec2Server, count: int) -> list[Creating]:
    first = Creating(ec2)
    return [Creating(ec2, str(uuid.uuid4()), account=first.account) for _ in range(count)]


def test_twenty_creates_at_once_share_one_group_without_duplicate_rules(creating: Creating, ec2: Ec2Server) -> None:
    site = site_of(ec2)
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda each: each.create(site=site), machines(ec2, 20)))
    assert len({each.handle["instance"] for each in made}) == len(ec2.billed()) == 20
    ours = [{"Name": f"tag:{tags.GROUP}", "Values": [tags.MACHINES]}]
    (group,) = ec2.client("ec2", REGION).describe_security_groups(Filters=ours)["SecurityGroups"]
    opened = sorted((each["FromPort"], len(each["IpRanges"])) for each in group["IpPermissions"])
    assert opened == [(22, 1), (2376, 1)]
    assert len(ec2.calls("RunInstances")) == 20
    # Each looks for the group once, and who loses a race for it or for its rules once more; this test looks as well.
    assert len(ec2.calls("DescribeSecurityGroups")) <= 20 * 3 + 1


def test_eight_joins_at_once_open_the_ways_between_nodes_once(creating: Creating, ec2: Ec2Server) -> None:
    made = creating.create()
    vpc = Ec2.of(made.handle).vpc
    with ThreadPoolExecutor(8) as pool:
        joins = [
            pool.submit(security_group.interconnect, creating.account, vpc, openings(4789), QUICK) for _ in range(8)
        ]
        for join in joins:
            join.result()
    (group,) = ec2.client("ec2", REGION).describe_security_groups(GroupNames=["pymachine"])["SecurityGroups"]
    within = [each for each in group["IpPermissions"] if each["UserIdGroupPairs"]]
    ways = sorted((each["IpProtocol"], each["FromPort"]) for each in within)
    assert ways == [("50", 0), ("tcp", 2377), ("tcp", 7946), ("udp", 4789), ("udp", 7946)]
    assert {pair["GroupId"] for each in within for pair in each["UserIdGroupPairs"]} == {group["GroupId"]}
    assert all(len(each["UserIdGroupPairs"]) == 1 and not each["IpRanges"] for each in within)
    creating.remove()
    assert left_of(ec2) == []


def test_the_last_machines_removed_at_once_leave_no_group(creating: Creating, ec2: Ec2Server) -> None:
    site, several = site_of(ec2), machines(ec2, 3)
    ec2.set(shutting_down_ms=800)
    for each in several:
        each.create(site=site)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda each: each.remove(), several))
    assert left_of(ec2) == []


def test_creates_beside_removals_keep_what_they_need(creating: Creating, ec2: Ec2Server) -> None:
    site, (old, *new) = site_of(ec2), machines(ec2, 4)
    old.create(site=site)
    with ThreadPoolExecutor(4) as pool:
        going = pool.submit(old.remove)
        list(pool.map(lambda each: each.create(site=site), new))
        going.result()
    assert len(ec2.billed()) == 3
    for each in new:
        each.remove()
    assert left_of(ec2) == []


CALLS = 7  # more than a create or a removal makes


def failed_before(**where: Any) -> Fault:
    return faults.error_before("InternalError", status=500, **where)


FAULTS = (failed_before, faults.error_after, faults.dropped_after)
EVERY_RUN = {(failed_before, 2), (faults.error_after, 3), (faults.dropped_after, 5)}
ANY_CALL = pytest.mark.parametrize(
    ("fault", "number"),
    [
        pytest.param(fault, number, marks=[] if (fault, number) in EVERY_RUN else pytest.mark.soak(2))
        for fault in FAULTS
        for number in range(1, CALLS + 1)
    ],
)


@ANY_CALL
def test_a_fault_at_any_call_of_a_create_ends_with_one_instance(
    creating: Creating, ec2: Ec2Server, number: int, fault: Callable[..., Fault]
) -> None:
    site = site_of(ec2)
    ec2.inject(fault(call=len(ec2.calls()) + number))
    with suppress(PymachineError):
        creating.create(site=site)
    creating.create(site=site)
    assert len(ec2.instances()) == 1
    creating.remove()
    assert left_of(ec2) == []


@ANY_CALL
def test_a_fault_at_any_call_of_a_removal_leaves_nothing_after_the_next(
    creating: Creating, ec2: Ec2Server, number: int, fault: Callable[..., Fault]
) -> None:
    creating.create()
    ec2.inject(fault(call=len(ec2.calls()) + number))
    with suppress(PymachineError):
        creating.remove()
    creating.remove()
    assert left_of(ec2) == []
