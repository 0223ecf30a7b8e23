"""Every kind of wrong inventory: what is said of it, and where."""

from __future__ import annotations

import re

import pytest

from pymachine.errors import UsageFault
from pymachine.fleet.inventory import InventoryFaults
from unit.inventories import Files, faults, read, surroundings

HEAD = "fleet: f\ndefaults: {driver: fake}\n"
NODE = "machines: [{name: n, driver: fake}]\n"
MANAGER = "machines: [{name: n, driver: fake, swarm: manager}]\n"

# Text of f.yaml → the only fault in it.
WRONG = {
    # YAML
    "fleet: [f\n": (
        "f.yaml:2:1: not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"
    ),
    "fleet: f\nmachines:\n\t- x\n": (
        "f.yaml:3:1: not YAML: while scanning for the next token, found character '\\t' that cannot start any token"
    ),
    "fleet: f\nmachines: [{name: n-{1..3}}]\n": (
        "f.yaml:2:21: not YAML: while parsing a flow mapping, expected ',' or '}', but got '{'; within {…} "
        "and […], quote values that contain braces"
    ),
    "fleet: *f\n": "f.yaml:1:8: not YAML: found undefined alias 'f'",
    "fleet: f\n---\nfleet: g\n": (
        "f.yaml:2:1: not YAML: expected a single document in the stream, but found another document"
    ),
    "fleet: f\x07\n": "f.yaml:1:9: not YAML: an invalid character (U+0007)",
    "- fleet\n": "f.yaml:1:1: an inventory is a mapping: begin with `fleet: NAME`",
    "[" * 5000: "f.yaml:1:1: the file is nested too deeply",
    "fleet: f\nfleet: f\n": "f.yaml:2:1: key 'fleet' is given twice, first at f.yaml:1:1",
    "fleet: f\n? [a]\n: b\n": "f.yaml:2:3: a key is a single word: quote it if it begins with { or [",
    "fleet: !env f\n": "f.yaml:1:8: tag !env is not supported: remove it",
    "fleet: f\n<<: text\n": "f.yaml:2:5: << requires the alias of a mapping: write <<: *NAME",
    # the whole
    NODE: "f.yaml:1:1: key 'fleet' is missing: write fleet: NAME",
    "fleet: f f\n": (
        "f.yaml:1:8: 'f f' is not a valid fleet name: use letters, digits, hyphens and dots; each part "
        "begins and ends with a letter or digit"
    ),
    "fleet: f\nmachine: []\n": "f.yaml:2:1: unknown key 'machine': did you mean machines? (or x-… for an anchor)",
    "fleet: f\nmachines: {n: x}\n": "f.yaml:2:11: a mapping is not a list of machines",
    "fleet: f\nmachines: [n]\n": "f.yaml:2:12: 'n' is not a mapping such as {name: node1}",
    "fleet: f\ndefaults: [n]\n": "f.yaml:2:11: a list is not a mapping",
    # machines
    "fleet: f\nmachines: [{driver: fake}]\n": (
        "f.yaml:2:12: key 'name' is missing: every entry of machines has a name"
    ),
    HEAD + "machines: [{name: a_b}]\n": (
        "f.yaml:3:19: 'a_b' is not a valid machine name: use letters, digits, hyphens and dots; each part "
        "begins and ends with a letter or digit"
    ),
    HEAD + "machines: [{name: [n]}]\n": "f.yaml:3:19: a list is not text",
    HEAD + "machines: [{name: n, drivr: fake}]\n": "f.yaml:3:22: unknown key 'drivr': did you mean driver?",
    HEAD + "machines:\n- name: n\n- name: N\n": "f.yaml:5:9: machine 'N' is already defined at f.yaml:4:9",
    HEAD + "machines:\n- name: n{1,1}\n": "f.yaml:4:9: machine 'n1' is already defined at f.yaml:4:9",
    "fleet: f\nmachines: [{name: n}]\n": (
        "f.yaml:2:19: machine 'n' has no driver: give it one of absent, cloud, fake, generic, ssh"
    ),
    "fleet: f\nmachines: [{name: n, driver: fak}]\n": "f.yaml:2:30: no driver 'fak': did you mean fake?",
    "fleet: f\nmachines: [{name: n, driver: absent}]\n": (
        "f.yaml:2:30: driver 'absent' cannot be loaded: no module: install it"
    ),
    # options of drivers
    HEAD + "machines: [{name: n, fake: {siez: 2}}]\n": "f.yaml:3:29: unknown option 'siez': did you mean size?",
    HEAD + "machines: [{name: n, fake: {size: big}}]\n": "f.yaml:3:35: 'big' is not a whole number",
    HEAD + "machines: [{name: n, fake: {size: '2'}}]\n": "f.yaml:3:35: '2' is not a whole number",
    HEAD + "machines: [{name: n, fake: {spot: 1}}]\n": "f.yaml:3:35: '1' is not true or false",
    HEAD + "machines: [{name: n, fake: {zone: north}}]\n": "f.yaml:3:35: 'north' is not one of east, west",
    HEAD + "machines: [{name: n, fake: {address: {a: b}}}]\n": "f.yaml:3:38: a mapping is not text",
    HEAD + "machines: [{name: n, fake: {address: ''}}]\n": "f.yaml:3:38: '' is empty",
    HEAD + "machines: [{name: n, fake: {tags: [a, [b]]}}]\n": "f.yaml:3:39: a list is not text",
    HEAD + "machines: [{name: n, fake: text}]\n": "f.yaml:3:28: 'text' is not a mapping",
    HEAD + "machines: [{name: n, ssh: {host: h}}]\n": (
        "f.yaml:3:22: section 'ssh' belongs to another driver; the machine's driver is fake"
    ),
    "fleet: f\nmachines: [{name: n, driver: ssh}]\n": (
        "f.yaml:2:19: machine 'n' needs option 'host' of driver ssh: address, name or ~/.ssh/config alias of the host"
    ),
    "fleet: f\nmachines: [{name: n, driver: cloud, cloud: {price: dear}}]\n": "f.yaml:2:52: 'dear' is not a number",
    "fleet: f\nmachines: [{name: n, driver: cloud, cloud: {password: x}}]\n": (
        "f.yaml:2:45: password is not supported: export CLOUD_PASSWORD"
    ),
    "fleet: f\ndefaults: {driver: fake, cloud: {knd: big}}\n": (
        "f.yaml:2:34: unknown option 'knd': did you mean kind?"
    ),
    # engine
    HEAD + "machines: [{name: n, engine: {vers: 1}}]\n": "f.yaml:3:31: unknown key 'vers': did you mean version?",
    HEAD + "machines: [{name: n, engine: {version: new}}]\n": (
        "f.yaml:3:40: 'new' is not a valid engine version: give numbers such as 26.1.5, or 26.1 for its newest"
    ),
    HEAD + "machines: [{name: n, engine: {port: 99999}}]\n": (
        "f.yaml:3:37: '99999' is out of range: give 1 to 65535"
    ),
    HEAD + "machines: [{name: n, engine: {install: dock}}]\n": (
        "f.yaml:3:40: 'dock' is not a valid source: give auto, docker, distro, none, a URL or a file"
    ),
    HEAD + "machines: [{name: n, engine: {install: ./no.sh}}]\n": (
        "f.yaml:3:40: '/inv/no.sh' cannot be read: no such file"
    ),
    HEAD + "machines: [{name: n, engine: {registry_mirrors: m}}]\n": (
        "f.yaml:3:49: 'm' is not a valid URL: write https://HOST[:PORT]/…"
    ),
    HEAD + "machines: [{name: n, engine: {insecure_registries: ['http://r']}}]\n": (
        "f.yaml:3:53: 'http://r' has a scheme: give HOST:PORT or a network such as 10.0.0.0/8 alone"
    ),
    HEAD + "machines: [{name: n, engine: {labels: [rack]}}]\n": "f.yaml:3:40: 'rack' is not key=value",
    HEAD + "machines: [{name: n, engine: {env: {1a: b}}}]\n": (
        "f.yaml:3:37: '1a' is not a valid variable name: use letters, digits and underscores, no digit first"
    ),
    HEAD + "machines: [{name: n, engine: {env: {A: {file: x}}}}]\n": (
        "f.yaml:3:40: a mapping is not text: write {from_file: PATH} or {from_command: [WORD, …]}"
    ),
    HEAD + "machines: [{name: n, engine: {daemon: {hosts: []}}}]\n": (
        "f.yaml:3:39: daemon: 'hosts' is set by pymachine itself: the engine's port is an option of its own; "
        "certificates are made by pymachine"
    ),
    HEAD + "machines: [{name: n, engine: {opts: [debug, mtu=x]}}]\n": (
        "f.yaml:3:45: opts: 'mtu=x' needs a whole number as its value"
    ),
    HEAD + "machines: [{name: n, engine: {opts: {mtu: x}}}]\n": (
        "f.yaml:3:38: opts: 'mtu=x' needs a whole number as its value"
    ),
    HEAD + "machines: [{name: n, engine: {daemon: {storage-driver: zfs}, storage_driver: btrfs}}]\n": (
        "f.yaml:3:78: storage_driver: 'btrfs' contradicts another engine option: storage-driver is \"zfs\" there"
    ),
    # swarm
    HEAD + "machines: [{name: n, swarm: boss}]\n": "f.yaml:3:29: 'boss' is not one of manager, worker, none",
    HEAD + "machines: [{name: n, swarm: {labels: {a: b}}}]\n": (
        "f.yaml:3:29: key 'role' is missing: manager, worker or none"
    ),
    HEAD + "machines: [{name: n, swarm: worker}]\n": (
        "f.yaml:3:19: n is a worker, and there is no manager: give a machine swarm: manager"
    ),
    HEAD + NODE + "swarm: {autolock: true}\n": (
        "f.yaml:4:8: a swarm without a manager: give a machine swarm: manager"
    ),
    HEAD + MANAGER + "swarm: {autlock: true}\n": "f.yaml:4:9: unknown key 'autlock': did you mean autolock?",
    HEAD + MANAGER + "swarm: {address_pool: 10.1}\n": (
        "f.yaml:4:23: '10.1' is not a valid IPv4 network: write ADDRESS/BITS, such as 10.80.0.0/16"
    ),
    HEAD + MANAGER + "swarm: {address_pool: 10.1.2.0/16}\n": (
        "f.yaml:4:23: '10.1.2.0/16' has host bits set: did you mean 10.1.0.0/16?"
    ),
    HEAD + MANAGER + "swarm: {address_pool: [10.1.0.0/16, 10.0.0.0/8]}\n": (
        "f.yaml:4:9: address pools 10.1.0.0/16 and 10.0.0.0/8 overlap"
    ),
    HEAD + MANAGER + "swarm: {address_pool: 10.1.0.0/28}\n": (
        "f.yaml:4:9: address pool 10.1.0.0/28 is smaller than one subnet of /24"
    ),
    HEAD + MANAGER + "swarm: {certificate_life: 5min}\n": (
        "f.yaml:4:27: '5min' is out of range: give 3600 or more seconds"
    ),
    HEAD + MANAGER + "swarm: {heartbeat: soon}\n": "f.yaml:4:20: 'soon' is not a time such as 90d, 36h or 5s",
    HEAD + MANAGER + "swarm: {data_path_port: 80}\n": "f.yaml:4:25: '80' is out of range: give 1024 to 49151",
    HEAD + "machines: [{name: n, swarm: manager, engine: {daemon: {live-restore: true}}}]\n": (
        "f.yaml:3:19: n has live-restore and a Swarm role: an engine supports only one of them"
    ),
    # stacks, hooks
    HEAD + MANAGER + "stacks: s\n": "f.yaml:4:9: 's' is not a list of stacks",
    HEAD + MANAGER + "stacks: [{file: c.yaml}]\n": "f.yaml:4:10: key 'name' is missing: Name of the stack.",
    HEAD + MANAGER + "stacks: [{name: s}]\n": (
        "f.yaml:4:10: key 'file' is missing: Compose file, or several that are merged."
    ),
    HEAD + MANAGER + "stacks: [{name: S, file: c.yaml}]\n": (
        "f.yaml:4:17: 'S' is not a valid stack name: use lower-case letters, digits, hyphens and _; begin "
        "with a letter or digit"
    ),
    HEAD + MANAGER + "stacks: [{name: s, file: d.yaml}]\n": "f.yaml:4:26: d.yaml: no such file",
    HEAD + MANAGER + "stacks: [{name: s, file: c.yaml, on: m}]\n": "f.yaml:4:38: no machine 'm': there are n",
    HEAD + NODE + "stacks: [{name: s, file: c.yaml}]\n": (
        "f.yaml:4:10: stack 's' needs a Swarm, and there is none: name its machine: on: NAME"
    ),
    HEAD + MANAGER + "stacks: [{name: s, file: c.yaml}, {name: s, file: c.yaml}]\n": (
        "f.yaml:4:35: stack 's' is already defined at f.yaml:4:10"
    ),
    HEAD + "hooks: {after_creat: ./p}\n": "f.yaml:3:9: unknown event 'after_creat': did you mean after_create?",
    HEAD + "hooks: {after_create: ./q}\n": "f.yaml:3:23: ./q: no such file",
    HEAD + "hooks: {after_create: c.yaml}\n": "f.yaml:3:23: c.yaml: it is not executable: chmod +x it",
    # ranges, overrides, variables
    HEAD + "machines:\n- name: n{3..1}\n": "f.yaml:4:9: {3..1} goes backwards: write {1..3}",
    HEAD + "machines:\n- name: n{1..99999}\n": "f.yaml:4:9: {1..99999} has 99999 items: 10000 are allowed",
    HEAD + "machines:\n- name: n{1..200}-{1..200}\n": (
        "f.yaml:4:9: 'n{1..200}-{1..200}' expands to 40000 values: 10000 are allowed"
    ),
    HEAD + "machines:\n- name: n{1..3}\n  fake: {address: '192.0.2.{1..2}'}\n": (
        "f.yaml:5:19: '192.0.2.{1..2}' expands to 2 values, its entry to 3 machines"
    ),
    HEAD + "machines:\n- name: n\n  labels: {a: '{b,c}'}\n": (
        "f.yaml:5:15: '{b,c}' expands to 2 values, its entry to 1 machine"
    ),
    HEAD + "machines:\n- name: n{1..2}\n  overrides: {n3: {}}\n": (
        "f.yaml:5:15: no machine 'n3' in this entry: there are n1, n2"
    ),
    HEAD + "machines:\n- name: n\n  overrides: {n: {name: m}}\n": (
        "f.yaml:5:19: unknown key 'name': there are absent, cloud, driver, engine, fake, generic, groups, "
        "labels, ssh, swarm"
    ),
    HEAD + "machines: [{name: n, labels: {a: '${NOPE}'}}]\n": (
        "f.yaml:3:34: variable NOPE is not set: set it, or write ${NOPE:-default}"
    ),
    HEAD + "machines: [{name: n, labels: {a: '${1}'}}]\n": (
        "f.yaml:3:34: ${ does not start a variable: write ${NAME}, ${NAME:-default}, or $$ for a $"
    ),
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[-60:].strip().replace("\n", "⏎"))
def test_one_fault_is_told_with_its_place(text: str) -> None:
    around = surroundings(files=Files({"/inv/c.yaml": "", "/inv/p": ""}, {"/inv/p"}))
    assert faults(text, around=around) == [WRONG[text]]


