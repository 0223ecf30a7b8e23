"""How instances are: states in our words, and what it costs to ask for many."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from patience import AGES, LIMIT, gives_up
from pymachine.driver import Status
from pymachine.errors import CheckFailed, PymachineError, Unreachable
from pymachine.model import State
from pymachine.override import override
from pymachine_aws.api import AwsAccount
from pymachine_aws.errors import Trouble
from pymachine_aws.handle import Ec2
from pymachine_aws.status import inspect_all, inspect_handles, status_of
from unit.aws_life import Region, described, ec2, refusal, tagged


def looked(region: AwsAccount, *machines: Ec2, deadline: float = 5.0) -> list[Status]:
    return inspect_all(machines, deadline=deadline, account=lambda _first, _timeout: region)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ("pending", State.STARTING),
        ("running", State.RUNNING),
        ("stopping", State.STOPPING),
        ("stopped", State.STOPPED),
        ("shutting-down", State.MISSING),
        ("terminated", State.MISSING),
        ("hovering", State.UNKNOWN),
    ],
)
def test_each_state_has_its_word(found: str, state: State) -> None:
    assert status_of(ec2(), described("i-1", found)).state is state


@pytest.mark.parametrize(
    ("found", "code", "message", "detail"),
    [
        ("terminated", "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown",
         "terminated: User initiated shutdown"),
        ("terminated", "", "", "terminated"),
        ("shutting-down", "Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot is over",
         "shutting-down: Spot is over"),
        ("stopped", "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown", ""),
        ("stopped", "Server.SpotInstanceShutdown", "Server.SpotInstanceShutdown: Spot capacity is gone",
         "Spot capacity is gone"),
        ("running", "", "", ""),
    ],
)  # fmt: skip
def test_the_reason_is_told_where_it_was_not_the_users_own_stop(
    found: str, code: str, message: str, detail: str
) -> None:
    instance = described("i-1", found, StateReason={"Code": code, "Message": message})
    assert status_of(ec2(), instance).detail == detail


@pytest.mark.parametrize(
    ("kind", "first"), [("public", "198.51.100.7"), ("private", "10.0.0.7"), ("ipv6", "2001:db8::7")]
)
def test_the_address_in_use_comes_first(kind: str, first: str) -> None:
    instance = described("i-1", NetworkInterfaces=[{"Ipv6Addresses": [{"Ipv6Address": "2001:db8::7"}]}])
    addresses = status_of(ec2(address=kind), instance).addresses
    assert addresses[0] == first
    assert set(addresses) == {"198.51.100.7", "10.0.0.7", "2001:db8::7", "ec2-7.example"}


def test_one_question_answers_for_all_of_a_region_in_their_order() -> None:
    names = [f"i-{number}" for number in range(150)]
    region = Region(*(described(name, "stopped" if name == "i-7" else "running") for name in reversed(names)))
    found = looked(region, *(ec2(name) for name in names))
    assert [status.state for status in found].index(State.STOPPED) == 7
    assert region.operations() == ["describe_instances"]
    assert region.calls[0][1]["MaxResults"] == 1000


def test_a_filter_never_gets_more_than_200_values() -> None:
    names = [f"i-{number}" for number in range(450)]
    region = Region(*map(described, names))
    assert {status.state for status in looked(region, *map(ec2, names))} == {State.RUNNING}
    assert [len(params["Filters"][0]["Values"]) for _, params in region.calls] == [200, 200, 50]


def test_an_instance_that_ec2_does_not_know_is_missing() -> None:
    (status,) = looked(Region(), ec2("i-9"))
    assert status == Status(State.MISSING, detail="EC2 has no instance i-9")


def test_a_machine_without_instance_is_looked_for_by_its_id_and_the_liveliest_counts() -> None:
    tags = tagged("m-1")
    region = Region(
        described("i-1", "terminated", Tags=tags), described("i-2", "pending", Tags=tags),
        described("i-3", "terminated", Tags=tags),
    )  # fmt: skip
    found = looked(region, ec2("", id="m-1"), ec2("", id="m-2"))
    assert [status.state for status in found] == [State.STARTING, State.MISSING]
    assert found[1].detail
    assert [params["Filters"][0]["Name"] for _, params in region.calls] == ["tag:pymachine:id"]


def test_regions_are_asked_side_by_side() -> None:
    together = threading.Barrier(2, timeout=LIMIT)

    class Slow(Region):
        @override
        def pages(self, *args: Any, **params: Any) -> Any:
            together.wait()
            return super().pages(*args, **params)

    regions = {name: Slow(described("i-1")) for name in ("eu-central-1", "us-east-1")}
    machines = [ec2("i-1", region=name) for name in regions]
    found = inspect_all(machines, deadline=LIMIT, account=lambda first, _: regions[first.region])
    assert [status.state for status in found] == [State.RUNNING] * 2


def test_a_refusal_of_one_region_leaves_the_others() -> None:
    broken, sound = Region(), Region(described("i-2"))
    broken.before["describe_instances"].append(refusal("AuthFailure", "no such key"))
    regions = {"eu-central-1": broken, "us-east-1": sound}
    machines = [ec2("i-1"), ec2("i-2", region="us-east-1")]
    found = inspect_all(machines, deadline=LIMIT, account=lambda first, _: regions[first.region])
    assert [status.state for status in found] == [State.UNKNOWN, State.RUNNING]
    assert "no such key" in found[0].detail


def test_missing_credentials_are_a_status_too() -> None:
    region = Region()
    region.before["describe_instances"].append(CheckFailed("no AWS credentials were found"))
    assert looked(region, ec2())[0] == Status(State.UNKNOWN, detail="no AWS credentials were found")


def test_a_region_that_hangs_costs_the_deadline_and_no_more() -> None:
    released = threading.Event()

    class Hanging(Region):
        @override
        def pages(self, *args: Any, **params: Any) -> Any:
            released.wait(AGES)
            return iter(())

    with gives_up():
        (status,) = looked(Hanging(), ec2(), deadline=0.2)
    released.set()
    assert status == Status(State.TIMEOUT, detail=status.detail)
    assert "eu-central-1 " in status.detail
    assert "0.2 s" in status.detail


def test_a_fault_of_our_own_is_not_hidden() -> None:
    region = Region({"InstanceId": "i-1", "Tags": []})
    region.before["describe_instances"].append(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        looked(region, ec2())


def test_a_damaged_record_does_not_hide_the_others() -> None:
    region = Region(described("i-1"))
    handles = [{"of": "another driver"}, ec2().handle()]
    found = inspect_handles(handles, deadline=LIMIT, account=lambda *_: region)
    assert [status.state for status in found] == [State.ERROR, State.RUNNING]
    assert "damaged" in found[0].detail


def test_nothing_is_asked_for_nothing() -> None:
    assert inspect_all([], deadline=1) == []


# Asked too much.


@pytest.mark.parametrize("fault", [refusal("RequestLimitExceeded"), refusal("Throttling"), Trouble("503")])
def test_who_is_asked_too_much_is_asked_again_while_there_is_time(fault: PymachineError) -> None:
    region = Region(described("i-1"))
    region.before["describe_instances"] += [fault] * 5
    (status,) = inspect_all([ec2()], deadline=10, account=lambda *_: region, clock=region.time.clock)
    assert status.state is State.RUNNING
    assert 3 < region.time.seconds < 10


def test_who_goes_on_refusing_is_named_before_the_time_is_up() -> None:
    region = Region(described("i-1"))
    region.before["describe_instances"] += [refusal("RequestLimitExceeded", "too fast")] * 1000
    (status,) = inspect_all([ec2()], deadline=10, account=lambda *_: region, clock=region.time.clock)
    assert status.state is State.UNKNOWN
    assert "RequestLimitExceeded" in status.detail
    assert 6 < region.time.seconds < 10


@pytest.mark.parametrize("fault", [refusal("UnauthorizedOperation"), Unreachable("no route"), CheckFailed("expired")])
def test_what_asking_again_does_not_mend_is_told_at_once(fault: PymachineError) -> None:
    region = Region(described("i-1"))
    region.before["describe_instances"].append(fault)
    (status,) = inspect_all([ec2()], deadline=10, account=lambda *_: region, clock=region.time.clock)
    assert (status.state, status.detail) == (State.UNKNOWN, fault.message)
    assert len(region.calls) == 1
