"""User-data: the key gets in, secrets do not, and it fits or says whose part is too large."""

from __future__ import annotations

import base64
import gzip
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pymachine.driver import Login
from pymachine.errors import UsageFault
from pymachine.transport.key_pair import new_private_key, public_line
from pymachine_aws.user_data import LIMIT, STAND_IN, user_data_of
from unit.aws_wishes import LOGIN, PLAIN, access, request

NOISE = random.Random(1).randbytes(20_000).hex()


def config(data: bytes) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(data)
    return loaded


def test_our_key_opens_the_images_account_which_is_kept() -> None:
    users = config(user_data_of(request(), PLAIN, "ec2-user"))["users"]
    assert users[0]["name"] == "ec2-user"
    assert users[0]["ssh_authorized_keys"] == [LOGIN.public_key]
    assert users[1] == "default"


def test_the_users_own_key_opens_it_as_well(tmp_path: Path) -> None:
    path = tmp_path / "key"
    private = new_private_key()
    path.write_bytes(private)
    path.chmod(0o600)
    data = user_data_of(request(), access(key_path=str(path)), "ubuntu")
    assert config(data)["users"][0]["ssh_authorized_keys"] == [LOGIN.public_key, public_line(private)]
    assert b"PRIVATE" not in data


def test_no_host_key_travels_even_where_one_is_given() -> None:
    login = Login(LOGIN.public_key, "ssh-ed25519 AAAAHOST", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAA\n")
    data = user_data_of(request(login=login), PLAIN, "ubuntu")
    assert b"PRIVATE" not in data
    assert "ssh_keys" not in config(data)
    assert config(data)["ssh_deletekeys"] is True


def test_the_users_cloud_config_is_merged_and_their_script_travels_along() -> None:
    merged = replace(PLAIN, user_data="#cloud-config\npackages: [jq]\n")
    assert config(user_data_of(request(), merged, "ubuntu"))["packages"] == ["jq"]
    script = user_data_of(request(), replace(PLAIN, user_data="#!/bin/sh\ntrue\n"), "ubuntu")
    assert script.startswith(b"Content-Type: multipart/mixed")


def test_what_fits_stays_readable_and_what_fits_only_compressed_is_compressed_the_same_each_time() -> None:
    long = replace(PLAIN, user_data="#!/bin/sh\n" + "echo again\n" * 2000)
    once, twice = (user_data_of(request(), long, "ubuntu") for _ in range(2))
    assert once == twice
    assert len(once) <= LIMIT < len(gzip.decompress(once))
    assert user_data_of(request(), PLAIN, "ubuntu").startswith(b"#cloud-config\n")


def test_a_long_text_that_repeats_little_fits_as_its_compressor_says() -> None:
    """41 KB of text that are 14 KB compressed, and more than 16 KB when they were written in base64 before."""
    words = random.Random(2)
    lines = (f"docker run --name {words.getrandbits(96):x} image" for _ in range(900))
    text = "#!/bin/bash\n" + "\n".join(lines)
    assert len(text) > 41_000
    assert len(gzip.compress(base64.encodebytes(text.encode()))) > LIMIT
    packed = user_data_of(request(), replace(PLAIN, user_data=text), "ubuntu")
    assert len(packed) <= LIMIT
    assert text in gzip.decompress(packed).decode()


def test_too_much_is_refused_with_size_limit_and_each_ones_part() -> None:
    with pytest.raises(UsageFault, match=r"\d+ compressed, but EC2 allows 16384: \d+ of them") as caught:
        user_data_of(request(), replace(PLAIN, user_data=f"#!/bin/sh\n# {NOISE}\n"), "ubuntu")
    ours = int(caught.value.message.split(": ")[1].split()[0])
    assert ours == len(user_data_of(request(), PLAIN, "ubuntu"))


def test_a_key_that_is_not_made_yet_counts_with_its_length() -> None:
    ours = public_line(new_private_key())
    assert len(STAND_IN.public_key) == len(ours)
