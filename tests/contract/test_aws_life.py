"""The life of instances, through boto3 and HTTP, against an EC2 that is as strict as AWS."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from contract.conftest import Address, Client
from contract.sshd import Sshd
from lab.ec2.faults import error_before
from lab.ec2.server import Ec2Server
from patience import LIMIT
from pymachine.driver import Handle, Leftover, Request, Search
from pymachine.errors import DriverError, NotSupported, TransportError
from pymachine.model import SshAddress, State
from pymachine.transport import Command
from pymachine_aws import AwsDriver, AwsOptions
from pymachine_aws.api import AwsAccount
from pymachine_aws.console_key import host_key
from pymachine_aws.handle import Ec2
from pymachine_aws.ssh_proxy import proxy_words

REGIONS = ("us-east-1", "eu-central-1")
STORE = "this-store"


@pytest.fixture
def driver(ec2: Ec2Server, monkeypatch: pytest.MonkeyPatch) -> AwsDriver:
    """The driver, with credentials, and no way to AWS itself."""
    for name, value in ec2.environ().items():
        monkeypatch.setenv(name, value)
    return AwsDriver()


def tags_of(machine: str, store: str = STORE) -> list[dict[str, str]]:
    tags = {"Name": machine, "pymachine:id": machine, "pymachine:name": machine, "pymachine:store": store}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def launched(
    ec2: Ec2Server, machine: str, *, count: int = 1, region: str = REGIONS[0], store: str = STORE, **more: Any
) -> list[Ec2]:
    """Instances that run, and the handles of machines that own them."""
    client = ec2.client(region=region)
    image = client.describe_images(Filters=[{"Name": "name", "Values": ["debian-13-amd64-*"]}])["Images"][0][
        "ImageId"
    ]
    made = client.run_instances(
        ImageId=image, InstanceType="t3.small", MinCount=count, MaxCount=count,
        MetadataOptions={"HttpTokens": "required"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags_of(machine, store)}], **more,
    )["Instances"]  # fmt: skip
    for instance in made:
        ec2.settle(instance["InstanceId"], "running")
    for _ in range(2):  # until all of them show
        client.describe_instances()
    return [
        Ec2(region=region, id=machine, instance=instance["InstanceId"], endpoint_url=ec2.url, user="admin")
        for instance in made
    ]


@contextmanager
def counted(ec2: Ec2Server) -> Iterator[list[str]]:
    """The actions within the block, filled in at its end."""
    before, actions = len(ec2.actions()), list[str]()
    yield actions
    actions += ec2.actions()[before:]


def state_of(driver: AwsDriver, machine: Ec2) -> State:
    return driver.inspect(machine.handle(), deadline=LIMIT).state


def test_a_hundred_machines_in_two_regions_take_two_questions(ec2: Ec2Server, driver: AwsDriver) -> None:
    machines = [each for region in REGIONS for each in launched(ec2, "m", count=50, region=region)]
    with counted(ec2) as actions:
        found = driver.inspect_all([each.handle() for each in machines], deadline=LIMIT)
    assert actions == ["DescribeInstances"] * 2
    assert [status.state for status in found] == [State.RUNNING] * 100
    assert all(status.addresses for status in found)


def test_one_unknown_instance_does_not_hide_the_others(ec2: Ec2Server, driver: AwsDriver) -> None:
    (machine,) = launched(ec2, "m")
    lost = machine.with_(instance="i-0123456789abcdef0")
    found = driver.inspect_all([lost.handle(), machine.handle()], deadline=LIMIT)
    assert [status.state for status in found] == [State.MISSING, State.RUNNING]


def test_stop_and_start_lead_to_another_address_that_is_told(ec2: Ec2Server, driver: AwsDriver) -> None:
    (machine,) = launched(ec2, "m")
    before = driver.whereabouts(machine.handle())
    driver.stop(machine.handle())
    assert state_of(driver, machine) is State.STOPPED
    with pytest.raises(DriverError, match="stopped"):
        driver.whereabouts(machine.handle())
    driver.start(machine.handle())
    after = driver.whereabouts(machine.handle())
    assert before.ssh is not None
    assert after.ssh is not None
    assert after.ssh.host != before.ssh.host
    assert after.handle == before.handle


def test_each_switch_can_be_thrown_twice(ec2: Ec2Server, driver: AwsDriver) -> None:
    (machine,) = launched(ec2, "m")
    driver.start(machine.handle())
    for _ in range(2):
        driver.kill(machine.handle())
    driver.stop(machine.handle())
    assert state_of(driver, machine) is State.STOPPED
    for _ in range(2):
        driver.start(machine.handle())
    assert state_of(driver, machine) is State.RUNNING


def test_start_of_one_that_is_just_stopping_waits_for_that(ec2: Ec2Server, driver: AwsDriver) -> None:
    (machine,) = launched(ec2, "m")
    ec2.set(stopping_ms=4000)
    ec2.client().stop_instances(InstanceIds=[machine.instance])
    assert state_of(driver, machine) is State.STOPPING
    driver.start(machine.handle())
    assert state_of(driver, machine) is State.RUNNING


def test_an_instance_that_was_terminated_elsewhere_is_shown_so_and_in_time_forgotten(
    ec2: Ec2Server, driver: AwsDriver
) -> None:
    (machine,) = launched(ec2, "m")
    ec2.client().terminate_instances(InstanceIds=[machine.instance])
    ec2.settle(machine.instance, "terminated")
    status = driver.inspect(machine.handle(), deadline=LIMIT)
    assert status.state is State.MISSING
    assert status.detail == "terminated: User initiated shutdown"
    with pytest.raises(DriverError, match=r"is terminated.*"):
        driver.start(machine.handle())
    ec2.forget(machine.instance)
    assert driver.inspect(machine.handle(), deadline=LIMIT).detail.endswith(machine.instance)


def test_a_spot_instance_cannot_be_stopped_and_that_is_explained(ec2: Ec2Server, driver: AwsDriver) -> None:
    (machine,) = launched(ec2, "m", InstanceMarketOptions={"MarketType": "spot"})
    with pytest.raises(NotSupported, match="one-time"):
        driver.stop(machine.handle())


def test_an_api_that_is_gone_is_a_status_within_the_deadline(ec2: Ec2Server, driver: AwsDriver) -> None:
    (machine,) = launched(ec2, "m")
    away = machine.with_(endpoint_url="http://127.0.0.1:9")
    status, sound = driver.inspect_all([away.handle(), machine.handle()], deadline=LIMIT)
    assert status.state is State.UNKNOWN
    assert "127.0.0.1:9 " in status.detail
    assert sound.state is State.RUNNING


def test_an_instance_of_others_is_adopted_as_it_is(ec2: Ec2Server, driver: AwsDriver) -> None:
    (machine,) = launched(ec2, "not-ours")
    adopting = driver.adopting()
    options = AwsOptions(aws_region=REGIONS[0], aws_endpoint_url=ec2.url, aws_insecure_transport=True)
    request = Request("node1", "m-1", options, 2376, adopted=machine.instance)
    remembered: list[Handle] = []
    with counted(ec2) as actions:
        adopting.check(request)
        found = adopting.create(request, remembered.append)
        adopting.destroy(found.handle)
    assert set(actions) == {"DescribeInstances", "DescribeImages"}
    assert found.own_key
    assert found.ssh is not None
    assert (found.ssh.user, found.ssh.host) == ("admin", found.addresses[1])
    assert driver.inspect(remembered[0], deadline=LIMIT).state is State.RUNNING
    driver.destroy(remembered[0])
    assert ec2.billed() == [machine.instance]


def search(known: dict[str, Any] | None = None) -> Search:
    return Search(AwsOptions(aws_region=REGIONS[0], aws_insecure_transport=True), STORE, known or {})


def strewn(ec2: Ec2Server) -> tuple[Ec2, Ec2, Ec2]:
    """One of everything with our tags: instances of a machine that is gone, of a known one, and of another store."""
    client = ec2.client()
    group = client.create_security_group(
        GroupName="pymachine", Description="x", VpcId=client.describe_vpcs()["Vpcs"][0]["VpcId"],
        TagSpecifications=[
            {"ResourceType": "security-group", "Tags": [{"Key": "pymachine:group", "Value": "machines"}]}
        ],
    )["GroupId"]  # fmt: skip
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJe0S4yS5PyN1Y4yjxJkzMEz1nPUKIiDbkSgXrnJ8V9K"
    client.import_key_pair(
        KeyName="pymachine-gone", PublicKeyMaterial=public.encode(),
        TagSpecifications=[{"ResourceType": "key-pair", "Tags": tags_of("gone")}],
    )  # fmt: skip
    client.create_volume(
        AvailabilityZone="us-east-1a", Size=1, VolumeType="gp3",
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags_of("gone")}],
    )  # fmt: skip
    (gone,) = launched(ec2, "gone", SecurityGroupIds=[group])
    (kept,) = launched(ec2, "kept")
    (theirs,) = launched(ec2, "theirs", store="another-store")
    return gone, kept, theirs


def removed(driver: AwsDriver, found: list[Leftover]) -> None:
    for each in found:
        if each.ours:
            driver.discard(each)


def test_what_is_left_over_is_found_and_removed_and_nothing_else(ec2: Ec2Server, driver: AwsDriver) -> None:
    gone, kept, theirs = strewn(ec2)
    known = {"kept": kept.handle()}
    with counted(ec2) as actions:
        found = list(driver.leftovers(search(known)))
    assert all(action.startswith("Describe") for action in actions)
    assert [each.kind for each in found if each.ours] == ["instance", "volume", "key pair", "security group"]
    assert [each.id for each in found if each.kind == "instance"] == [gone.instance, theirs.instance]
    removed(driver, found)
    again = list(driver.leftovers(search(known)))
    assert [(each.id, each.ours) for each in again] == [(theirs.instance, False)]
    assert sorted(ec2.billed()) == sorted([kept.instance, theirs.instance])
    removed(driver, found)  # what is gone is no error


def test_leftovers_are_looked_for_where_known_machines_are(ec2: Ec2Server, driver: AwsDriver) -> None:
    (known,) = launched(ec2, "kept", region=REGIONS[1])
    (gone,) = launched(ec2, "gone", region=REGIONS[1])
    assert list(driver.leftovers(search())) == [], "in the region of the options alone"
    (found,) = driver.leftovers(search({"kept": known.handle()}))
    assert (found.id, found.place) == (gone.instance, REGIONS[1])
    driver.discard(found)
    assert ec2.billed() == [known.instance]


def test_leftovers_of_every_region_are_found_though_one_refuses(ec2: Ec2Server, driver: AwsDriver) -> None:
    gone = [launched(ec2, "gone", region=region)[0].instance for region in (*REGIONS, "sa-east-1")]
    ec2.inject(error_before("UnauthorizedOperation", "You may not.", 403, region="eu-west-2", times=1000))
    told: list[str] = []
    everywhere = AwsOptions(aws_region="all", aws_insecure_transport=True)
    found = list(driver.leftovers(Search(everywhere, STORE, {}, told.append)))
    assert sorted(each.id for each in found) == sorted(gone)
    (line,) = told
    assert " in eu-west-2: " in line
    assert "may not" in line


def test_a_region_that_is_asked_for_and_refuses_is_an_error(ec2: Ec2Server, driver: AwsDriver) -> None:
    ec2.inject(error_before("UnauthorizedOperation", "You may not.", 403, region=REGIONS[0], times=1000))
    with pytest.raises(DriverError, match="may not"):
        driver.leftovers(search())


def test_a_launch_that_nobody_remembers_is_no_leftover_while_its_machine_is_known(
    ec2: Ec2Server, driver: AwsDriver
) -> None:
    launched(ec2, "begun")
    assert list(driver.leftovers(search({"begun": {}}))) == []
    assert len(driver.leftovers(search())) == 1


def test_the_host_key_is_read_off_the_console(ec2: Ec2Server, driver: AwsDriver, sshd: Sshd) -> None:
    (machine,) = launched(ec2, "m")
    lines = [f"{sshd.public_key(kind)} root@host" for kind in ("rsa", "ecdsa", "ed25519")]
    block = ["-----BEGIN SSH HOST KEY KEYS-----", *lines, "-----END SSH HOST KEY KEYS-----"]
    ec2.console(machine.instance, "".join(f"[   20.1] cloud-init[8]: {line}\r\n" for line in block))
    assert host_key(AwsAccount.of(machine), machine, progress=lambda _: None) == sshd.public_key("ed25519")


def test_a_host_is_reached_by_instance_connect_through_the_installed_program(
    ec2: Ec2Server, driver: AwsDriver, client: Client, sshd: Sshd, key: Path
) -> None:
    (machine,) = launched(ec2, "m")
    public = key.with_suffix(".pub").read_text().strip()
    machine = machine.with_(via="instance-connect", public_key=public, user="root")
    address = SshAddress("127.0.0.1", sshd.port, "root", str(key), proxy=proxy_words(machine))
    assert client(address).run(Command.of("echo", "reached")).text == "reached\n"
    (sent,) = ec2.sent_keys()
    assert (sent["instance"], sent["user"], sent["key"]) == (machine.instance, "root", public)


# What the real plugin does, less the stream through AWS: the session from its variable, then bytes to the port.
PLUGIN = f"""#!{sys.executable}
import json, os, sys
if sys.argv[1:] == ["--version"]:
    raise SystemExit(print("1.2.707.0"))
session = json.loads(os.environ[sys.argv[1]])
assert session["TokenValue"] and session["TokenValue"] not in " ".join(sys.argv)
from pymachine.transport.dial import dial
from pymachine_aws.ssh_proxy import carry
carry(dial("127.0.0.1", int(json.loads(sys.argv[5])["Parameters"]["portNumber"][0]), deadline=5), 0, 1)
"""


def test_a_host_is_reached_by_session_manager_through_its_plugin(
    ec2: Ec2Server,
    driver: AwsDriver,
    client: Client,
    address: Address,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (machine,) = launched(ec2, "m")
    way = address(host="10.0.0.9", proxy=proxy_words(machine.with_(via="ssm")))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(TransportError, match="session-manager-plugin ") as fault:
        client(way, retry_for=30)
    assert not fault.value.retryable
    (tmp_path / "session-manager-plugin").write_text(PLUGIN)
    (tmp_path / "session-manager-plugin").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert client(way).run(Command.of("echo", "reached")).text == "reached\n"
    (session,) = ec2.calls("StartSession")
    assert session.params["Target"] == machine.instance
