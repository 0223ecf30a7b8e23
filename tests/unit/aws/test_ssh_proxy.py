"""``pymachine-aws-connect``: its words, the bytes it carries, what it hands to the plugin, how it fails."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from patience import LIMIT
from pymachine.errors import CheckFailed, Unreachable, UsageFault
from pymachine_aws import ssh_proxy
from pymachine_aws.ssh_proxy import ProxyTarget, carry, instance_connect, proxy_words, session_manager
from unit.aws_life import Region, ec2, refusal

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJe0S4yS5PyN1Y4yjxJkzMEz1nPUKIiDbkSgXrnJ8V9K"


def wanted(port: int = 22, **changes: Any) -> ProxyTarget:
    return ProxyTarget(
        **{"instance": "i-1", "user": "ubuntu", "public_key": KEY, "place": ("127.0.0.1", port), **changes}
    )


def test_an_instance_that_is_dialled_needs_no_program() -> None:
    assert proxy_words(ec2()) == ()


def test_the_words_of_instance_connect_hold_the_key_and_nothing_that_is_not_set() -> None:
    words = proxy_words(ec2(via="instance-connect", public_key=KEY))
    assert " ".join(words) == (
        "pymachine-aws-connect instance-connect --region eu-central-1 --instance i-1 --user ubuntu "
        f"--public-key {KEY} %h %p"
    )
    assert KEY in words


def test_the_words_of_session_manager_say_where_to_ask() -> None:
    machine = ec2(via="ssm", public_key=KEY, profile="work", endpoint_url="https://e.example")
    assert " ".join(proxy_words(machine)) == (
        "pymachine-aws-connect ssm --region eu-central-1 --profile work --endpoint-url https://e.example "
        "--instance i-1 --user ubuntu %h %p"
    )


@contextmanager
def upper_case_host() -> Iterator[int]:
    """A server that answers one connection in upper case, and hangs up once its input has ended."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(65_536):
                    connection.sendall(data.upper())

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_bytes_are_carried_both_ways_until_the_host_hangs_up() -> None:
    source, ours = os.pipe()
    back, goal = os.pipe()
    sent = b"ssh" * 100_000
    answer = bytearray()

    def feed() -> None:
        with os.fdopen(ours, "wb") as pipe:
            pipe.write(sent)

    def drain() -> None:
        with os.fdopen(back, "rb") as pipe:
            answer.extend(pipe.read())

    with upper_case_host() as port, socket.create_connection(("127.0.0.1", port)) as host:
        threads = [threading.Thread(target=feed), threading.Thread(target=drain)]
        for thread in threads:
            thread.start()
        carry(host, source, goal)
        os.close(goal)
        for thread in threads:
            thread.join()
    os.close(source)
    assert bytes(answer) == sent.upper()


def test_a_reader_that_is_gone_ends_it() -> None:
    source, ours = os.pipe()
    back, goal = os.pipe()
    os.close(back)
    os.write(ours, b"x")
    with upper_case_host() as port, socket.create_connection(("127.0.0.1", port)) as host:
        carry(host, source, goal)
        os.close(ours)
    for descriptor in (source, goal):
        os.close(descriptor)


def test_without_a_key_there_is_nothing_to_send() -> None:
    region = Region()
    with pytest.raises(UsageFault, match=" key"):
        instance_connect(region, wanted(public_key=""))
    assert region.calls == []


def test_the_key_goes_to_the_instance_before_the_host_is_dialled() -> None:
    region = Region()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="connection refused"):
        instance_connect(region, wanted(port))
    assert region.calls == [
        ("send_ssh_public_key", {"InstanceId": "i-1", "InstanceOSUser": "ubuntu", "SSHPublicKey": KEY})
    ]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin on the PATH that tells a version, if one was written into it."""
    path = tmp_path / "session-manager-plugin"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return path


def is_of_version(plugin: Path, version: str) -> None:
    plugin.write_text(f"#!/bin/sh\necho {version}\n")
    plugin.chmod(0o755)


SESSION = {"SessionId": "me-1", "TokenValue": "secret-token", "StreamUrl": "wss://x", "ResponseMetadata": {}}


@pytest.mark.parametrize("version", ["1.2.498.0", "1.2.707.0", "2.0"])
def test_the_plugin_gets_the_session_and_its_secret_only_in_the_environment(plugin: Path, version: str) -> None:
    is_of_version(plugin, version)
    region = Region()
    region.answers["start_session"].append(SESSION)
    became: list[tuple[str, list[str], Mapping[str, str]]] = []
    session_manager(region, wanted(2222, profile="work"), lambda *call: became.append(call))
    ((path, words, environ),) = became
    asked = {"Target": "i-1", "DocumentName": "AWS-StartSSHSession", "Parameters": {"portNumber": ["2222"]}}
    assert path == str(plugin)
    assert words == [
        str(plugin), "AWS_SSM_START_SESSION_RESPONSE", "eu-central-1", "StartSession", "work", json.dumps(asked),
        "https://ssm.example",
    ]  # fmt: skip
    told = json.loads(environ["AWS_SSM_START_SESSION_RESPONSE"])
    assert told == {"SessionId": "me-1", "TokenValue": "secret-token", "StreamUrl": "wss://x"}
    assert environ["PATH"] == os.environ["PATH"]
    assert region.calls == [("start_session", asked)]


@pytest.mark.parametrize("version", ["1.2.497.0", "1.1.61.0", "unknown", ""])
def test_a_plugin_that_takes_the_secret_on_its_command_line_is_refused(plugin: Path, version: str) -> None:
    is_of_version(plugin, version)
    region = Region()
    with pytest.raises(CheckFailed, match="command line") as fault:
        session_manager(region, wanted(), lambda *_: None)
    assert "newer" in (fault.value.hint or "")
    assert region.calls == []


def test_a_missing_plugin_is_said_before_a_session_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    region = Region()
    with pytest.raises(CheckFailed, match="session-manager-plugin ") as fault:
        session_manager(region, wanted(), lambda *_: None)
    assert "session-manager-working-with-install-plugin" in (fault.value.hint or "")
    assert region.calls == []


def test_an_instance_without_agent_is_the_apis_error(plugin: Path) -> None:
    is_of_version(plugin, "1.2.707.0")
    region = Region()
    region.before["start_session"].append(refusal("TargetNotConnected", "i-1 is not connected"))
    with pytest.raises(Exception, match="i-1 is not connected"):
        session_manager(region, wanted(), lambda *_: None)


def program(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "x", "HOME": "/nonexistent", **environ}
    path = Path(sys.executable).with_name(ssh_proxy.PROGRAM)
    return subprocess.run(
        [path, *words],
        env={"PATH": "/nonexistent", **keys},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def test_the_installed_program_fails_in_one_line_and_with_pymachines_exit_code() -> None:
    done = program("ssm", "--region", "eu-central-1", "--instance", "i-1", "host", "22")
    assert (done.stdout, done.returncode) == ("", 3)
    assert done.stderr.startswith("error: session-manager-plugin ")
    assert done.stderr.count("\n") == 1


def test_an_endpoint_that_does_not_answer_is_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    words = [
        "--region",
        "eu-central-1",
        "--endpoint-url",
        url,
        "--instance",
        "i-1\x1b[2J",
        "--public-key",
        KEY,
        "host",
        "22",
    ]
    done = program("instance-connect", *words, AWS_MAX_ATTEMPTS="1")
    assert done.returncode == 1
    assert r" key to i-1\x1b[2J" in done.stderr  # what a terminal would obey is written out


def test_wrong_words_are_wrong_usage() -> None:
    assert program("teleport").returncode == 2