def test_all_faults_are_told_at_once_in_the_order_of_their_places() -> None:
    text = """
        fleet: f
        defaults: {driver: fak, engine: {prot: 1}}
        machines:
          - {name: a, fake: {size: x}}
          - {name: b, lables: {}}
        hooks: {later: ./x}
    """
    assert [line.partition(": ")[0] for line in faults(text)] == [
        "f.yaml:3:20", "f.yaml:3:34", "f.yaml:5:28", "f.yaml:6:15", "f.yaml:7:9",
    ]  # fmt: skip


def test_faults_of_several_files_come_in_the_order_of_the_files() -> None:
    lines = faults("fleet: f\nmachnes: []\n", "machines: [{name: n}]\n")
    assert [line[:10] for line in lines] == ["f.yaml:2:1", "g.yaml:1:1"]


def test_a_line_that_makes_many_machines_is_faulted_once() -> None:
    assert len(faults("fleet: f\nmachines:\n- name: n{1..50}\n  driver: fake\n  fake: {size: x}\n")) == 1


def test_faults_are_a_usage_fault_whose_message_has_a_line_for_each() -> None:
    with pytest.raises(InventoryFaults) as caught:
        read("flet: f\nmachins: []\n")
    assert isinstance(caught.value, UsageFault)
    assert caught.value.exit_code == 2
    assert caught.value.message.splitlines()[0].startswith("3 ")
    assert len(caught.value.message.splitlines()) == 4


