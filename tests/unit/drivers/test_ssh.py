from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from contract.sshd import free_port, make_key
from patience import LIMIT
from pymachine import registry
from pymachine.driver import Driver, Instance, PowerControl, Request
from pymachine.errors import DriverError, UsageFault
from pymachine.model import State
from pymachine_ssh import SshDriver, SshOptions
from unit.existing import ExistingContract

PIN = "SHA256:" + "A" * 43


@pytest.fixture(autouse=True)
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def request(**options: Any) -> Request:
    return Request("node1", "0" * 32, SshOptions(**options), 2376)


def create(**options: Any) -> Instance:
    return SshDriver().create(request(**options), lambda handle: None)


class TestContract(ExistingContract):
    @override
    def driver(self) -> Driver:
        return SshDriver()

    @override
    def options(self) -> SshOptions:
        return SshOptions("127.0.0.1", ssh_port=self.port)

    @override
    def bad_options(self) -> SshOptions:
        return SshOptions("root@host")


@pytest.mark.parametrize("name", ["ssh", "generic"])
def test_it_is_found_by_both_names(name: str) -> None:
    assert registry.load(name) is SshDriver


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({}, "host", "--ssh-host"),
        ({"ssh_host": "root@10.0.0.5"}, "'root@10.0.0.5' ", "--ssh-user"),
        ({"ssh_host": "10.0.0.256"}, "10.0.0.256", "0 to 255"),
        ({"ssh_host": "h", "ssh_port": 0}, "SSH port 0 ", "65535"),
        ({"ssh_host": "h", "ssh_port": 70000}, "SSH port 70000 ", "65535"),
        ({"ssh_host": "h", "ssh_user": "-x"}, "'-x' ", "account"),
        ({"ssh_host": "h", "ssh_key": "/nowhere/key"}, " /nowhere/key", "--ssh-key"),
        ({"ssh_host": "h", "ssh_jump": "a:b"}, "jump host 'a:b'", "[user@]host[:port]"),
        ({"ssh_host": "h", "ssh_host_key": "MD5:1"}, "SHA256 fingerprint", "ssh-keygen -lf"),
    ],
)
def test_wrong_options_are_refused_before_any_network(options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageFault) as fault:
        SshDriver().check(request(**options))
    assert message in fault.value.message
    assert hint in (fault.value.hint or "")


def test_a_public_key_in_place_of_the_private_one_is_refused(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    with pytest.raises(UsageFault, match="public key"):
        SshDriver().check(request(ssh_host="h", ssh_key=str(tmp_path / "key.pub")))


def test_good_options_pass(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    options = {"ssh_user": "admin", "ssh_port": 22, "ssh_key": str(key), "ssh_jump": "b", "ssh_host_key": PIN}
    for host in ("10.0.0.5", "2001:db8::5", "[2001:db8::5]", "node1.example.org", "alias_1"):
        SshDriver().check(request(ssh_host=host, **options))


def test_the_address_is_kept_as_given_but_for_the_key_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    address = create(ssh_host="[2001:db8::5]", ssh_user="admin", ssh_key="key", ssh_host_key=PIN).ssh
    assert address is not None
    assert (address.host, address.port, address.user) == ("2001:db8::5", None, "admin")
    assert address.key_path == str(tmp_path / "key")
    assert address.host_key == PIN


def test_locating_tells_what_create_would_take_and_remembers_nothing() -> None:
    options = {"ssh_host": "10.0.0.5", "ssh_port": 2222, "ssh_user": "admin"}
    assert SshDriver().locate(request(**options)) == create(**options)


def test_the_handle_has_what_the_configuration_resolved(tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("no ssh here")
    (tmp_path / "home" / ".ssh").mkdir(mode=0o700)
    text = "Host web\n HostName 10.0.0.5\n Port 2222\n User admin\n ProxyJump b\nHost b\n HostName 10.0.0.1\n"
    (tmp_path / "home" / ".ssh" / "config").write_text(text)
    handle = {"host": "10.0.0.5", "port": 2222, "user": "admin", "jump": ["10.0.0.1", 22]}
    assert create(ssh_host="web").handle == handle
    assert create(ssh_host="web", ssh_jump="none").handle["jump"] is None


def test_a_port_that_answers_is_a_running_host(port: int) -> None:
    instance = create(ssh_host="127.0.0.1", ssh_port=port)
    assert SshDriver().inspect(instance.handle, deadline=LIMIT).state is State.RUNNING


def test_a_closed_port_is_unreachable_and_says_refused() -> None:
    instance = create(ssh_host="127.0.0.1", ssh_port=free_port())
    status = SshDriver().inspect(instance.handle, deadline=LIMIT)
    assert status.state is State.UNREACHABLE
    assert status.detail.startswith("connection refused ")


def test_a_name_that_is_gone_is_unreachable_and_says_so() -> None:
    status = SshDriver().inspect(create(ssh_host="nowhere.invalid").handle, deadline=LIMIT)
    assert status.state is State.UNREACHABLE
    assert "nowhere.invalid" in status.detail


def test_behind_a_jump_host_only_that_one_can_be_looked_at(port: int) -> None:
    behind = create(ssh_host="192.0.2.1", ssh_jump=f"127.0.0.1:{port}")
    status = SshDriver().inspect(behind.handle, deadline=LIMIT)
    assert status.state is State.UNKNOWN
    assert status.detail == f"192.0.2.1:22 is behind 127.0.0.1:{port}, which answers"
    gone = create(ssh_host="192.0.2.1", ssh_jump=f"127.0.0.1:{free_port()}")
    status = SshDriver().inspect(gone.handle, deadline=LIMIT)
    assert status.state is State.UNREACHABLE
    assert status.detail.startswith("jump host: connection refused")


def test_behind_a_program_nothing_can_be_looked_at(tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("no ssh here")
    (tmp_path / "home" / ".ssh").mkdir(mode=0o700)
    (tmp_path / "home" / ".ssh" / "config").write_text("Host inside\n HostName 192.0.2.1\n ProxyCommand connect %h\n")
    status = SshDriver().inspect(create(ssh_host="inside").handle, deadline=LIMIT)
    assert status.state is State.UNKNOWN
    assert status.detail.startswith("192.0.2.1:22 ")
    assert "program" not in create(ssh_host="inside", ssh_jump="none").handle


@pytest.mark.parametrize("handle", [{}, {"host": "h"}, {"host": "h", "port": "x", "jump": None}])
def test_a_damaged_handle_is_an_error_with_a_way_on(handle: dict[str, Any]) -> None:
    with pytest.raises(DriverError, match="damaged"):
        SshDriver().inspect(handle, deadline=1)


def test_looking_at_a_host_does_not_load_paramiko() -> None:
    code = "import sys, pymachine_ssh, pymachine_none; sys.exit('paramiko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_claims_no_power_over_the_host() -> None:
    assert not isinstance(SshDriver(), PowerControl)


def test_every_option_of_docker_machines_generic_driver_has_its_name_here() -> None:
    metadata = [field.metadata for field in dataclasses.fields(SshOptions)]
    aliases = {alias for entry in metadata for alias in entry["aliases"]}
    variables = {entry["env"] for entry in metadata}
    for name in ("ip-address", "ssh-user", "ssh-port", "ssh-key"):
        assert f"--generic-{name}" in aliases
        assert f"GENERIC_{name.upper().replace('-', '_')}" in variables
