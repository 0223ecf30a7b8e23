"""What the facts command prints is read into values; the command itself is run for real on this machine."""

import base64
import json
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patience import LIMIT
from pymachine.engine.facts import facts_command, parse_facts
from pymachine.engine.host_facts import Asked
from pymachine.engine.os_family import DockerRepo
from pymachine.errors import EngineError
from pymachine.model import EngineSpec

ADDRESSES = """\
2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0
2: eth0    inet6 fd00::5/64 scope global
2: eth0    inet6 fd00::99/64 scope global temporary dynamic
3: docker0    inet 172.17.0.1/16 scope global docker0
4: br-0123456789ac    inet 172.18.0.1/16 scope global br-0123456789ac
"""
INFO = {"LiveRestoreEnabled": True, "Driver": "overlay2", "Images": 2, "Swarm": {"LocalNodeState": "inactive"}}

FACTS = (
    "os_release", "arch", "kernel", "init", "hostname", "etc_hosts", "debian_version", "addresses", "clock", "ipv6",
    "uid", "user", "groups", "free", "listening", "listeners", "cloud_init", "tools", "ufw", "docker_sources",
    "repository", "daemon_json", "info", "containers", "manifest", "unit_properties", "unit_text", "package",
    "dockerd_version", "cmdline", "unit_environment", "links", "networks", "default_routes", "neighbours",
    "unit_states", "firewall", "sockets", "socket_units", "os_fields",
)  # fmt: skip


def output(**facts: str | bytes) -> str:
    """What the command prints for these facts."""
    facts = {"os_release": "ID=debian\nVERSION_CODENAME=trixie\n", **facts, "complete": "yes"}
    raw = {name: text.encode() if isinstance(text, str) else text for name, text in facts.items()}
    return "".join(f"{name} {base64.b64encode(content).decode()}\n" for name, content in raw.items())


def test_the_command_runs_on_this_machine_and_is_read() -> None:
    command = facts_command(EngineSpec(install="distro"))

    done = subprocess.run(list(map(str, command.words)), capture_output=True, text=True, check=True, timeout=LIMIT)
    facts = parse_facts(done.stdout)

    assert done.stderr == ""
    assert facts.os.id
    assert facts.clock is not None
    assert facts.room("/") is not None
    assert facts.repository is None


def test_the_repository_is_probed_only_where_the_source_is_open_and_no_proxy_is_in_between() -> None:
    assert facts_command(EngineSpec()).words[4] == "https://download.docker.com"
    assert facts_command(EngineSpec(install="distro")).words[4] == ""
    assert facts_command(EngineSpec(https_proxy="http://u:secret@p:1")).words[4] == ""
    assert "secret" not in facts_command(EngineSpec(https_proxy="http://u:secret@p:1")).shell()


def test_addresses_are_the_hosts_own_and_lasting_ones() -> None:
    assert parse_facts(output(addresses=ADDRESSES)).addresses == ("10.0.0.5", "fd00::5")


def test_networks_of_the_engines_bridges_are_told_from_those_of_others() -> None:
    more = "5: br-0123456789ab    inet 172.19.0.1/16 scope global br-0123456789ab\n"
    assert parse_facts(output(addresses=ADDRESSES + more)).bridges == (
        "172.17.0.1/16",
        "172.18.0.1/16",
        "172.19.0.1/16",
    )


def test_a_clock_without_a_fraction_is_read() -> None:
    assert parse_facts(output(clock="1700000000.%N")).clock == 1700000000.0


def test_a_host_without_an_engine_has_none() -> None:
    assert parse_facts(output()).engine is None


def test_an_engine_is_read_from_its_unit_its_package_and_its_own_answer() -> None:
    engine = parse_facts(
        output(
            dockerd="/usr/sbin/dockerd",
            dockerd_version="Docker version 26.1.5+dfsg1, build a72d7cd",
            unit="docker.service",
            package="docker.io 26.1.5+dfsg1-9",
            unit_properties="ActiveState=active\nFragmentPath=/lib/docker.service\nDropInPaths=/etc/a /etc/b\n",
            cmdline=b"/usr/sbin/dockerd\0-H\0fd://\0",
            info=json.dumps(INFO),
            containers='[{"Names":["/web"]},{"Names":["/db"]}]',
        )
    ).engine

    assert engine is not None
    assert (engine.version, engine.package, engine.package_version) == ("26.1.5+dfsg1", "docker.io", "26.1.5+dfsg1-9")
    assert (engine.active, engine.drop_ins) == (True, ("/etc/a", "/etc/b"))
    assert (engine.live_restore, engine.swarm, engine.storage_driver, engine.has_data) == (
        True,
        False,
        "overlay2",
        True,
    )
    assert engine.containers == ("db", "web")
    assert engine.flags == {"host": ["fd://"]}


@pytest.mark.parametrize(
    "told",
    [
        '[{"Names":["/w.1.x"],"Labels":{"com.docker.swarm.service.name":"w","a":"b,c"}},{"Names":["/db"],"Labels":null}]',
        '{"Names":"w.1.x","Labels":"a=b,com.docker.swarm.service.name=w"}\n{"Names":"db","Labels":""}\n',
    ],
)
def test_tasks_are_told_from_other_containers_by_their_label(told: str) -> None:
    facts = parse_facts(output(unit="docker.service", containers=told))
    assert facts.engine is not None
    assert (facts.engine.containers, facts.engine.tasks) == (("db", "w.1.x"), {"w.1.x": "w"})