@pytest.mark.parametrize("key", ["http_proxy", "install", "repo_url"])
def test_a_password_in_a_url_that_is_none_is_not_shown_in_a_fault(key: str) -> None:
    text = f"fleet: f\nmachines: [{{name: n, driver: fake, engine: {{{key}: 'http://user:hun@ter2@pro xy'}}}}]\n"
    (line,) = faults(text)
    assert not {"hun", "ter2"} & set(line.replace("@", " ").replace(":", " ").split())
    assert "pro xy" in line


def test_the_value_of_a_variable_is_not_shown_in_a_fault() -> None:
    text = "fleet: f\nmachines: [{name: n, driver: fake, engine: {http_proxy: '${PROXY}'}}]\n"
    (line,) = faults(text, around=surroundings({"PROXY": "user:hunter2@proxy"}))
    assert "hunter2" not in line
    assert "${PROXY}" in line


def test_a_manager_that_cannot_be_read_is_not_missed_as_well() -> None:
    text = """
        fleet: f
        machines:
          - {name: m, driver: nodriver, swarm: manager}
          - {name: w, driver: fake, swarm: worker}
        swarm: {autolock: true}
    """
    assert faults(text) == ["f.yaml:4:23: no driver 'nodriver': there are absent, cloud, fake, generic, ssh"]


