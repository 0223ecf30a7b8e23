"""Taking over instances that others launched: what is refused, what is remembered, and that nothing is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pymachine.driver import Adopts, Handle, InspectsTogether, Locates, Login, PowerControl, Request, TracksAddress
from pymachine.errors import CheckFailed, NotSupported, UsageFault
from pymachine_aws import AwsDriver
from pymachine_aws.adopt import AdoptedAws
from pymachine_aws.handle import Ec2
from pymachine_aws.options import AwsOptions
from unit.aws_life import Region, described

NAME = "i-0123456789abcdef0"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJe0S4yS5PyN1Y4yjxJkzMEz1nPUKIiDbkSgXrnJ8V9K"


def driver(region: Region) -> AdoptedAws:
    return AdoptedAws(lambda _: region, region.time.clock)


def request(name: str = NAME, login: Login | None = None, **options: Any) -> Request:
    given = {"aws_region": "eu-central-1", "aws_ssh_user": "admin", **options}
    return Request("node1", "m-1", AwsOptions(**given), 2376, adopted=name, login=login)


def taken(region: Region, asked: Request) -> tuple[Any, list[Handle]]:
    remembered: list[Handle] = []
    return driver(region).create(asked, remembered.append), remembered


def test_it_has_the_powers_over_instances_and_stays_when_forgotten() -> None:
    adopted = AwsDriver().adopting()
    for power in (Locates, TracksAddress, InspectsTogether, PowerControl):
        assert isinstance(adopted, power)
    assert not isinstance(adopted, Adopts)
    assert adopted.preexisting
    assert not isinstance(AwsDriver(), Locates)


@pytest.mark.parametrize("name", ["node1", "i-xyz", "i-123", "I-0123456789abcdef0", "i-0123456789abcdef0 "])
def test_what_is_no_id_is_a_usage_fault_before_any_call(name: str) -> None:
    region = Region()
    with pytest.raises(UsageFault, match="instance"):
        driver(region).check(request(name))
    assert region.calls == []


def test_an_unknown_instance_is_refused_with_a_word_on_regions() -> None:
    with pytest.raises(CheckFailed, match=f"no instance {NAME} in eu-central-1") as fault:
        driver(Region()).check(request())
    assert "--aws-region" in (fault.value.hint or "")


@pytest.mark.parametrize("state", ["stopped", "terminated", "pending", "stopping", "shutting-down"])
def test_one_that_does_not_run_is_refused(state: str) -> None:
    with pytest.raises(CheckFailed, match=f"{NAME} is {state}"):
        driver(Region(described(NAME, state))).check(request())


def test_one_without_the_wanted_address_is_refused_and_the_others_are_named() -> None:
    instance = described(NAME)
    del instance["PublicIpAddress"]
    with pytest.raises(CheckFailed, match="public address") as fault:
        driver(Region(instance)).check(request())
    assert fault.value.hint == "give --aws-address private"


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A key file of the user's."""
    (tmp_path / "mine").touch(0o600)
    return str(tmp_path / "mine")


def test_it_is_taken_as_it_is_and_remembered_as_not_ours(key: str) -> None:
    region = Region(described(NAME))
    found, remembered = taken(region, request(aws_ssh_key=key, aws_ssh_port=2222))
    assert found.own_key
    assert (found.ssh.host, found.ssh.port, found.ssh.user) == ("198.51.100.7", 2222, "admin")
    assert found.ssh.key_path == key
    assert "10.0.0.7" in found.addresses
    assert remembered == [found.handle]
    handle = Ec2.of(found.handle)
    assert (handle.adopted, handle.instance, handle.id, handle.token, handle.group) == (True, NAME, "m-1", "", "")
    assert {operation for operation, _ in region.calls} == {"describe_instances"}


def test_the_account_is_the_one_that_the_image_is_known_to_have() -> None:
    region = Region(described(NAME))
    region.things["Images"].append({"ImageId": "ami-1", "OwnerId": "1", "Name": "debian-13-amd64-x"})
    found, _ = taken(region, request(aws_ssh_user=None))
    assert found.ssh.user == "admin"


def test_an_image_that_says_nothing_of_its_account_is_a_usage_fault() -> None:
    with pytest.raises(UsageFault, match="image ami-1 ") as fault:
        driver(Region(described(NAME))).check(request(aws_ssh_user=None))
    assert "--aws-ssh-user" in (fault.value.hint or "")


def test_without_a_key_of_the_users_the_usual_ones_are_tried() -> None:
    found, _ = taken(Region(described(NAME)), request())
    assert found.own_key
    assert found.ssh.key_path is None


def test_through_instance_connect_our_own_key_gets_in() -> None:
    region = Region(described(NAME))
    asked = request(login=Login(KEY + "\n", "", b""), aws_ssh_via="instance-connect")
    found, _ = taken(region, asked)
    assert not found.own_key
    assert found.ssh.key_path is None
    assert KEY in found.ssh.proxy


def test_a_dry_run_through_instance_connect_has_no_key_to_send() -> None:
    with pytest.raises(NotSupported, match="beforehand"):
        driver(Region(described(NAME))).locate(request(aws_ssh_via="instance-connect"))


def test_through_session_manager_the_users_key_is_needed_all_the_same(key: str) -> None:
    found, _ = taken(Region(described(NAME)), request(aws_ssh_via="ssm", aws_ssh_key=key))
    assert found.own_key
    assert found.ssh.proxy[1] == "ssm"


def test_its_host_key_is_read_off_the_console_where_that_is_wanted() -> None:
    region = Region(described(NAME))
    text = f"-----BEGIN SSH HOST KEY KEYS-----\n{KEY} root@x\n-----END SSH HOST KEY KEYS-----\n"
    region.answers["get_console_output"].append({"Output": text})
    found, _ = taken(region, request(aws_host_key="console"))
    assert found.ssh.host_key == KEY


def test_letting_go_changes_nothing() -> None:
    region = Region(described(NAME))
    found, _ = taken(region, request())
    calls = list(region.calls)
    driver(region).destroy(found.handle)
    assert region.calls == calls
