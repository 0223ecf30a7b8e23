"""The host key off the console: cloud-init's list among everything else that is printed there."""

from __future__ import annotations

import pytest

from pymachine.errors import DriverError
from pymachine_aws.console_key import find_key, host_key
from unit.aws_life import Region, Told, ec2, refusal

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJe0S4yS5PyN1Y4yjxJkzMEz1nPUKIiDbkSgXrnJ8V9K"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ=="


def console(*keys: str, prefix: str = "", end: str = "\r\n") -> str:
    lines = ["-----BEGIN SSH HOST KEY KEYS-----", *(f"{key} root@ip-10-0-0-7" for key in keys)]
    lines.append("-----END SSH HOST KEY KEYS-----")
    return f"[    0.0] Linux{end}" + "".join(f"{prefix}{line}{end}" for line in lines) + f"login: {end}"


@pytest.mark.parametrize("prefix", ["", "[   12.345678] cloud-init[812]: ", "<14>Nov 25 10:00:00 ec2: "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_best_key_is_found_among_what_else_is_printed(prefix: str, end: str) -> None:
    assert find_key(console(RSA, ED25519, prefix=prefix, end=end)) == ED25519


def test_an_rsa_key_will_do() -> None:
    assert find_key(console(RSA)) == RSA


def test_the_last_boot_counts() -> None:
    assert find_key(console(OTHER) + console(ED25519)) == ED25519


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{ED25519} root@somewhere else\n",
        console(ED25519).partition("-----END")[0],
        console("ssh-ed25519 AAAAC3NzaC1lZDI1"),
        console("ssh-ed25519 AAAAC3Nz[ 12.3] audit: x"),
    ],
    ids=["nothing", "no list", "half a list", "half a key", "broken by the kernel"],
)
def test_what_is_not_whole_is_no_key(text: str) -> None:
    assert find_key(text) is None


def test_the_console_is_asked_until_it_shows_the_key() -> None:
    region, told = Region(), Told()
    region.answers["get_console_output"] += [{}, {"Output": "booting"}, {"Output": console(ED25519)}]
    assert host_key(region, ec2(), progress=told.progress.append, clock=region.time.clock) == ED25519
    assert [params for _, params in region.calls] == [{"InstanceId": "i-1", "Latest": True}] * 3
    assert region.time.seconds == 10
    assert [line.endswith(" i-1") for line in told.progress] == [True]


def test_a_type_that_cannot_show_the_latest_is_asked_for_what_was_posted() -> None:
    region = Region()
    region.before["get_console_output"].append(refusal("UnsupportedOperation"))
    region.answers["get_console_output"] += [{"Output": ""}, {"Output": console(ED25519)}]
    assert host_key(region, ec2(), progress=print, clock=region.time.clock) == ED25519
    assert ["Latest" in params for _, params in region.calls] == [True, False, False]


def test_an_instance_that_does_not_show_yet_is_waited_for() -> None:
    region = Region()
    region.before["get_console_output"].append(refusal("InvalidInstanceID.NotFound"))
    region.answers["get_console_output"].append({"Output": console(ED25519)})
    assert host_key(region, ec2(), progress=print, clock=region.time.clock) == ED25519


def test_a_console_without_key_is_an_error_that_says_how_to_do_without() -> None:
    region = Region()
    with pytest.raises(DriverError, match=r" i-1 .* 60 s") as fault:
        host_key(region, ec2(), progress=print, deadline=60, clock=region.time.clock)
    assert "--aws-host-key first-contact" in (fault.value.hint or "")
    assert region.time.seconds <= 60


def test_a_refusal_is_no_reason_to_wait() -> None:
    region = Region()
    region.before["get_console_output"].append(refusal("UnauthorizedOperation", "not allowed"))
    with pytest.raises(DriverError, match="not allowed"):
        host_key(region, ec2(), progress=print, clock=region.time.clock)
    assert len(region.calls) == 1
