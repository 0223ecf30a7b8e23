"""Whatever comes in from outside ends as a value or as an error with a name, and never as a bug in pymachine.

Short and the same in each CI run, long in a soak run. Facts, records, engine answers and documents have their own.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties import examples
from pymachine.cloudinit import UserData, read_theirs, user_data
from pymachine.driver import FirstBoot, Login
from pymachine.engine.daemon_config import parse_config
from pymachine.engine.daemon_keys import KEYS
from pymachine.engine.facts import parse_facts
from pymachine.engine.setup import plan_setup
from pymachine.errors import CheckFailed, EngineError, UsageFault
from pymachine.fleet.inventory import InventoryFaults, YamlFile, load
from pymachine.model import EngineSpec, Machine
from pymachine.testing.fake_asker import FakeAsker
from pymachine.transport.host_keys import expected_from
from pymachine.transport.jump import plan_route
from pymachine.transport.keys import KeyChoice, KeyRing
from pymachine.transport.ssh_config import HostConfig, parse_output
from unit.fleet.inventory.test_robust import AROUND, GOOD, TOKENS
from unit.world import DEBIAN, ENGINE, NOW, told

WORDS = "none NONE ~ ~nouser/x ~/ % %% %h %d/% $ ${ $HOME ${HOME} -1 0 65536 \u0663 yes / a@b:c [::1]"
ODD = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "none",
            "NONE",
            "~",
            "~nouser/x",
            "~/",
            "%",
            "%%",
            "%h",
            "%d/%",
            "$",
            "${",
            "$HOME",
            "${HOME}",
            "-1",
            "0",
            "65536",
            "٣",
            "yes",
            "/",
            "a@b:c",
            "[::1]",
        ]
    ),
    st.sampled_from(["", "9" * 5000, "a\0b", "\r", "\x1b[2J", "\ud800", "fe80::1%e", "a,b", "ssh://u@h:1/"]),
)

ANSWER = """\
host example.org
user root
hostname example.org
port 22
identitiesonly no
stricthostkeychecking ask
identityagent SSH_AUTH_SOCK
proxyjump bastion
proxycommand nc %h %p
hostkeyalias web
identityfile ~/.ssh/id_ed25519
userknownhostsfile ~/.ssh/known_hosts ~/.ssh/known_hosts2
globalknownhostsfile /etc/ssh/ssh_known_hosts"""
SETTINGS = [line.partition(" ")[0] for line in ANSWER.splitlines()]


def use(found: HostConfig) -> None:
    """Do with it what is done before a connection is tried."""
    assert 1 <= found.port <= 65535
    expected_from(found.known_hosts or (), found.key_alias or found.host, found.port)
    list(KeyChoice(None, found.identity_files).identities((), KeyRing(), FakeAsker()))
    plan_route(None, found, lambda hop: HostConfig(hop.host, hop.port or 22, hop.user))


def read_answer(text: str) -> None:
    try:
        use(parse_output(text, "example.org"))
    except UsageFault as fault:
        assert fault.hint  # noqa: PT017


@given(st.lists(st.tuples(st.sampled_from(SETTINGS), ODD), max_size=5))
def test_whatever_ssh_says_of_a_setting(settings: list[tuple[str, str]]) -> None:
    read_answer("\n".join(f"{name} {value}" for name, value in settings))


@given(st.integers(0, len(ANSWER)), st.integers(0, 40), ODD)
def test_an_answer_of_ssh_that_is_damaged(start: int, length: int, put: str) -> None:
    read_answer(ANSWER[:start] + put + ANSWER[start + length :])


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(), st.text(max_size=8), ODD),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=4) | st.sampled_from(list(KEYS)), inner, max_size=3),
    ),
    max_leaves=6,
)
SPECS = st.sampled_from(
    [
        EngineSpec(),
        EngineSpec(
            labels=("a=b",), opts=("log-opt=max-size=1m", "storage-driver=overlay2"), storage_driver="overlay2"
        ),
        EngineSpec(config={"log-opts": {"max-file": "3"}, "features": {"x": True}, "hosts": ["tcp://[::1]:2376"]}),
        EngineSpec(insecure_registries=("10.0.0.0/8",), registry_mirrors=("https://m.example",), port=2400),
    ]
)
MANIFEST = {"name": "n", "id": "0" * 32, "added": {"tlsverify": True}}


def plan(text: str, spec: EngineSpec, *, ours: bool) -> None:
    manifest = {"manifest": json.dumps(MANIFEST)} if ours else {}
    facts = {"os_release": DEBIAN, "init": "systemd", **ENGINE, **manifest, "daemon_json": text}
    machine = Machine("n", "0" * 32, "ssh", engine=spec)
    try:
        plan_setup(machine, parse_facts(told(facts, NOW)), own_host=False)
    except (CheckFailed, UsageFault, EngineError) as fault:
        assert fault.message  # noqa: PT017


@given(st.dictionaries(st.sampled_from(list(KEYS)) | st.text(max_size=3), JSON, max_size=4), SPECS, st.booleans())
def test_any_daemon_json_is_planned_for_or_refused(config: dict[str, Any], spec: EngineSpec, ours: bool) -> None:
    plan(json.dumps(config), spec, ours=ours)


@given(st.text(max_size=60) | JSON.map(json.dumps), SPECS)
def test_a_daemon_json_that_may_be_none(text: str, spec: EngineSpec) -> None:
    plan(text, spec, ours=False)


@given(st.binary(max_size=60))
def test_any_bytes_in_place_of_a_daemon_json(data: bytes) -> None:
    try:
        assert isinstance(parse_config(data, "daemon.json"), dict)
    except CheckFailed as fault:
        assert fault.message  # noqa: PT017


LOGIN = Login("ssh-ed25519 AAAALOGIN", "ssh-ed25519 AAAAHOST", b"PEM\n")
OURS = [UserData("node1", user, LOGIN, FirstBoot((), "true", early=True)) for user in ("admin", "root")]
SECTIONS = [
    "users",
    "ssh_authorized_keys",
    "runcmd",
    "write_files",
    "apt",
    "ssh_keys",
    "power_state",
    "user",
    "groups",
]
YAML = """\
#cloud-config
packages: [jq]
users: [default, {name: ops, ssh_authorized_keys: [k], sudo: ALL}]
runcmd: [[echo, a], "echo b"]
apt: {http_proxy: 'http://proxy:3142', conf: x}
write_files: [{path: /a, content: b}]
ssh_keys: {ed25519_public: x}
"""
MIME = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/cloud-config; charset="us-ascii"
Content-Transfer-Encoding: 7bit
Content-Disposition: attachment; filename="x"

#cloud-config
runcmd: [a]
--b
Content-Type: text/x-shellscript

#!/bin/sh
--b--
"""


