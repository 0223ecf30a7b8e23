"""Launching: what is remembered when, and one instance at most whatever goes wrong."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pymachine.driver import Instance
from pymachine.errors import CheckFailed, DriverError, UsageFault
from pymachine_aws import launch as aws_launch
from pymachine_aws import tags
from pymachine_aws.api import ApiError
from pymachine_aws.config import LaunchConfig
from pymachine_aws.error_codes import NoRoom
from pymachine_aws.handle import Ec2
from pymachine_aws.launch import Launch, Means
from pymachine_aws.site import Site, VpcSubnet
from unit.aws_cloud import Cloud, lost, refusal
from unit.aws_wishes import FIRST, LOGIN, MACHINE, PLAIN, SECOND, SITE, access, request, way


def from_here(wanted: LaunchConfig, subnet: VpcSubnet) -> tuple[str, ...]:
    return wanted.access.allow or ("203.0.113.9/32",)


FULL = "InsufficientInstanceCapacity"


@dataclass
class Creating:
    """Creates of one machine in one cloud; what is remembered lasts from one to the next."""

    cloud: Cloud = field(default_factory=Cloud)
    handle: Mapping[str, Any] | None = None
    told: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def create(self, wanted: LaunchConfig = PLAIN, site: Site = SITE, **changes: Any) -> Instance:
        asked = request(resume=self.handle, progress=self.told.append, notice=self.notices.append, **changes)
        means = Means(self.cloud, self.cloud.time.clock, from_here)
        return Launch(asked, wanted, site, self.remember, means).instance()

    def remember(self, handle: Mapping[str, Any]) -> None:
        self.handle = dict(handle)
        self.cloud.calls.append(("remember", self.handle))

    @property
    def ec2(self) -> Ec2:
        assert self.handle is not None
        return Ec2.of(self.handle)

    def fail(self, error: BaseException, wanted: LaunchConfig = PLAIN) -> None:
        with pytest.raises(type(error)):
            self.create(wanted)


@pytest.fixture
def creating() -> Creating:
    return Creating()


def tokens_of(cloud: Cloud) -> list[str]:
    return [params["ClientToken"] for name, params in cloud.calls if name == "run_instances"]


# A plain create.


def test_the_instance_is_told_with_all_its_addresses_and_the_images_account(creating: Creating) -> None:
    made = creating.create()
    assert made.ssh is not None
    assert (made.ssh.host, made.ssh.port, made.ssh.user) == ("198.51.100.7", 22, "ubuntu")
    assert made.addresses == ("10.0.0.5", "198.51.100.7", "ip-10-0-0-5.internal", "ec2-198-51-100-7.example")
    assert made.handle == creating.handle


def test_token_and_request_are_remembered_before_the_launch_and_the_instance_right_after(creating: Creating) -> None:
    creating.create()
    names = [name for name, _ in creating.cloud.calls]
    launch = names.index("run_instances")
    assert names[launch - 1] == names[launch + 1] == "remember"
    before, after = creating.cloud.calls[launch - 1][1], creating.cloud.calls[launch + 1][1]
    assert before["token"] == tokens_of(creating.cloud)[0]
    assert before["digest"]
    assert (before["instance"], after["instance"]) == ("", "i-0001")


def test_the_vpc_is_remembered_before_the_group_is_made(creating: Creating) -> None:
    creating.create()
    names = [name for name, _ in creating.cloud.calls]
    first = names.index("remember")
    assert creating.cloud.calls[first][1]["vpc"] == "vpc-1"
    assert first < names.index("create_security_group")


def test_a_create_makes_as_few_calls_as_it_can(creating: Creating) -> None:
    creating.cloud.boot = 2.0
    creating.create()
    assert [name for name, _ in creating.cloud.calls if name != "remember"] == [
        "describe_security_groups",
        "create_security_group",
        "authorize_security_group_ingress",
        "run_instances",
        "describe_instances",
        "describe_instances",
    ]


def test_given_groups_are_used_and_none_is_made(creating: Creating) -> None:
    theirs = creating.cloud.add_group("theirs", [])
    creating.create(site=replace(SITE, groups=(theirs,)))
    assert creating.cloud.last("run_instances")["NetworkInterfaces"][0]["Groups"] == [theirs]
    assert creating.cloud.count("create_security_group") == 0
    assert creating.ec2.vpc == ""


def test_our_group_opens_ssh_engine_and_asked_ports_to_where_we_come_from(creating: Creating) -> None:
    creating.create(access(allow=()))
    (opened,) = [p for name, p in creating.cloud.calls if name == "authorize_security_group_ingress"]
    assert [(p["FromPort"], p["IpRanges"][0]["CidrIp"]) for p in opened["IpPermissions"]] == [
        (22, "203.0.113.9/32"),
        (2376, "203.0.113.9/32"),
    ]


def test_through_session_manager_no_ssh_port_is_opened(creating: Creating) -> None:
    made = creating.create(way(via="ssm"))
    opened = creating.cloud.last("authorize_security_group_ingress")["IpPermissions"]
    assert [entry["FromPort"] for entry in opened] == [2376]
    assert made.ssh is not None
    assert made.ssh.proxy[:2] == ("pymachine-aws-connect", "ssm")


def test_an_imported_key_is_remembered_before_it_is_there(creating: Creating) -> None:
    creating.cloud.before["import_key_pair"] = [KeyboardInterrupt()]
    creating.fail(KeyboardInterrupt(), access(import_key=True))
    assert creating.ec2.key_pair == "pymachine-node1-0c58dbd2"
    creating.create(access(import_key=True))
    assert creating.cloud.last("run_instances")["KeyName"] in creating.cloud.keys


def test_a_missing_address_of_the_wanted_kind_is_said_with_a_way_out(creating: Creating) -> None:
    creating.cloud.public = False
    with pytest.raises(DriverError, match="no public IPv4 address") as caught:
        creating.create()
    assert "--aws-address private" in str(caught.value.hint)
    creating.create(way(address="private"))
    assert creating.cloud.count("run_instances") == 1


def test_a_public_address_that_shows_after_the_instance_runs_is_waited_for(creating: Creating) -> None:
    cloud = creating.cloud
    cloud.public = False
    cloud.time.later(12.0, lambda: cloud.instances["i-0001"].update(PublicIpAddress="198.51.100.9"))
    made = creating.create()
    assert made.ssh is not None
    assert made.ssh.host == "198.51.100.9"


def test_the_host_key_is_read_from_the_console_where_that_is_wanted(creating: Creating) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9vYm9vYm9vYm9vYm9vYm9vYm9vYm9vYm9vYm9vYm9v"
    creating.cloud.console = f"-----BEGIN SSH HOST KEY KEYS-----\n{key}\n-----END SSH HOST KEY KEYS-----\n"
    made = creating.create(way(host_key="console"))
    assert made.ssh is not None
    assert made.ssh.host_key == key


def test_the_key_that_instance_connect_sends_is_on_record(creating: Creating) -> None:
    made = creating.create(way(via="instance-connect"))
    assert creating.ec2.public_key == LOGIN.public_key
    assert made.ssh is not None
    assert LOGIN.public_key in made.ssh.proxy


# One instance at most.


@pytest.mark.parametrize("error", [lost(), refusal("RequestLimitExceeded"), refusal("InvalidKeyPair.NotFound")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_may_have_worked_is_asked_again_with_the_same_token(
    creating: Creating, error: DriverError, when: str
) -> None:
    getattr(creating.cloud, when)["run_instances"] = [error, error]
    creating.create()
    assert len(tokens_of(creating.cloud)) == 3
    assert len(set(tokens_of(creating.cloud))) == 1
    assert len(creating.cloud.instances) == 1


def test_an_instance_profile_that_iam_has_just_made_is_waited_for(creating: Creating) -> None:
    late = refusal("InvalidParameterValue", "Value (x) for parameter iamInstanceProfile.name is invalid")
    creating.cloud.before["run_instances"] = [late, late]
    creating.create()
    assert len(creating.cloud.instances) == 1


@pytest.mark.parametrize("operation", ["run_instances", "describe_instances", "create_security_group"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_create_goes_on_with_the_same_instance(creating: Creating, operation: str, when: str) -> None:
    getattr(creating.cloud, when)[operation] = [KeyboardInterrupt()]
    creating.fail(KeyboardInterrupt())
    creating.create()
    assert len(creating.cloud.instances) == 1
    assert len(creating.cloud.groups) == 1


def test_an_unanswered_launch_is_given_up_and_taken_up_again(creating: Creating) -> None:
    creating.cloud.after["run_instances"] = [lost() for _ in range(20)]
    creating.fail(lost())
    creating.cloud.after.clear()
    creating.create()
    assert len(creating.cloud.instances) == 1


def test_a_launch_that_was_begun_in_another_zone_goes_on_there(creating: Creating) -> None:
    creating.cloud.before["run_instances"] = [refusal(FULL), KeyboardInterrupt()]
    creating.fail(KeyboardInterrupt())
    creating.create()
    assert tokens_of(creating.cloud)[1] == tokens_of(creating.cloud)[2]
    assert creating.cloud.last("run_instances")["NetworkInterfaces"][0]["SubnetId"] == "subnet-b"


def test_other_options_do_not_launch_a_second_one_beside_the_first(creating: Creating) -> None:
    creating.cloud.unseen = 4.0
    creating.cloud.after["run_instances"] = [KeyboardInterrupt()]
    creating.fail(KeyboardInterrupt())
    creating.create(replace(PLAIN, monitoring=True))
    assert len(creating.cloud.instances) == 1
    assert any("other options" in text for text in creating.notices)


def test_other_options_launch_anew_where_nothing_came_of_the_first(creating: Creating) -> None:
    creating.cloud.before["run_instances"] = [KeyboardInterrupt()]
    creating.fail(KeyboardInterrupt())
    creating.create(replace(PLAIN, monitoring=True))
    assert len(set(tokens_of(creating.cloud))) == 2
    assert len(creating.cloud.instances) == 1


def test_a_first_instance_that_shows_late_beside_one_with_other_options_does_not_stay(creating: Creating) -> None:
    creating.cloud.unseen = 8.0
    creating.cloud.boot = 10.0
    creating.cloud.after["run_instances"] = [KeyboardInterrupt()]
    creating.fail(KeyboardInterrupt())
    creating.create(replace(PLAIN, monitoring=True))
    assert creating.cloud.live == [creating.ec2.instance] == ["i-0002"]


def test_an_instance_that_is_found_again_and_ends_for_want_of_room_is_replaced(creating: Creating) -> None:
    creating.cloud.before["describe_instances"] = [KeyboardInterrupt()]
    creating.fail(KeyboardInterrupt())
    creating.cloud.ends = [("Server.InsufficientInstanceCapacity", "no capacity")]
    creating.create()
    assert creating.cloud.live == ["i-0002"]


def test_credentials_of_another_account_launch_no_second_one(creating: Creating) -> None:
    creating.create()
    creating.cloud = Cloud()
    creating.cloud.owner = "999999999999"
    with pytest.raises(DriverError, match="account 123456789012"):
        creating.create()
    assert (creating.cloud.live, creating.cloud.groups) == ([], {})


def test_an_instance_that_does_not_show_yet_is_not_taken_for_gone(creating: Creating) -> None:
    creating.cloud.unseen = 30.0
    creating.cloud.before["describe_instances"] = [KeyboardInterrupt()]
    creating.fail(KeyboardInterrupt())
    creating.create()
    assert len(creating.cloud.instances) == 1


def test_a_terminated_instance_is_replaced_by_one_with_a_token_of_its_own(creating: Creating) -> None:
    creating.create()
    creating.cloud.end("i-0001")
    creating.create()
    assert creating.ec2.instance == "i-0002"
    assert len(set(tokens_of(creating.cloud))) == 2
    assert any("i-0001 is gone" in text for text in creating.notices)


def test_a_token_whose_instance_is_terminated_makes_way_for_a_new_one(creating: Creating) -> None:
    creating.cloud.after["run_instances"] = [KeyboardInterrupt()]
    creating.fail(KeyboardInterrupt())
    creating.cloud.end("i-0001")
    creating.create()
    assert creating.cloud.live == ["i-0002"]


@pytest.mark.parametrize("state", ["stopped", "running"])
def test_a_create_that_goes_on_finds_its_instance_and_has_it_run(creating: Creating, state: str) -> None:
    creating.create()
    creating.cloud.instances["i-0001"]["State"] = {"Name": state}
    creating.create()
    assert creating.cloud.count("run_instances") == 1
    assert creating.cloud.count("start_instances") == (1 if state == "stopped" else 0)
    assert creating.cloud.instances["i-0001"]["State"]["Name"] == "running"


def test_a_request_that_ec2_takes_for_another_finds_what_it_came_to(creating: Creating) -> None:
    creating.cloud.after["run_instances"] = [KeyboardInterrupt()]
    creating.fail(KeyboardInterrupt())
    creating.cloud.before["run_instances"] = [refusal("IdempotentParameterMismatch")]
    creating.create()
    assert creating.cloud.live == ["i-0001"]


def test_another_region_is_refused_while_something_is_left_in_the_first(creating: Creating) -> None:
    creating.create()
    creating.cloud = Cloud("us-east-1")
    with pytest.raises(CheckFailed, match="half-made in eu-central-1"):
        creating.create()


# No room.


@pytest.mark.parametrize("code", [FULL, "Unsupported", "InsufficientFreeAddressesInSubnet", "SpotMaxPriceTooLow"])
def test_no_room_leads_to_the_next_attempt_and_says_so(creating: Creating, code: str) -> None:
    creating.cloud.before["run_instances"] = [refusal(code)]
    creating.create()
    assert creating.cloud.last("run_instances")["NetworkInterfaces"][0]["SubnetId"] == "subnet-b"
    assert len(set(tokens_of(creating.cloud))) == 2
    assert any("t3.small in eu-central-1a" in line for line in creating.told)
    assert any(text.startswith("launched as t3.small in eu-central-1b") for text in creating.notices)


def test_an_instance_that_ends_for_want_of_room_leads_to_the_next_attempt(creating: Creating) -> None:
    creating.cloud.ends = [("Server.InsufficientInstanceCapacity", "no capacity")]
    creating.create()
    assert creating.cloud.live == ["i-0002"]


def test_no_room_anywhere_lists_every_attempt_and_the_ways_out(creating: Creating) -> None:
    creating.cloud.before["run_instances"] = [refusal(FULL), refusal("SpotMaxPriceTooLow")]
    spot = replace(SITE, attempts=tuple(replace(each, market="spot") for each in (FIRST, SECOND)))
    with pytest.raises(DriverError) as caught:
        creating.create(replace(PLAIN, markets=("spot",)), site=spot)
    assert not isinstance(caught.value, NoRoom)
    assert "t3.small in eu-central-1a (spot)" in caught.value.message
    assert "SpotMaxPriceTooLow" in caught.value.message
    assert "--aws-spot-fallback" in str(caught.value.hint)


def test_the_market_of_what_was_launched_is_remembered(creating: Creating) -> None:
    creating.create(site=replace(SITE, attempts=(replace(FIRST, market="spot"),)))
    assert creating.ec2.market == "spot"


QUOTAS = ["VcpuLimitExceeded", "InstanceLimitExceeded", "MaxSpotInstanceCountExceeded"]


@pytest.mark.parametrize("code", QUOTAS)
def test_a_quota_is_tried_once_for_a_type_and_a_market_not_in_each_zone(creating: Creating, code: str) -> None:
    zones = [replace(FIRST, subnet=replace(FIRST.subnet, id=f"subnet-{zone}", zone=zone)) for zone in "abcde"]
    other = replace(FIRST, type="c7i.large")
    spot = [replace(each, market="spot") for each in zones]
    creating.cloud.before["run_instances"] = [refusal(code)] * 3
    with pytest.raises(ApiError):
        creating.create(site=replace(SITE, attempts=(*spot, *zones, other, replace(other, subnet=SECOND.subnet))))
    asked = [params for name, params in creating.cloud.calls if name == "run_instances"]
    assert [(each["InstanceType"], "InstanceMarketOptions" in each) for each in asked] == [
        ("t3.small", True),
        ("t3.small", False),
        ("c7i.large", False),
    ]


def test_a_subnet_without_addresses_is_not_tried_with_another_type(creating: Creating) -> None:
    creating.cloud.before["run_instances"] = [refusal("InsufficientFreeAddressesInSubnet")]
    creating.create(site=replace(SITE, attempts=(FIRST, replace(FIRST, type="c7i.large"), SECOND)))
    asked = [params for name, params in creating.cloud.calls if name == "run_instances"]
    assert [each["InstanceType"] for each in asked] == ["t3.small", "t3.small"]


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (FULL, "--aws-instance-type"),
        ("InsufficientFreeAddressesInSubnet", "--aws-subnet"),
        ("SpotMaxPriceTooLow", "--aws-spot-price"),
        ("Unsupported", "describe-instance-type-offerings"),
        ("InsufficientVolumeCapacity", "--aws-volume-type"),
        *((code, "Service Quotas") for code in QUOTAS),
    ],
)
def test_no_room_says_what_mends_it(creating: Creating, code: str, hint: str) -> None:
    creating.cloud.before["run_instances"] = [refusal(code), refusal(code)]
    with pytest.raises(ApiError) as caught:
        creating.create()
    assert hint in str(caught.value.hint)
    assert ("quota" in caught.value.message) == (code in QUOTAS)


def test_an_end_for_want_of_room_says_what_mends_it_as_well(creating: Creating) -> None:
    creating.cloud.ends = [("Server.InsufficientInstanceCapacity", "no capacity")] * 2
    with pytest.raises(ApiError) as caught:
        creating.create()
    assert "--aws-instance-type" in str(caught.value.hint)


# Stop and tell.


@pytest.mark.parametrize("code", ["VcpuLimitExceeded", "UnauthorizedOperation", "InvalidParameterCombination"])
def test_limits_and_permissions_stop_at_once(creating: Creating, code: str) -> None:
    creating.cloud.before["run_instances"] = [refusal(code)]
    with pytest.raises(ApiError):
        creating.create()
    assert creating.cloud.count("run_instances") == 1


def test_an_end_before_running_is_told_in_ec2s_words_with_what_to_do(creating: Creating) -> None:
    creating.cloud.ends = [("Client.InternalError", "Client error on launch")]
    with pytest.raises(DriverError, match="Client error on launch") as caught:
        creating.create()
    assert "KMS" in str(caught.value.hint)
    creating.cloud.ends = [("Server.InternalError", "Internal error on launch")]
    with pytest.raises(DriverError) as caught:
        creating.create()
    assert "KMS" not in str(caught.value.hint)


def test_an_instance_that_never_runs_is_given_up_after_five_minutes(creating: Creating) -> None:
    creating.cloud.boot = 1e9
    with pytest.raises(DriverError, match="after 300 s"):
        creating.create()
    assert 300 <= creating.cloud.time.seconds < 320


# The group on the way.


def test_a_group_that_vanishes_before_the_launch_is_made_again(creating: Creating) -> None:
    cloud = creating.cloud

    def remember(handle: Mapping[str, Any]) -> None:
        creating.handle = dict(handle)
        if handle["token"] and cloud.count("create_security_group") == 1:
            cloud.groups.clear()  # as the rm of another last machine does, at this moment

    means = Means(cloud, cloud.time.clock, from_here)
    Launch(request(), PLAIN, SITE, remember, means).instance()
    assert cloud.count("create_security_group") == 2
    assert len(cloud.live) == 1
    assert creating.ec2.group in cloud.groups
    assert len(set(tokens_of(cloud))) == 2


def test_a_group_given_by_the_user_that_is_not_there_is_told(creating: Creating) -> None:
    with pytest.raises(ApiError, match="InvalidGroup"):
        creating.create(site=replace(SITE, groups=("sg-theirs",)))


def test_the_group_of_another_vpc_does_not_stay_behind(creating: Creating) -> None:
    creating.cloud.before["run_instances"] = [KeyboardInterrupt()]
    creating.fail(KeyboardInterrupt())
    (left,) = creating.cloud.groups
    creating.cloud.groups[left]["VpcId"] = "vpc-0"
    creating.cloud.groups[left]["GroupName"] = "elsewhere"
    creating.handle = creating.ec2.with_(vpc="vpc-0", group=left).handle()
    creating.create()
    assert left not in creating.cloud.groups
    assert creating.ec2.vpc == "vpc-1"


# Before anything.


def test_user_data_that_does_not_fit_is_refused_before_anything() -> None:
    noise = random.Random(1).randbytes(20_000).hex()
    with pytest.raises(UsageFault, match="EC2 allows 16384"):
        aws_launch.check(request(login=None), replace(PLAIN, user_data=f"#!/bin/sh\n# {noise}\n"))


def test_everything_made_at_the_launch_carries_the_machines_tags(creating: Creating) -> None:
    creating.create(replace(PLAIN, tags={"team": "red"}))
    for specification in creating.cloud.last("run_instances")["TagSpecifications"]:
        assert tags.read(specification) == {
            "Name": "node1",
            "team": "red",
            tags.ID: MACHINE,
            tags.NAME: "node1",
            tags.STORE: "store-1",
        }