@pytest.mark.parametrize(("managers", "warned"), [(1, 0), (2, 1), (3, 0), (4, 1), (8, 2), (9, 1)])
def test_even_and_great_numbers_of_managers_are_warned_of(managers: int, warned: int) -> None:
    text = f"fleet: f\nmachines:\n- name: n{{1..{managers}}}\n  driver: fake\n  swarm: manager\n"
    assert len(read(text).warnings) == warned


def test_two_machines_on_one_host_are_warned_of() -> None:
    text = "fleet: f\ndefaults: {driver: ssh}\nmachines: [{name: a, ssh: {host: h}}, {name: b, ssh: {host: h}}]\n"
    assert [re.findall(r"^\S+ b | a: h$", warning) for warning in read(text).warnings] == [
        ["f.yaml:3:46: b ", " a: h"]
    ]


def test_a_variable_without_a_value_is_one_fault_wherever_it_stands() -> None:
    text = """
        fleet: f
        machines:
          - name: n
            driver: ssh
            ssh: {host: "${A}", port: "${A}"}
            labels: {a: "${A}"}
            engine: {daemon: {mtu: "${A}"}, version: "${A}"}
            swarm: "${A}"
    """
    lines = faults(text)
    assert len(lines) == 6
    assert all("variable A " in line for line in lines)


def test_an_entry_without_a_usable_name_is_looked_at_all_the_same() -> None:
    text = """
        fleet: f
        machines:
          - {name: a_b, driver: fake, fake: {size: x}, engine: {port: 0}, labels: [a]}
          - {name: "n{1..2}", driver: fake, fake: {address: "{a,b,c}", size: "{1,2,3}", zone: up}}
        stacks:
          - {name: s, file: c.yaml, on: n1}
    """
    lines = faults(text, around=surroundings(files=Files({"/inv/c.yaml": ""})))
    assert [line.partition(": ")[0] for line in lines] == [
        "f.yaml:4:12", "f.yaml:4:44", "f.yaml:4:63", "f.yaml:4:76", "f.yaml:5:53", "f.yaml:5:70", "f.yaml:5:87",
    ]  # fmt: skip
