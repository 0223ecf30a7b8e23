"""A host that docker-machine set up: its options move to daemon.json, its drop-in goes and comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pymachine.engine.effects import Effect, effects_of
from pymachine.engine.host_facts import HostFacts
from pymachine.engine.options import TLS_KEYS
from pymachine.engine.removal import plan_removal
from pymachine.engine.setup import SetupPlan, plan_setup
from pymachine.errors import CheckFailed
from pymachine.fleet.plan.hosts import read_host
from pymachine.model import EngineSpec
from unit.engine.test_setup import UNIT, adopted, machine

OURS = "/etc/systemd/system/docker.service.d/zz-pymachine.conf"
PATH = "/etc/systemd/system/docker.service.d/10-machine.conf"
TLS = (
    "--tlsverify --tlscacert /etc/docker/ca.pem --tlscert /etc/docker/server.pem --tlskey /etc/docker/server-key.pem"
)
LISTENS = "-H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock"
COMMAND = f"/usr/bin/dockerd {LISTENS} --storage-driver overlay2 {TLS} --label provider=generic"


def text_of(command: str = COMMAND, more: str = "Environment=\n") -> str:
    return f"{UNIT}# {PATH}\n[Service]\nExecStart=\nExecStart={command}\n{more}"


def host(command: str = COMMAND, *, text: str | None = None, **engine: Any) -> HostFacts:
    given = {"unit_text": text or text_of(command), "cmdline": tuple(command.split()), **engine}
    facts = adopted(**given)
    return replace(facts, listening=frozenset({2376}), listeners={2376: "dockerd"})


def after(plan: SetupPlan, facts: HostFacts, **changes: Any) -> HostFacts:
    """The facts when the set-up was there, or a part of it."""
    assert facts.engine is not None
    ours = (*plan.config.command, "-H", plan.config.listen, *plan.config.protection)
    drop_in = f"# {OURS}\n[Service]\nExecStart=\nExecStart={' '.join(ours)}\n"
    engine = replace(facts.engine, cmdline=ours, unit_text=UNIT + drop_in)
    known = {"engine": engine, "daemon_json": plan.config.final, "manifest": json.loads(plan.manifest.text())}
    return replace(facts, **{**known, **changes})


def final(plan: SetupPlan) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plan.config.final)
    return found


def refused(facts: HostFacts, **spec: Any) -> str:
    with pytest.raises(CheckFailed) as error:
        plan_setup(machine(**spec), facts)
    return error.value.message


def test_its_options_move_and_its_socket_stays() -> None:
    plan = plan_setup(machine(), host())

    assert final(plan) == {"storage-driver": "overlay2", "labels": ["provider=generic"]}
    assert plan.config.command == ("/usr/bin/dockerd", "-H", "unix:///var/run/docker.sock")
    assert plan.config.listen == "tcp://0.0.0.0:2376"
    assert f"--tlskey={TLS_KEYS['tlskey']}" in plan.config.protection
    assert plan.config.drop_in is not None
    assert plan.config.drop_in.authorities == "/etc/docker/ca.pem", "what other stores appended there stays"
    assert (plan.manifest.drop_in, plan.manifest.added) == (PATH, {})
    assert Effect.OPEN_PORT not in effects_of(plan.changes), "it is open already, to clients with a certificate"
    assert Effect.RESTART_ENGINE in effects_of(plan.changes)


@pytest.mark.parametrize(
    ("flags", "config"),
    [
        ("--registry-mirror https://m.lan --registry-mirror=https://n.lan", {"registry-mirrors": ["https://m.lan", "https://n.lan"]}),
        ("--insecure-registry r.lan:5000", {"insecure-registries": ["r.lan:5000"]}),
        ("--log-driver=json-file --log-opt max-file=3", {"log-driver": "json-file", "log-opts": {"max-file": "3"}}),
        ("--label a=1 --label b=2", {"labels": ["provider=generic", "a=1", "b=2"]}),
        ("--mtu=1400 --icc=false --debug", {"mtu": 1400, "icc": False, "debug": True}),
        ("--mtu=1400 --mtu=1300", {"mtu": 1300}),
        ("-g /srv/docker", {"data-root": "/srv/docker"}),
        ("--http-proxy=http://p.lan:3128", {"proxies": {"http-proxy": "http://p.lan:3128"}}),
        ("--default-ulimit nofile=64", {"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 64, "Hard": 64}}}),
    ],
)  # fmt: skip
def test_each_kind_of_option_has_its_key(flags: str, config: dict[str, Any]) -> None:
    found = final(plan_setup(machine(), host(f"{COMMAND} {flags}", info={"Driver": "overlay2"})))

    assert {key: found.get(key) for key in config} == config


def test_the_next_set_up_changes_nothing() -> None:
    facts = host()
    first = plan_setup(machine(labels=("a=1",)), facts)

    second = plan_setup(machine(labels=("a=1",)), after(first, facts))

    assert second.changes == ()
    assert second.config.final == first.config.final
    assert (second.config.command, second.config.listen) == (first.config.command, first.config.listen)
    assert (second.manifest.moved, second.manifest.drop_in) == (first.manifest.moved, PATH)


def test_what_is_on_record_is_the_machines_own_from_then_on() -> None:
    facts = host(f"{COMMAND} --label a=1 --log-level=info")
    before = EngineSpec(labels=("a=1",), opts=("log-level=info",))

    first = plan_setup(machine(labels=("a=2",), opts=("log-level=warn",)), facts, former=before)
    second = plan_setup(machine(), after(first, facts))

    assert final(first)["labels"] == ["provider=generic", "a=2"]
    assert final(first)["log-level"] == "warn"
    assert final(second) == {"storage-driver": "overlay2", "labels": ["provider=generic"]}


def test_what_only_the_host_has_is_a_conflict_with_another_value() -> None:
    facts = host(f"{COMMAND} --label a=1 --log-level=info")

    text = refused(facts, labels=("a=2",), opts=("log-level=warn",))

    assert all(part in text for part in ("label a", "log-level", "2 requested"))


def test_another_storage_driver_is_refused_where_data_would_vanish() -> None:
    assert "btrfs" in refused(host(), storage_driver="btrfs")


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--default-network-opt bridge=com.docker.network.driver.mtu=1400", "--default-network-opt"),
        ("--no-such-option=x", "--no-such-option"),
        ("--mtu=much", "--mtu"),
    ],
)
def test_an_option_without_a_place_is_named(flags: str, named: str) -> None:
    assert named in refused(host(f"{COMMAND} {flags}"))


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("LimitNOFILE=9\n", "LimitNOFILE"),
        ('Environment="HTTP_PROXY=http://p.lan" "A=b c"\n', "A, HTTP_PROXY"),
        ('# LimitCORE=1\nEnvironment=\\\n  "X=1"\n', "X"),
    ],
)
def test_a_setting_that_would_be_lost_with_it_is_named(more: str, named: str) -> None:
    text = refused(host(text=text_of(more=more)))

    assert text.endswith(named)


def test_variables_on_record_go_to_the_file_of_the_machine() -> None:
    facts = host(text=text_of(more='Environment="A=b" "HTTP_PROXY=http://p.lan"\n'))

    plan = plan_setup(machine(env=("A=b",), http_proxy="http://p.lan"), facts)

    assert dict(plan.variables)["A"] == "b"
    assert plan_setup(machine(), facts, former=EngineSpec(env=("A=b", "HTTP_PROXY=x"))).variables == ()


def test_a_command_line_that_is_not_the_running_one_is_refused() -> None:
    assert PATH in refused(host(text=text_of(f"{COMMAND} --label b=2")))
    assert PATH in refused(host(cmdline=()))
    quoted = host(f"{COMMAND} --label b=2", text=text_of(f'{COMMAND} --label "b=2"'))
    assert "b=2" in final(plan_setup(machine(), quoted))["labels"]


def test_another_drop_in_of_the_same_name_is_not_taken_over() -> None:
    plain = f"/usr/bin/dockerd {LISTENS} --label provider=generic"

    assert "--label" in refused(host(plain), labels=("x=1",))
    overridden = (
        text_of()
        + "# /etc/systemd/system/docker.service.d/50-x.conf\n[Service]\nExecStart=\nExecStart=/usr/bin/dockerd\n"
    )
    assert plan_setup(machine(), host("/usr/bin/dockerd", text=overridden)).config.drop_in is None


def test_one_that_came_after_the_set_up_is_refused() -> None:
    facts = adopted()
    plan = plan_setup(machine(), facts)
    ours = ("/usr/sbin/dockerd", "-H", "fd://", "-H", plan.config.listen, *plan.config.protection)
    there = host(cmdline=ours)

    assert PATH in refused(replace(there, daemon_json=plan.config.final, manifest=json.loads(plan.manifest.text())))


@pytest.mark.parametrize("started", [False, True], ids=["not started", "started"])
@pytest.mark.parametrize("gone", [False, True], ids=["drop-in there", "drop-in aside"])
@pytest.mark.parametrize("written", [False, True], ids=["no file", "file"])
def test_a_set_up_that_was_cut_off_goes_on(started: bool, gone: bool, written: bool) -> None:
    """The drop-in goes aside when the file has its options, so without either there is no state."""
    if gone and not written:
        return
    facts = host(f"{COMMAND} --log-level=info")
    first = plan_setup(machine(labels=("a=1",)), facts)
    done = after(first, facts)
    assert done.engine is not None
    assert facts.engine is not None
    their_part = f"# {PATH}\n" + text_of(f"{COMMAND} --log-level=info").partition(f"# {PATH}\n")[2]
    text = UNIT + ("" if gone else their_part) + done.engine.unit_text.removeprefix(UNIT)
    cmdline = done.engine.cmdline if started else facts.engine.cmdline
    engine = replace(done.engine, unit_text=text, cmdline=cmdline)
    there = replace(done, engine=engine, daemon_json=first.config.final if written else None)

    again = plan_setup(machine(labels=("a=1",)), there)

    assert again.config.final == first.config.final
    assert again.manifest == first.manifest
    assert (again.config.drop_in is None) is gone
    assert bool(again.changes) is not (started and gone)


def test_it_comes_back_with_the_removal() -> None:
    facts = replace(host(f"{COMMAND} --log-level=info"), daemon_json=b'{"mtu": 1400}')
    there = after(plan_setup(machine(labels=("a=1",)), facts), facts)

    plan = plan_removal(there, owner="id-1")

    assert (plan.drop_in, plan.final) == (PATH, b'{"mtu": 1400}')


def test_no_key_stays_in_the_file_that_is_a_flag_again() -> None:
    """dockerd does not start with a key and its flag; the key may have been added after the set-up."""
    facts = host(f"{COMMAND} --data-root /srv/docker")
    there = after(plan_setup(machine(config={"data-root": "/srv/docker"}), facts), facts)
    edited = {**json.loads(there.daemon_json or b""), "labels": ["provider=generic", "mine=1"], "mtu": 1400}

    plan = plan_removal(replace(there, daemon_json=json.dumps(edited).encode()), owner="id-1")

    assert json.loads(plan.final or b"") == {"mtu": 1400}
    assert plan.places == ()


@pytest.mark.parametrize(("flag", "stops"), [("--live-restore", False), ("--live-restore=false", True)])
def test_containers_are_kept_as_the_flag_says(flag: str, stops: bool) -> None:
    info = {"Driver": "overlay2", "LiveRestoreEnabled": not stops}
    facts = host(f"{COMMAND} {flag}", containers=("web",), info=info)

    plan = plan_setup(machine(), facts)
    removal = plan_removal(after(plan, facts), owner="id-1")

    for changes in (plan.changes, removal.changes):
        assert (Effect.STOP_CONTAINERS in effects_of(changes)) is stops
    assert plan.config.before is None, "a reload with a key that is a flag would fail"
    assert removal.start is None


def test_containers_of_a_plain_host_are_kept() -> None:
    facts = host(containers=("web",))

    plan = plan_setup(machine(), facts)

    assert Effect.STOP_CONTAINERS not in effects_of(plan.changes)
    assert json.loads(plan.config.before or b"") == {"live-restore": True}, "nothing else: the rest are flags still"
    assert final(plan)["live-restore"] is True


def test_another_port_opens_it_and_closes_theirs() -> None:
    plan = plan_setup(machine(port=3376), host())

    assert plan.config.listen.endswith(":3376")
    assert "tcp://0.0.0.0:2376" not in plan.config.command
    assert Effect.OPEN_PORT in effects_of(plan.changes)


def test_a_failed_set_up_forgets_it() -> None:
    facts = host()
    plan = plan_setup(machine(), facts)

    assert (plan.recovery.drop_in, plan.recovery.moved, plan.recovery.command) == (None, {}, ())
    retried = plan_setup(machine(), replace(facts, manifest=json.loads(plan.recovery.text())))
    assert (retried.config.final, retried.manifest) == (plan.config.final, plan.manifest)


def test_a_plan_of_a_fleet_names_it_and_its_refusal() -> None:
    one = replace(machine(), certificates=None)

    found = read_host(one, one.engine, host(containers=("web",)), own_host=False)
    odd = read_host(one, one.engine, host(f"{COMMAND} --no-such-option=x"), own_host=False)

    assert any(PATH in change.what for change in found.differences)
    assert Effect.RESTART_ENGINE in found.effects
    assert found.restart_stops is False
    assert "--no-such-option" in odd.refusal
