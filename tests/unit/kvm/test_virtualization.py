"""Hardware virtualisation or emulation: what rules it out, what a guest says, and what is remembered of it."""

from __future__ import annotations

import grp
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from pymachine.errors import CheckFailed
from pymachine_kvm.kvm_device import DeviceFile, QemuAccount, account, kvm_node, qemu_account
from pymachine_kvm.kvm_probe import Answer, BootDisk, ask_guest, domain_xml
from pymachine_kvm.libvirt_api import connect, libvirt
from pymachine_kvm.virtualization import Host, Promise, decide, host_of, insist, read_capabilities, ruled_out, settle
from pymachine_kvm.virtualization_cache import AGAIN_AFTER, Verdict, Verdicts

QEMU = QemuAccount("libvirt-qemu", 64055, frozenset({107, 64055}))
OPEN = DeviceFile(0o20660, 0, 107, QEMU)
CLOSED = DeviceFile(0o20600, 0, 0, QEMU)
PROMISING = Promise("x86_64", frozenset({"x86_64"}), local=True, node=OPEN)
HOST = Host("qemu:///system", "machine-id", ("6.12", "11003000", "10000002"))
CAPABILITIES = """<capabilities>
  <host><uuid>0c58dbd2-0000-4000-8000-00000000abcd</uuid><cpu><arch>x86_64</arch></cpu></host>
  <guest><arch name='i686'><domain type='qemu'/><domain type='kvm'/></arch></guest>
  <guest><arch name='x86_64'><domain type='qemu'/><domain type='kvm'/></arch></guest>
  <guest><arch name='aarch64'><domain type='qemu'/></arch></guest>
</capabilities>"""


