"""Options of the aws driver: what they come to, and what is refused before anything goes over a network."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pymachine.errors import UsageFault
from pymachine_aws.config import LaunchConfig, PortRange, Volume
from pymachine_aws.options import AwsOptions
from pymachine_aws.parse_options import read_options

SUBNET = "subnet-0123456789abcdef0"
GROUP = "sg-0123456789abcdef0"


def read(**options: Any) -> LaunchConfig:
    return read_options(AwsOptions(**options))


def refusal(**options: Any) -> UsageFault:
    with pytest.raises(UsageFault) as refused:
        read(**options)
    assert refused.value.hint
    return refused.value


def test_without_options_it_is_a_small_ubuntu_with_an_encrypted_volume() -> None:
    wanted = read()

    assert wanted.image == "ubuntu-24.04"
    assert wanted.types == ("t3.small",)
    assert wanted.volume == Volume(16, "gp3", encrypted=True)
    assert wanted.markets == ("",)
    assert wanted.metadata_hops == 2
    assert (wanted.region, wanted.profile, wanted.endpoint_url) == (None, None, None)


@pytest.mark.parametrize(
    "name", ["eu-central-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1", "ap-southeast-7"]
)
def test_regions_of_every_partition_are_taken(name: str) -> None:
    assert read(aws_region=name).region == name


def test_a_zone_given_as_region_is_taken_apart_in_the_hint() -> None:
    assert "--aws-region eu-central-1 --aws-zone b" in str(refusal(aws_region="eu-central-1b").hint)


@pytest.mark.parametrize("zone", ["a", "eu-central-1a", "us-west-2-lax-1a", "us-east-1-wl1-bos-wlz-1a"])
def test_zones_are_letters_or_names_local_ones_too(zone: str) -> None:
    assert read(aws_zone=(zone,)).zones == (zone,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aws_region": "Frankfurt"}, "--aws-region: 'Frankfurt'"),
        ({"aws_zone": ("1a",)}, "--aws-zone: '1a'"),
        ({"aws_vpc": "vpc-12"}, "--aws-vpc: 'vpc-12'"),
        ({"aws_subnet": (SUBNET, "subnet-xyz")}, "--aws-subnet: 'subnet-xyz'"),
        ({"aws_security_group": ("sg-web",)}, "--aws-security-group: 'sg-web'"),
        ({"aws_image": "ami-123"}, "--aws-image: 'ami-123'"),
        ({"aws_instance_type": ("small",)}, "--aws-instance-type: 'small'"),
        ({"aws_instance_type": ()}, "--aws-instance-type"),
        ({"aws_profile": " "}, "--aws-profile"),
        ({"aws_key_pair": ""}, "--aws-key-pair"),
        ({"aws_ssh_port": 0}, "--aws-ssh-port 0"),
        ({"aws_ssh_user": "-oops"}, "'-oops'"),
        ({"aws_metadata_hops": 0}, "--aws-metadata-hops: 0"),
        ({"aws_metadata_hops": 65}, "--aws-metadata-hops: 65"),
        ({"aws_metadata_endpoint": "disabled"}, "--amazonec2-http-endpoint: 'disabled'"),
        ({"aws_access_key": "AKIA"}, "--amazonec2-secret-key"),
        ({"aws_secret_key": "secret", "aws_session_token": "token"}, "--amazonec2-access-key"),
        ({"aws_access_key": "AKIA", "aws_secret_key": "s", "aws_profile": "dev"}, "--amazonec2-access-key"),
        ({"aws_access_key": "AKIA", "aws_secret_key": "s", "aws_ssh_via": "ssm"}, "--aws-ssh-via"),
        ({"aws_retries": -2}, "--aws-retries: -2"),
        ({"aws_instance_profile": "a profile"}, "--aws-instance-profile: 'a profile'"),
        ({"aws_spot_price": "cheap"}, "--aws-spot-price: 'cheap'"),
        ({"aws_spot_price": "0.0"}, "--aws-spot-price: '0.0'"),
        ({"aws_endpoint_url": "ec2.example"}, "--aws-endpoint-url: 'ec2.example'"),
        ({"aws_endpoint_url": "https://host:x"}, "--aws-endpoint-url: 'https://host:x'"),
        ({"aws_checkip_url": "http://checkip.example"}, "--aws-checkip-url"),
        ({"aws_ssh_key": "/nowhere/key"}, "no file /nowhere/key"),
        ({"aws_user_data": "/nowhere/data"}, "--aws-user-data: /nowhere/data"),
    ],
)
def test_the_flag_and_its_value_are_named(options: dict[str, Any], said: str) -> None:
    assert said in refusal(**options).message


def test_what_is_given_twice_is_tried_once() -> None:
    wanted = read(aws_instance_type=("t3.small", "m5.large", "t3.small"), aws_zone=("b", "a", "b"))

    assert wanted.types == ("t3.small", "m5.large")
    assert wanted.zones == ("b", "a")


def test_an_unknown_alias_is_answered_with_one_like_it() -> None:
    assert " ubuntu-24.04?" in str(refusal(aws_image="ubunto-24.04").hint)


def test_a_vendors_name_alone_is_its_stable_image() -> None:
    assert read(aws_image="debian").image == "debian-13"


# Volumes.


@pytest.mark.parametrize(("text", "size"), [("16", 16), ("16G", 16), ("1T", 1024), ("20.5GiB", 21), ("8192M", 8)])
def test_sizes_are_gib(text: str, size: int) -> None:
    assert read(aws_root_size=text).volume.size == size


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aws_root_size": "0"}, "--aws-root-size: 0 GiB"),
        ({"aws_root_size": "65537"}, "--aws-root-size: 65537 GiB"),
        ({"aws_root_size": "big"}, "--aws-root-size: 'big'"),
        ({"aws_root_size": "17T", "aws_volume_type": "gp2"}, " for gp2"),
        ({"aws_volume_type": "gp4"}, "--aws-volume-type: no type 'gp4'"),
        ({"aws_volume_type": "st1"}, " st1"),
        ({"aws_volume_type": "io2"}, "io2 needs --aws-volume-iops"),
        ({"aws_volume_type": "gp2", "aws_volume_iops": 3000}, "--aws-volume-iops: gp2 does not"),
        ({"aws_volume_iops": 2999}, "--aws-volume-iops: 2999"),
        ({"aws_volume_iops": 8001}, "8001 "),
        ({"aws_volume_type": "io1", "aws_volume_iops": 801}, "801 "),
        ({"aws_volume_type": "io2", "aws_volume_iops": 4000, "aws_volume_throughput": 500}, "io2 does not"),
        ({"aws_volume_throughput": 124}, "--aws-volume-throughput: 124"),
        ({"aws_volume_throughput": 1000}, "operations"),
        ({"aws_kms_key": "alias/k", "aws_volume_encrypted": False}, "--aws-kms-key"),
        ({"aws_device_name": "/dev/../x"}, "--aws-device-name"),
    ],
)
def test_what_ebs_would_refuse_is_refused_here(options: dict[str, Any], said: str) -> None:
    assert said in refusal(**options).message


def test_a_small_gp3_volume_may_have_what_every_gp3_volume_has() -> None:
    assert read(aws_root_size="1", aws_volume_iops=3000).volume.iops == 3000


def test_throughput_comes_with_the_operations_that_it_needs() -> None:
    assert "--aws-volume-iops 4000" in str(refusal(aws_volume_throughput=1000).hint)

    assert read(aws_volume_throughput=1000, aws_volume_iops=4000).volume.throughput == 1000


# Who gets in.


def test_ranges_of_both_families_and_everybody_are_taken_when_asked() -> None:
    wanted = read(aws_allow=("203.0.113.0/24", "2001:db8::/32", "198.51.100.7", "0.0.0.0/0", "203.0.113.0/24"))

    assert wanted.access.allow == ("203.0.113.0/24", "2001:db8::/32", "198.51.100.7/32", "0.0.0.0/0")


def test_bits_after_a_prefix_are_refused_with_both_things_that_may_be_meant() -> None:
    hint = str(refusal(aws_allow=("203.0.113.9/24",)).hint)

    assert "203.0.113.0/24" in hint
    assert "203.0.113.9/32" in hint


@pytest.mark.parametrize("text", ["", "everyone", "10.0.0.0/33", "10.0.0/8", "pl-0123"])
def test_what_is_no_range_is_refused(text: str) -> None:
    assert "--aws-allow" in refusal(aws_allow=(text,)).message


def test_ports_are_single_or_ranges_tcp_or_udp() -> None:
    ports = read(aws_open_port=("8080", "53/udp", "8000-8100", "8080/tcp")).access.ports

    assert ports == (PortRange(8080, 8080), PortRange(53, 53, "udp"), PortRange(8000, 8100))


@pytest.mark.parametrize("text", ["http", "0", "65536", "90-80", "80/sctp", "80-", "-80"])
def test_what_is_no_port_is_refused(text: str) -> None:
    assert "--aws-open-port" in refusal(aws_open_port=(text,)).message


def test_groups_are_ids_or_names() -> None:
    assert read(aws_security_group=(GROUP, "docker machine", GROUP)).access.groups == (GROUP, "docker machine")


@pytest.mark.parametrize("option", [{"aws_allow": ("10.0.0.0/8",)}, {"aws_open_port": ("80",)}])
def test_given_groups_are_never_edited_so_that_asking_for_it_is_refused(option: dict[str, Any]) -> None:
    assert refusal(aws_security_group=("web",), **option).hint


def test_a_key_file_is_remembered_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("key")
    monkeypatch.chdir(tmp_path)

    assert read(aws_ssh_key="key").access.key_path == str(tmp_path / "key")


# Addresses.


@pytest.mark.parametrize(
    ("options", "address", "public", "ipv6"),
    [
        ({}, "public", True, False),
        ({"aws_ipv6": True}, "public", True, True),
        ({"aws_use_private_address": True}, "private", None, False),
        ({"aws_address": "private"}, "private", None, False),
        ({"aws_private_address_only": True}, "private", False, False),
        ({"aws_address": "ipv6"}, "ipv6", None, True),
        ({"aws_address": "ipv6", "aws_private_address_only": True}, "ipv6", False, True),
    ],
)
def test_the_ways_to_say_which_address(
    options: dict[str, Any], address: str, public: bool | None, ipv6: bool
) -> None:
    way = read(**options).way

    assert (way.address, way.public, way.ipv6) == (address, public, ipv6)


# Spot.


@pytest.mark.parametrize(
    ("options", "markets"),
    [
        ({"aws_spot": True}, ("spot",)),
        ({"aws_spot_price": "0.05"}, ("spot",)),
        ({"aws_spot": True, "aws_spot_fallback": True}, ("spot", "")),
    ],
)
def test_spot_is_tried_before_on_demand_and_that_only_if_asked(
    options: dict[str, Any], markets: tuple[str, ...]
) -> None:
    assert read(**options).markets == markets


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"aws_spot_fallback": True}, "--aws-spot-fallback"),
        ({"aws_use_private_address": True, "aws_address": "ipv6"}, "--aws-use-private-address"),
        ({"aws_import_key": True, "aws_key_pair": "k"}, "--aws-import-key"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], flag: str) -> None:
    assert flag in refusal(**options).message


# Endpoints.


@pytest.mark.parametrize(
    "url", ["https://ec2.example", "http://127.0.0.1:5000", "http://[::1]:5000", "http://localhost:5000"]
)
def test_an_endpoint_is_safe_or_on_this_computer(url: str) -> None:
    assert read(aws_endpoint_url=url).endpoint_url == url


def test_an_endpoint_in_clear_must_be_meant() -> None:
    url = "http://ec2.example"

    assert "--aws-insecure-transport" in str(refusal(aws_endpoint_url=url).hint)
    assert read(aws_endpoint_url=url, aws_insecure_transport=True).endpoint_url == url


# Tags.


def test_tags_are_pairs_or_docker_machines_list() -> None:
    assert read(aws_tag=("team=a,b=c", "empty=")).tags == {"team": "a,b=c", "empty": ""}
    assert read(aws_tag=("k1,v1,k2,v2", "k3=v3")).tags == {"k1": "v1", "k2": "v2", "k3": "v3"}
    assert read(aws_tag=("k1", "v1=x", "k2", "v2")).tags == {"k1": "v1=x", "k2": "v2"}


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (("k1,v1,k2",), "'k2' "),
        (("lonely",), "'lonely' "),
        (("=v",), " key"),
        (("k=1", "k=2"), "'k' "),
        (("aws:x=1",), "'aws:x'"),
        (("AWS:x=1",), "'AWS:x'"),
        (("pymachine:id=1",), "'pymachine:id'"),
        (("k" * 129 + "=1",), "129 characters"),
        (("k=" + "v" * 257,), "257 characters"),
        (("k=a\nb",), "control characters"),
        (tuple(f"k{n}=v" for n in range(47)), "47 tags"),
    ],
)
def test_tags_that_aws_would_refuse_are_refused(tags: tuple[str, ...], said: str) -> None:
    assert said in refusal(aws_tag=tags).message


def test_as_many_tags_as_there_is_room_for_beside_ours_are_taken() -> None:
    assert len(read(aws_tag=tuple(f"k{n}=v" for n in range(46))).tags) == 46


# The rest.


def test_user_data_is_read_and_must_be_of_use(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("#cloud-config\npackages: [jq]\n")
    bad.write_text("packages: [jq]\n")

    assert read(aws_user_data=str(good)).user_data == "#cloud-config\npackages: [jq]\n"
    assert str(bad) in refusal(aws_user_data=str(bad)).message


def test_user_data_is_not_shown_with_the_options(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("#!/bin/sh\n# hush\n")

    assert "hush" not in repr(read(aws_user_data=str(tmp_path / "data")))


@pytest.mark.parametrize("profile", ["web", "arn:aws:iam::123456789012:instance-profile/team/web"])
def test_instance_profiles_are_names_or_arns(profile: str) -> None:
    assert read(aws_instance_profile=profile).instance_profile == profile


def test_a_role_given_for_an_instance_profile_is_recognised() -> None:
    assert " role" in str(refusal(aws_instance_profile="arn:aws:iam::123456789012:role/web").hint)


@pytest.mark.parametrize(("given", "tries"), [(8, 8), (1, 1), (0, 1), (-1, 1)])
def test_docker_machines_way_to_switch_retries_off_is_one_try(given: int, tries: int) -> None:
    assert read(aws_retries=given).retries == tries


TEXTS = [each.name for each in fields(AwsOptions) if each.type in ("str", "str | None")]
LISTS = [each.name for each in fields(AwsOptions) if each.type == "tuple[str, ...]"]


@given(st.sampled_from(TEXTS), st.text(max_size=30))
@example("aws_user_data", "~nobody-of-that-name/x")
@example("aws_ssh_key", "~nobody-of-that-name/x")
@example("aws_user_data", "a\0b")
@example("aws_ssh_key", "a\0b")
@example("aws_endpoint_url", "https://[")
@example("aws_root_size", "9" * 30)
def test_no_text_whatever_is_answered_with_anything_but_a_fault_of_usage(name: str, text: str) -> None:
    with suppress(UsageFault):
        read(**{name: text})


@given(st.sampled_from(LISTS), st.lists(st.text(max_size=20), max_size=4))
@example("aws_open_port", ["\u0664\u0664"])
@example("aws_allow", ["fe80::1%eth0"])
def test_no_list_of_texts_is_either(name: str, texts: list[str]) -> None:
    with suppress(UsageFault):
        read(**{name: tuple(texts)})