def carry(text: str) -> None:
    try:
        theirs = read_theirs(text, "user.yaml")
        for ours in OURS:
            assert user_data(ours, theirs)
    except UsageFault as fault:
        assert fault.hint  # noqa: PT017


@given(st.dictionaries(st.sampled_from(SECTIONS) | st.text(max_size=4), JSON, max_size=4))
def test_any_values_in_user_data(config: dict[str, Any]) -> None:
    carry("#cloud-config\n" + json.dumps(config))


PUT = st.sampled_from(["", *TOKENS, "charset=x", "base64", "quoted-printable", "\0", "=?utf-8?q?=", "--b", "#!", "é"])


@given(st.sampled_from([YAML, MIME]), st.integers(0, len(MIME)), st.integers(0, 30), PUT)
def test_user_data_with_something_cut_out_and_put_in(text: str, start: int, length: int, put: str) -> None:
    carry(text[:start] + put + text[start + length :])


@given(st.text(max_size=80))
def test_user_data_of_any_text(text: str) -> None:
    for head in ("", "#cloud-config\n", "Content-Type: text/plain\n\n", "#!"):
        carry(head + text)


def read_inventory(text: str) -> None:
    text = text.encode(errors="replace").decode()  # what a file can hold
    try:
        load([YamlFile("f.yaml", text)], AROUND).revealed()
    except InventoryFaults as faults:
        assert all(finding.message for finding in faults.findings)  # noqa: PT017


@examples(60)
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 20), st.sampled_from(TOKENS)), max_size=6))
def test_an_inventory_that_is_damaged_in_several_places(wounds: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for start, length, put in wounds:
        text = text[:start] + put + text[start + length :]
    read_inventory(text)


@examples(60)
@given(st.sampled_from(GOOD.replace(",", "\n").split()), ODD | JSON.map(json.dumps))
def test_an_inventory_with_any_value_in_place_of_a_word(word: str, put: str) -> None:
    read_inventory(GOOD.replace(word, put))


@given(st.text(max_size=80))
def test_an_inventory_of_any_text(text: str) -> None:
    for head in ("", "fleet: f\nmachines:\n", "fleet: f\nmachines: [{name: n, driver: fake, "):
        read_inventory(head + text)