def test_containers_are_read_from_the_client_as_well() -> None:
    facts = parse_facts(output(unit="docker.service", containers='{"Names":"web"}\n{"Names":"db"}\n'))

    assert facts.engine is not None
    assert facts.engine.containers == ("db", "web")


def test_daemon_json_comes_byte_for_byte_whether_an_engine_is_there_or_not() -> None:
    content = b'{ "odd" : 1 }\n\n \xff'

    assert parse_facts(output(daemon_json=content)).daemon_json == content


def test_ports_and_who_holds_them_are_read() -> None:
    listeners = 'LISTEN 0 128 0.0.0.0:2376 0.0.0.0:* users:(("nginx",pid=7,fd=3))\n'

    facts = parse_facts(output(listening="0016\n0948\n", listeners=listeners))

    assert facts.listening == {22, 2376}
    assert facts.listeners == {2376: "nginx"}


def test_the_room_of_a_folder_is_that_of_the_nearest_file_system() -> None:
    facts = parse_facts(output(free="/ 100\n/var 50\n"))

    assert (facts.room("/var/lib/docker"), facts.room("/etc")) == (50 * 1024, 100 * 1024)


def test_the_repository_that_answered_is_read() -> None:
    facts = parse_facts(output(repository="debian trixie\nfedora\n"))

    assert facts.repository == (DockerRepo("debian", "trixie"), DockerRepo("fedora"))


@pytest.mark.parametrize("text", ["", "Last login: yesterday\n", "os_release SUQ9eA==\n"])
def test_an_output_that_is_cut_short_or_something_else_is_an_error(text: str) -> None:
    with pytest.raises(EngineError, match="facts"):
        parse_facts(text)


def test_a_login_banner_around_the_facts_does_no_harm() -> None:
    assert parse_facts("Welcome to the host!\n" + output(hostname="a")).hostname == "a"


def test_a_manifest_that_is_no_json_counts_as_none() -> None:
    assert parse_facts(output(manifest="{")).manifest is None


WRONG = {
    "uid": ["x", "-1", "9" * 5000, "1.5", "١"],
    "free": ["/ x", "/ -1", "/ 1.5", "/", "/ " + "9" * 5000],
    "listening": ["zz", "fffff", "-1", "f" * 5000],
    "listeners": [
        'LISTEN 0 128 *:99999 *:* users:(("x",pid=1))',
        f'LISTEN 0 1 *:{"9" * 5000} *:* users:(("x",pid=1))',
    ],
    "clock": ["9" * 400, "9" * 30 + ".5"],
}
ENGINE = {"unit": "docker.service", "dockerd": "/usr/bin/dockerd"}
WRONG |= {
    "links": [
        "{}",
        "[1]",
        '[{"ifname": 5}]',
        '[{"ifname": "a", "addr_info": [{"local": 1}]}]',
        '[{"ifname": "a", "linkinfo": 1}]',
    ],
    "networks": ["{}", "[1]", '[{"Id": 5}]', '[{"Id": "a", "Options": 1}]', '[{"Driver": "bridge"}]'],
}
WRONG_OF_ENGINE = {
    "info": ['[1]', '{"Swarm": 5}', '{"Swarm": {"NodeID": 5}}', '{"Driver": []}', '{"Images": "x"}',
             '{"Swarm": {"Cluster": "x"}}', '{"LiveRestoreEnabled": "yes"}'],
    "containers": ["[1]", '[{"Names": 5}]', '[{"Names": [1]}]', '{"Names": {}}', "[null]"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_fact_of_a_wrong_shape_is_named(name: str, text: str) -> None:
    with pytest.raises(EngineError, match=f"'{name}'"):
        parse_facts(output(**{name: text}))


@pytest.mark.parametrize("said", ['{"message": "permission denied"}', '[{"Id": "a"}]', '{"Names": "a"}\n{"x": 1}'])
def test_what_is_no_list_of_containers_tells_nothing_of_them(said: str) -> None:
    engine = parse_facts(output(**ENGINE, info=json.dumps(INFO), cmdline="dockerd\0", containers=said)).engine
    assert engine is not None
    assert engine.asked is Asked.UNANSWERED


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in WRONG_OF_ENGINE.items() for text in texts]
)
def test_an_answer_of_the_engine_of_a_wrong_shape_is_named(name: str, text: str) -> None:
    with pytest.raises(EngineError, match=f"'{name}'"):
        parse_facts(output(**ENGINE, **{name: text}))


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(FACTS), st.text(max_size=30) | st.binary(max_size=30), max_size=6))
def test_whatever_a_host_answers_is_facts_or_one_kind_of_error(found: dict[str, str | bytes]) -> None:
    found = {
        name: text.encode(errors="surrogatepass") if isinstance(text, str) else text for name, text in found.items()
    }
    with suppress(EngineError):
        facts = parse_facts(output(**{**ENGINE, **found}))
        assert facts.engine is not None
        assert facts.engine.flags is not None
        assert facts.engine.swarm in (True, False)
