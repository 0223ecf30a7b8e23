"""Where an instance is."""

from __future__ import annotations

import pytest

from pymachine.errors import DriverError
from pymachine_aws import current_address
from unit.aws_life import Region, described, ec2


def test_an_instance_that_runs_is_told_with_its_login_and_all_addresses() -> None:
    machine = ec2(ssh_port=2222)
    found = current_address.find(machine, Region(described("i-1")))
    assert found.ssh is not None
    assert (found.ssh.host, found.ssh.port, found.ssh.user, found.ssh.proxy) == ("198.51.100.7", 2222, "ubuntu", ())
    assert {"198.51.100.7", "10.0.0.7"} <= set(found.addresses)
    assert found.handle == machine.handle()


def test_the_way_in_is_told_with_it() -> None:
    found = current_address.find(ec2(via="ssm", address="private"), Region(described("i-1")))
    assert found.ssh is not None
    assert found.ssh.host == "10.0.0.7"
    assert found.ssh.proxy[:2] == ("pymachine-aws-connect", "ssm")


@pytest.mark.parametrize(
    ("state", "hint"), [("stopped", "pymachine start"), ("terminated", "pymachine rm"), ("pending", "moment")]
)
def test_one_that_does_not_run_is_nowhere(state: str, hint: str) -> None:
    with pytest.raises(DriverError, match=f"i-1 in eu-central-1 is {state}") as fault:
        current_address.find(ec2(), Region(described("i-1", state)))
    assert hint in (fault.value.hint or "")


@pytest.mark.parametrize(
    ("instance", "said", "hint"),
    [("i-9", "instance i-9", "pymachine rm"), ("", "instance", "create")],
)
def test_one_that_is_not_there_is_an_error(instance: str, said: str, hint: str) -> None:
    with pytest.raises(DriverError, match=said) as fault:
        current_address.find(ec2(instance), Region())
    assert hint in (fault.value.hint or "")