class Clock:
    """A time that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


class Guest:
    """A guest that gives one answer, and counts how often it was asked."""

    def __init__(self, fault: str = "", *, lasting: bool = True) -> None:
        self.answer = Answer(fault, lasting)
        self.asked = 0

    def __call__(self) -> Answer:
        self.asked += 1
        return self.answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(tmp_path: Path, clock: Clock) -> Verdicts:
    return Verdicts(tmp_path / "deep" / "virtualisation.json", clock)


def nothing_said(line: str) -> None:
    pytest.fail(f"said: {line}")


# What rules it out.


@pytest.mark.parametrize(
    ("promise", "sign"),
    [
        (replace(PROMISING, arch="aarch64"), " for aarch64"),
        (replace(PROMISING, offered=frozenset()), "libvirt "),
        (replace(PROMISING, offered=frozenset(), node=CLOSED), "/dev/kvm "),
        (replace(PROMISING, node=None), "no /dev/kvm"),
        (replace(PROMISING, node=CLOSED), " libvirt-qemu"),
    ],
)
def test_what_the_host_says_can_rule_it_out(promise: Promise, sign: str) -> None:
    assert sign in ruled_out(promise)


@pytest.mark.parametrize("promise", [PROMISING, replace(PROMISING, local=False, node=None)])
def test_a_promise_is_left_for_a_guest_to_prove(promise: Promise) -> None:
    assert ruled_out(promise) == ""


@pytest.mark.parametrize(
    ("node", "openable"),
    [
        (DeviceFile(0o20666, 0, 0, QEMU), True),
        (DeviceFile(0o20660, 0, 107, QEMU), True),
        (DeviceFile(0o20660, 0, 36, QEMU), False),
        (DeviceFile(0o20640, 0, 107, QEMU), False),
        (DeviceFile(0o20600, 0, 107, QEMU), False),
        (DeviceFile(0o20606, 0, 107, QEMU), False),
        (DeviceFile(0o20600, 64055, 0, QEMU), True),
        (DeviceFile(0o20600, 0, 0, QemuAccount("root", 0, frozenset({0}))), True),
        (DeviceFile(0o20600, 0, 0, None), True),
    ],
)
def test_a_device_opens_as_the_kernel_reads_its_mode(node: DeviceFile, openable: bool) -> None:
    assert node.openable is openable


@pytest.mark.parametrize(
    ("node", "command"),
    [
        (OPEN, ""),
        (CLOSED, "sudo chgrp kvm /dev/kvm && sudo chmod 0660 /dev/kvm"),
        (DeviceFile(0o20660, 0, 0, QEMU), "sudo chgrp kvm /dev/kvm && sudo chmod 0660 /dev/kvm"),
        (DeviceFile(0o20660, 0, 1, QEMU), f"sudo usermod -aG {grp.getgrgid(1).gr_name} libvirt-qemu"),
        (DeviceFile(0o20660, 0, 99999, QEMU), "sudo usermod -aG 99999 libvirt-qemu"),
    ],
)
def test_a_closed_device_has_a_command_that_opens_it(node: DeviceFile, command: str) -> None:
    assert node.mend == command


def test_a_cure_is_told_with_the_emulation(memory: Verdicts) -> None:
    said: list[str] = []

    decide(replace(PROMISING, node=CLOSED), HOST, memory, Guest(), said.append)

    assert said[0].endswith(": sudo chgrp kvm /dev/kvm && sudo chmod 0660 /dev/kvm")


def test_capabilities_are_read_by_architecture() -> None:
    assert read_capabilities(CAPABILITIES) == ("x86_64", frozenset({"i686", "x86_64"}))


def test_a_device_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert kvm_node(session=True, path=tmp_path / "kvm") is None


def test_the_device_of_a_session_is_opened_by_its_user(tmp_path: Path) -> None:
    (tmp_path / "kvm").write_bytes(b"")

    node = kvm_node(session=True, path=tmp_path / "kvm")

    assert node is not None
    assert node.user is not None
    assert (node.user.uid, node.openable) == (os.geteuid(), True)


@pytest.mark.parametrize(
    ("conf", "name", "group"),
    [
        ('user = "root"\n', "root", 0),
        ('  user="+0"\ngroup = "+107"\n', "root", 107),
        ('#user = "libvirt-qemu"\nuser = "daemon"\ngroup = "root"', "daemon", 0),
    ],
)
def test_the_account_of_qemu_is_read_from_its_settings(conf: str, name: str, group: int) -> None:
    found = qemu_account(conf)

    assert found is not None
    assert found.name == name
    assert group in found.groups


def test_an_account_that_is_not_there_is_not_known() -> None:
    assert qemu_account('user = "nobody-of-that-name"') is None
    assert account("nobody-of-that-name") is None


# Deciding.


def test_a_guest_that_makes_progress_settles_it_without_a_word(memory: Verdicts) -> None:
    guest = Guest()

    assert [decide(PROMISING, HOST, memory, guest, nothing_said) for _ in range(3)] == ["kvm"] * 3
    assert guest.asked == 1


def test_a_guest_that_hangs_settles_on_emulation_and_it_is_said_once(memory: Verdicts) -> None:
    guest, said = Guest("a Linux guest printed not one line of its kernel within 25 s"), list[str]()

    assert [decide(PROMISING, HOST, memory, guest, said.append) for _ in range(3)] == ["qemu"] * 3
    assert guest.asked == 1
    assert said == [
        "qemu:///system: no hardware virtualisation: a Linux guest printed not one line of its kernel within 25 s; "
        "machines are emulated there, about ten times slower"
    ]


def test_hardware_that_is_insisted_on_is_put_to_the_proof_once(memory: Verdicts) -> None:
    guest = Guest()

    assert [insist(PROMISING, HOST, memory, guest) for _ in range(2)] == ["kvm"] * 2
    assert guest.asked == 1


def test_hardware_that_is_insisted_on_and_hangs_is_refused_and_not_asked_again(memory: Verdicts) -> None:
    guest = Guest("it hangs there")

    with pytest.raises(CheckFailed) as refused:
        insist(PROMISING, HOST, memory, guest)
    assert "it hangs there" in refused.value.message
    assert "virtualisation.json" in str(refused.value.hint)
    known = memory.recall(HOST.key("x86_64"))
    assert known is not None
    assert known.asked
    with pytest.raises(CheckFailed):
        insist(replace(PROMISING, refuted=known.fault), HOST, memory, guest)
    assert guest.asked == 1


def test_an_error_that_is_no_word_on_hardware_is_in_nobodys_way(memory: Verdicts) -> None:
    assert insist(PROMISING, HOST, memory, lambda: Answer("no memory left", lasting=False)) == "kvm"
    assert memory.recall(HOST.key("x86_64")) is None


def test_what_the_host_rules_out_is_said_once_and_no_guest_is_asked(memory: Verdicts) -> None:
    guest, said = Guest(), list[str]()

    for _ in range(2):
        assert decide(replace(PROMISING, node=None), HOST, memory, guest, said.append) == "qemu"

    assert guest.asked == 0
    assert len(said) == 1


def test_a_guest_is_asked_once_the_host_has_been_mended(memory: Verdicts) -> None:
    guest, said = Guest(), list[str]()

    assert decide(replace(PROMISING, node=CLOSED), HOST, memory, guest, said.append) == "qemu"
    assert decide(PROMISING, HOST, memory, guest, said.append) == "kvm"
    assert guest.asked == 1


def test_an_answer_that_says_nothing_of_the_hardware_is_not_remembered(memory: Verdicts) -> None:
    assert decide(PROMISING, HOST, memory, Guest("no memory left", lasting=False), list[str]().append) == "qemu"
    assert decide(PROMISING, HOST, memory, Guest(), nothing_said) == "kvm"


@pytest.mark.parametrize(
    "other",
    [
        replace(HOST, identity="another"),
        replace(HOST, uri="qemu+ssh://there/system"),
        replace(HOST, versions=("6.13", *HOST.versions[1:])),
        replace(HOST, versions=(*HOST.versions[:2], "10000003")),
    ],
)
def test_another_host_kernel_or_qemu_is_asked_anew(memory: Verdicts, other: Host) -> None:
    decide(PROMISING, HOST, memory, Guest("hangs"), list[str]().append)
    guest = Guest()

    assert decide(PROMISING, other, memory, guest, nothing_said) == "kvm"
    assert guest.asked == 1


def test_architectures_are_answered_apart() -> None:
    assert HOST.key("x86_64") != HOST.key("aarch64")


# What is remembered.


def test_a_fault_is_asked_about_again_after_a_month_and_a_success_never(memory: Verdicts, clock: Clock) -> None:
    memory.keep("bad", Verdict("hangs", asked=True, uri="a"))
    memory.keep("good", Verdict("", asked=True, uri="a"))
    found = memory.recall("bad")
    clock.now += AGAIN_AFTER + 1

    assert found is not None
    assert found.when == 1_000_000_000.0
    assert memory.recall("bad") is None
    assert memory.recall("good") is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"', '{"key": 1}', '{"key": {"fault": "x"}}', "\x00"])
def test_a_damaged_memory_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "file.json").write_text(text)
    memory = Verdicts(tmp_path / "file.json")

    assert memory.recall("key") is None
    memory.keep("key", Verdict("", asked=True, uri="a"))
    assert memory.recall("key") is not None


def test_a_memory_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    memory = Verdicts(tmp_path / "file" / "virtualisation.json")

    memory.keep("key", Verdict("", asked=True, uri="a"))

    assert memory.recall("key") is None


def test_the_memory_is_kept_in_the_users_cache(tmp_path: Path) -> None:
    Verdicts.default({"XDG_CACHE_HOME": str(tmp_path)}).keep("key", Verdict("hangs", asked=True, uri="a"))

    kept = json.loads((tmp_path / "pymachine" / "virtualisation.json").read_text())
    assert kept["key"]["fault"] == "hangs"
    assert [path.name for path in (tmp_path / "pymachine").iterdir()] == ["virtualisation.json"]


# The whole, against libvirt's test driver, which offers no hardware virtualisation.


def never() -> Answer:
    pytest.fail("a guest was asked")


def test_emulation_that_was_asked_for_asks_nobody() -> None:
    assert settle(cast(Any, None), "qemu", None, never, nothing_said) == "qemu"


def test_what_works_is_emulation_where_libvirt_offers_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    with connect("test:///default") as conn:
        assert settle(conn, "auto", None, never, said.append) == "qemu"

    assert said[0].startswith("test:///default: ")


def test_hardware_that_was_insisted_on_is_refused_where_it_is_ruled_out() -> None:
    with connect("test:///default") as conn, pytest.raises(CheckFailed, match="--kvm-virt-type kvm") as caught:
        settle(conn, "kvm", None, never, nothing_said)

    assert caught.value.hint


def test_this_host_is_known_by_what_survives_a_restart_of_libvirt() -> None:
    with connect("test:///default") as conn:
        host = host_of(conn)

    assert host.identity
    assert os.uname().release in host.versions


# The guest that is asked.


@pytest.mark.parametrize(("arch", "uefi"), [("x86_64", False), ("x86_64", True), ("aarch64", False)])
def test_the_guest_is_valid_reads_its_disk_and_has_no_network(arch: str, uefi: bool) -> None:
    text = domain_xml("pymachine-probe-0", BootDisk("/pool/a & b's.qcow2", "qcow2", arch, uefi))

    assert "<source file='/pool/a &amp; b&apos;s.qcow2'/>" in text
    assert "<readonly/>" in text
    assert "<interface" not in text
    assert ("firmware='efi'" in text) == (uefi or arch == "aarch64")
    with connect("test:///default") as conn:
        conn.defineXMLFlags(text, libvirt().VIR_DOMAIN_DEFINE_VALIDATE).undefine()


class Refusing:
    """A libvirt that starts no guest."""

    def __init__(self, message: str) -> None:
        self.message = message

    def createXML(self, text: str, flags: int) -> None:  # noqa: N802 - libvirt's name
        raise libvirt().libvirtError(self.message)


@pytest.mark.parametrize(
    ("message", "fault", "lasting"),
    [
        (
            "internal error: process exited while connecting to monitor: 2026-11-25T09:01:08.512685Z "
            "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69 qemu-system-x86_64: "
            "../../target/i386/kvm/kvm.c:3183: kvm_buf_set_msrs: Assertion failed.",
            "QEMU does not run: failed to set MSR 0x10a to 0x69",
            True,
        ),
        (
            "internal error: process exited while connecting to monitor: Could not access KVM kernel module: "
            "Permission denied",
            "Could not access KVM kernel module",
            True,
        ),
        (
            "internal error: qemu unexpectedly closed the monitor: 2026-11-25T09:01:08.512685Z qemu-system-x86_64: "
            "cannot set up guest memory 'pc.ram': Cannot allocate memory",
            "QEMU does not run: cannot set up guest memory 'pc.ram': Cannot allocate memory",
            False,
        ),
        ("Cannot access storage file '/kvm/base.qcow2' (as uid:64055, gid:107)", "Cannot access storage file", False),
    ],
)
def test_a_guest_that_does_not_start_is_an_answer_where_kvm_is_to_blame(
    message: str, fault: str, lasting: bool
) -> None:
    answer = ask_guest(cast(Any, Refusing(message)), BootDisk("/kvm/base.qcow2", "qcow2"))

    assert fault in answer.fault
    assert answer.lasting is lasting
