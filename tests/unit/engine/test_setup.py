"""The plan of a set-up: what is chosen, what is refused, what is announced. No host is involved."""

import json
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from pymachine.engine.effects import Effect, effects_of
from pymachine.engine.facts import HostFacts
from pymachine.engine.host_facts import Asked, EngineFacts, Firewall, Neighbour, NeighbourKind
from pymachine.engine.live_restore import LiveRestore
from pymachine.engine.manifest import FirewalldPort
from pymachine.engine.options import ENVIRONMENT_FILE, TLS_KEYS
from pymachine.engine.os_family import DockerRepo
from pymachine.engine.setup import SetupPlan, plan_setup
from pymachine.errors import CheckFailed, UsageFault
from pymachine.fleet.plan.renewals import renewals
from pymachine.model import EngineSpec, Machine
from pymachine.tls import Need

TRIXIE = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian 13"\n'
UNIT = "# /usr/lib/systemd/system/docker.service\n[Service]\nExecStart=/usr/sbin/dockerd -H fd://\n"
MIB = 1024 * 1024


def machine(**spec: Any) -> Machine:
    return Machine("node1", "id-1", "ssh", engine=EngineSpec(**spec))


def fresh(**changes: Any) -> HostFacts:
    return replace(HostFacts.assumed(TRIXIE, hostname="host"), **{"repository": (), **changes})


def adopted(**engine: Any) -> HostFacts:
    known = {"dockerd": "/usr/sbin/dockerd", "unit": "docker.service", "version": "26.1.5", "package": "docker.io",
             "active": True, "unit_text": UNIT, "info": {"Driver": "overlay2", "Images": 1}}  # fmt: skip
    return fresh(engine=EngineFacts(**{**known, **engine}))


def again(plan: SetupPlan, facts: HostFacts) -> HostFacts:
    """The facts after the plan was carried out."""
    engine = facts.engine or adopted().engine
    return replace(
        facts, engine=engine, manifest=json.loads(plan.manifest.text()), daemon_json=plan.config.final,
        listening=frozenset({plan.machine.engine.port}), listeners={plan.machine.engine.port: "dockerd"},
        hostname=plan.hostname or facts.hostname,
    )  # fmt: skip


def refusal(m: Machine, facts: HostFacts) -> str:
    with pytest.raises(CheckFailed) as refused:
        plan_setup(m, facts)
    return refused.value.message


class TestSource:
    def test_auto_takes_dockers_packages_where_they_can_be_reached(self) -> None:
        plan = plan_setup(machine(), fresh(repository=(DockerRepo("debian", "trixie"),)))

        assert plan.source.kind == "docker"
        assert "docker-ce" in plan.source.packages

    def test_auto_takes_the_distributions_packages_else_and_says_why(self) -> None:
        plan = plan_setup(machine(), fresh())

        assert plan.source.kind == "distro"
        assert any("reached" in text for text in plan.announcements)

    def test_auto_adopts_an_engine_that_is_there(self) -> None:
        plan = plan_setup(machine(), adopted())

        assert (plan.source.kind, plan.fresh) == ("none", False)

    def test_a_mirror_means_dockers_packages(self) -> None:
        plan = plan_setup(machine(repo_url="http://mirror.lan/docker/"), fresh())

        assert (plan.source.kind, plan.source.base, plan.source.repo_host) == (
            "docker", "http://mirror.lan/docker", "mirror.lan",
        )  # fmt: skip

    def test_dockers_packages_over_the_distributions_are_a_named_conflict(self) -> None:
        assert "docker.io" in refusal(machine(install="docker"), adopted())

    def test_none_needs_an_engine(self) -> None:
        assert "Docker engine" in refusal(machine(install="none"), fresh())

    def test_the_users_own_configuration_of_dockers_repository_is_used(self) -> None:
        facts = fresh(docker_sources=("/etc/apt/sources.list.d/docker.list",))

        assert plan_setup(machine(install="docker"), facts).source.own_repo
        assert "docker.list" in refusal(machine(repo_url="http://mirror.lan"), facts)

    def test_an_unknown_source_is_a_usage_fault(self) -> None:
        with pytest.raises(UsageFault, match="engine source"):
            plan_setup(machine(install="snap"), fresh())

    def test_a_set_up_that_was_cut_off_installs_again_from_the_same_source(self) -> None:
        facts = fresh()
        first = plan_setup(machine(), facts)
        facts = replace(again(first, facts), repository=(DockerRepo("debian", "trixie"),))

        assert plan_setup(machine(), facts).source.kind == "distro"

    def test_an_unsupported_system_is_refused_by_its_names(self) -> None:
        facts = HostFacts.assumed('ID=plan9\nID_LIKE=inferno\nPRETTY_NAME="Plan 9"')

        text = refusal(machine(install="docker"), facts)

        assert "plan9" in text
        assert "inferno" in text


class TestChecks:
    def test_a_host_of_another_machine_is_refused_by_its_name(self) -> None:
        facts = again(plan_setup(machine(), fresh()), fresh())
        other = Machine("node2", "id-2", "ssh")

        assert "machine node1" in refusal(other, facts)
        assert plan_setup(other, facts, take_over=True).manifest.id == "id-2"

    def test_a_full_disk_is_refused_folder_by_folder(self) -> None:
        text = refusal(machine(), fresh(free={"/": 10 * MIB, "/run": 100 * MIB}))

        assert "/usr has 10 MiB free" in text
        assert "/var has 10 MiB free" in text

    def test_an_engine_that_is_there_needs_little_room(self) -> None:
        plan_setup(machine(), replace(adopted(), free={"/": 20 * MIB}))

    def test_a_port_that_is_taken_is_refused_with_its_holder(self) -> None:
        facts = fresh(listening=frozenset({2376}), listeners={2376: "nginx"})

        assert "port 2376 " in refusal(machine(), facts)
        assert " nginx" in refusal(machine(), facts)

    def test_a_snap_is_refused(self) -> None:
        assert "snap" in refusal(machine(), fresh(neighbours=(Neighbour(NeighbourKind.SNAP),)))

    def test_a_downgrade_is_refused(self) -> None:
        assert "downgrade" in refusal(machine(version="20.10"), adopted())

    def test_a_version_that_is_there_is_fine(self) -> None:
        plan_setup(machine(version="26.1"), adopted(version="26.1.5+dfsg1"))

    def test_a_version_cannot_be_chosen_where_only_one_is_offered(self) -> None:
        assert " single " in refusal(machine(version="26"), HostFacts.assumed("ID=alpine"))

    def test_live_restore_in_a_swarm_is_refused(self) -> None:
        facts = adopted(info={"Swarm": {"LocalNodeState": "active"}})

        assert "Swarm" in refusal(machine(opts=("live-restore",)), facts)

    def test_another_storage_driver_is_refused_where_data_would_vanish(self) -> None:
        assert " images" in refusal(machine(storage_driver="btrfs"), adopted())

    def test_an_environment_variable_needs_a_name(self) -> None:
        assert "NAME=value" in refusal(machine(env=("9=x",)), fresh())


class TestConflicts:
    def test_all_of_them_are_named_at_once(self) -> None:
        unit = UNIT.replace("fd://", "fd:// --debug -H tcp://0.0.0.0:2375")
        facts = replace(adopted(unit_text=unit), daemon_json=b'{"log-driver": "syslog", "labels": ["site=a"]}')

        text = refusal(machine(opts=("log-driver=none", "debug"), labels=("site=b",)), facts)

        for part in ("log-driver", "label site", "--debug", "tcp://0.0.0.0:2375", "4 requested"):
            assert part in text

    def test_tls_flags_of_docker_machine_are_named_with_their_file(self) -> None:
        drop_in = (
            "# /etc/systemd/system/docker.service.d/10-machine.conf\n[Service]\nExecStart=\n"
            "ExecStart=/usr/bin/dockerd -H tcp://0.0.0.0:2376 --tlsverify --tlscert /etc/docker/server.pem\n"
        )

        text = refusal(machine(), adopted(unit_text=UNIT + drop_in))

        assert "--tlsverify " in text
        assert "/etc/systemd/system/docker.service.d/10-machine.conf" in text

    def test_a_broken_daemon_json_is_refused(self) -> None:
        assert "JSON" in refusal(machine(), replace(adopted(), daemon_json=b"{"))
        assert "given twice" in refusal(machine(), replace(adopted(), daemon_json=b'{"a":1,"a":2}'))


class TestConfig:
    def test_the_users_keys_stay(self) -> None:
        plan = plan_setup(machine(), replace(adopted(), daemon_json=b'{"odd": 1, "labels": ["a=b"]}'))
        final = json.loads(plan.config.final)

        assert final["odd"] == 1
        assert final["labels"] == ["a=b", "provider=ssh"]
        assert not {"hosts", "tlsverify", "tlskey"} & set(final), "they are in the unit, where the socket is"
        assert {"--tlsverify", "--tlskey=/etc/docker/pymachine/server-key.pem"} <= set(plan.config.protection)

    @pytest.mark.parametrize("protected", [{"hosts": ["fd://"]}, {"tlsverify": True}], ids=["socket", "users own"])
    def test_what_opens_and_what_protects_is_one_file(self, protected: dict[str, Any]) -> None:
        facts = replace(adopted(unit_text=UNIT.replace(" -H fd://", "")), daemon_json=json.dumps(protected).encode())

        plan = plan_setup(machine(), facts)

        final = json.loads(plan.config.final)
        assert final["tlsverify"] is True
        assert plan.config.by_flag is ("hosts" not in protected)
        assert "--tlsverify" not in plan.config.protection, "dockerd takes a key from the file or from a flag"
        assert ("tlskey" in final) is not plan.config.by_flag

    def test_a_set_up_that_has_its_protection_in_the_file_moves_it_to_the_unit(self) -> None:
        facts = fresh()
        first = plan_setup(machine(), facts)
        old = {**json.loads(first.config.final), **TLS_KEYS}
        manifest = {**json.loads(first.manifest.text()), "added": {**first.config.added, **TLS_KEYS}}
        there = replace(again(first, facts), daemon_json=json.dumps(old).encode(), manifest=manifest)

        second = plan_setup(machine(), there)

        assert not set(TLS_KEYS) & set(json.loads(second.config.final))
        assert [change.what for change in second.changes if "tlsverify" in change.what] == [
            "remove tlsverify from /etc/docker/daemon.json"
        ]

    def test_the_flags_of_our_own_drop_in_are_no_conflict(self) -> None:
        facts = fresh()
        plan = plan_setup(machine(), facts)
        there = again(plan, facts)
        assert there.engine is not None
        argv = ("/usr/sbin/dockerd", "-H", "fd://", "-H", plan.config.listen, *plan.config.protection)

        assert plan_setup(machine(), replace(there, engine=replace(there.engine, cmdline=argv))).changes == ()

    def test_a_host_that_uses_the_hosts_key_gets_our_socket_there(self) -> None:
        facts = replace(adopted(unit_text=UNIT.replace(" -H fd://", "")), daemon_json=b'{"hosts": ["fd://"]}')

        plan = plan_setup(machine(), facts)

        assert json.loads(plan.config.final)["hosts"] == ["fd://", "tcp://[::]:2376"]
        assert not plan.config.by_flag

    def test_openrc_names_its_sockets_in_the_file(self) -> None:
        plan = plan_setup(machine(), HostFacts.assumed("ID=alpine"))

        assert json.loads(plan.config.final)["hosts"] == ["unix:///var/run/docker.sock", "tcp://[::]:2376"]

    def test_a_host_without_ipv6_listens_on_ipv4(self) -> None:
        assert plan_setup(machine(), fresh(ipv6=False)).config.listen == "tcp://0.0.0.0:2376"

    def test_a_provider_label_of_the_host_stands(self) -> None:
        plan = plan_setup(machine(), replace(adopted(), daemon_json=b'{"labels": ["provider=rack7"]}'))

        assert json.loads(plan.config.final)["labels"] == ["provider=rack7"]

    def test_the_same_set_up_again_changes_no_byte_and_announces_no_change(self) -> None:
        facts = fresh()
        plan = plan_setup(machine(opts=("mtu=1400",)), facts)

        second = plan_setup(machine(opts=("mtu=1400",)), again(plan, facts))

        assert second.config.final == plan.config.final
        assert second.changes == ()
        assert second.manifest == plan.manifest

    def test_an_option_of_ours_can_be_changed_and_dropped(self) -> None:
        facts = again(plan_setup(machine(opts=("mtu=1400",)), fresh()), fresh())

        assert json.loads(plan_setup(machine(opts=("mtu=1450",)), facts).config.final)["mtu"] == 1450
        assert "mtu" not in json.loads(plan_setup(machine(), facts).config.final)


class TestContainers:
    def test_they_keep_running_on_an_adopted_engine(self) -> None:
        plan = plan_setup(machine(), adopted(containers=("db", "web")))

        assert plan.config.live_restore is LiveRestore.KEEP
        assert json.loads(plan.config.final)["live-restore"] is True
        assert json.loads(plan.config.before or b"") == {"live-restore": True}
        assert any("db, web keep running" in text for text in plan.announcements)

    def test_a_swarm_member_announces_that_they_stop(self) -> None:
        plan = plan_setup(machine(), adopted(containers=("web",), info={"Swarm": {"LocalNodeState": "active"}}))

        assert plan.config.before is None
        assert any("container web " in text and "live-restore" in text for text in plan.announcements)

    def test_a_host_that_refuses_live_restore_is_heeded(self) -> None:
        facts = replace(adopted(containers=("web",)), daemon_json=b'{"live-restore": false}')

        assert any("will stop" in text for text in plan_setup(machine(), facts).announcements)

    def test_an_engine_of_ours_has_live_restore_for_the_restart_only(self) -> None:
        facts = again(plan_setup(machine(), fresh()), fresh())
        engine = replace(facts.engine or EngineFacts(), containers=("web",))

        plan = plan_setup(machine(opts=("mtu=1400",)), replace(facts, engine=engine))

        assert plan.config.live_restore is LiveRestore.BORROW
        assert json.loads(plan.config.final)["live-restore"] is True
        assert "live-restore" not in json.loads(plan.config.after or b"")

    def test_what_the_running_engine_says_does_not_count_where_it_would_start_without(self) -> None:
        info = {"Driver": "overlay2", "LiveRestoreEnabled": True}

        plan = plan_setup(machine(), adopted(containers=("web",), info=info))

        assert json.loads(plan.config.final)["live-restore"] is True
        assert json.loads(plan.config.before or b"") == {"live-restore": True}, "what a rollback starts with"

    def test_an_engine_with_live_restore_in_its_file_is_left_as_it_is(self) -> None:
        facts = adopted(containers=("web",), info={"LiveRestoreEnabled": True})

        plan = plan_setup(machine(), replace(facts, daemon_json=b'{"live-restore": true}'))

        assert (plan.config.live_restore, plan.config.before) == (LiveRestore.LEAVE, None)
        assert "live-restore" not in plan.manifest.added

    def test_a_plain_no_takes_away_what_an_adoption_added_and_says_what_that_does(self) -> None:
        facts = adopted(containers=("web",), info={"LiveRestoreEnabled": True})
        first = plan_setup(machine(), facts)

        plan = plan_setup(machine(opts=("live-restore=false",)), again(first, facts))

        assert json.loads(plan.config.final)["live-restore"] is False
        assert any("container web will stop" in text for text in plan.announcements)

    def test_a_fresh_engine_has_no_live_restore_since_it_may_join_a_swarm(self) -> None:
        assert "live-restore" not in json.loads(plan_setup(machine(), fresh()).config.final)


class TestHost:
    def test_a_fresh_host_gets_the_machines_name_and_an_adopted_one_keeps_its_own(self) -> None:
        assert plan_setup(machine(), fresh()).hostname == "node1"
        assert plan_setup(machine(), adopted()).hostname is None
        assert plan_setup(machine(set_hostname=True), adopted()).hostname == "node1"
        assert plan_setup(machine(set_hostname=False), fresh()).hostname is None

    def test_the_name_before_is_remembered_over_a_second_set_up(self) -> None:
        facts = fresh(etc_hosts="127.0.1.1 host")
        second = plan_setup(machine(), again(plan_setup(machine(), facts), facts))

        assert (second.manifest.hostname, second.manifest.hostname_before) == ("node1", "host")
        assert second.manifest.hosts_before == "127.0.1.1 host"

    def test_a_login_account_may_use_the_engine_only_where_it_came_from_us(self) -> None:
        assert plan_setup(machine(), fresh(user="ann")).group_user == "ann"
        assert plan_setup(machine(), replace(adopted(), user="ann")).group_user is None
        assert plan_setup(machine(), fresh()).group_user is None

    def test_firewalld_is_opened_where_it_runs(self) -> None:
        firewall = Firewall(Asked.ANSWERED, "eth1", "internal")

        plan = plan_setup(machine(port=2400), fresh(firewall=firewall))

        assert plan.firewall.opens == plan.manifest.opening == FirewalldPort(2400, "internal")
        assert Effect.OPEN_PORT in effects_of(plan.changes)

    def test_proxies_are_given_in_both_spellings(self) -> None:
        plan = plan_setup(machine(https_proxy="http://p:1", no_proxy=("a", "b")), fresh())

        assert dict(plan.proxies) == {
            "https_proxy": "http://p:1", "HTTPS_PROXY": "http://p:1", "no_proxy": "a,b", "NO_PROXY": "a,b",
        }  # fmt: skip

    def test_a_failed_set_up_leaves_a_record_of_the_packages_alone(self) -> None:
        plan = plan_setup(machine(), fresh())

        assert (plan.recovery.fresh, plan.recovery.added, plan.recovery.hostname) == (True, {}, None)

    def test_no_secret_is_in_the_manifest(self) -> None:
        plan = plan_setup(machine(env=("TOKEN=s3cret",), http_proxy="http://u:s3cret@p"), fresh())

        assert "s3cret" not in plan.manifest.text()


class TestEffects:
    """What a set-up does to what runs there, known before it runs."""

    CONTAINERS: ClassVar[dict[str, Any]] = {
        "containers": ("web",), "info": {"Swarm": {"LocalNodeState": "active"}},
    }  # fmt: skip

    def test_one_that_changes_nothing_restarts_nothing_and_stops_nothing(self) -> None:
        facts = adopted(**self.CONTAINERS)
        plan = plan_setup(machine(), again(plan_setup(machine(), facts), facts))
        assert effects_of(plan.changes) == ()
        assert not any("will stop" in text for text in plan.announcements)

    @pytest.mark.parametrize("wanted", [{"env": ("FOO=bar",)}, {"http_proxy": "http://p:1"}, {"labels": ("a=b",)}])
    def test_environment_proxies_and_labels_restart_the_engine(self, wanted: dict[str, Any]) -> None:
        facts = adopted(**self.CONTAINERS)
        after = again(plan_setup(machine(), facts), facts)
        plan = plan_setup(machine(**wanted), after, former=machine().engine)
        assert effects_of(plan.changes) == (Effect.RESTART_ENGINE, Effect.STOP_CONTAINERS)
        assert any("will stop" in text for text in plan.announcements)

    def test_an_environment_that_the_host_was_not_given_is_known_by_its_manifest(self) -> None:
        """A run that was cut off may have given it another one than the record says."""
        facts = adopted()
        after = again(plan_setup(machine(env=("FOO=bar",)), facts), facts)
        assert Effect.RESTART_ENGINE in effects_of(plan_setup(machine(), after).changes)
        assert effects_of(plan_setup(machine(env=("FOO=bar",)), after).changes) == ()

    def test_variables_that_stand_in_the_unit_are_moved_once(self) -> None:
        facts = adopted()
        wanted = machine(env=("TOKEN=hush",))
        after = again(plan_setup(wanted, facts), facts)
        assert after.manifest is not None
        before = replace(after, manifest={k: v for k, v in after.manifest.items() if k != "environment_file"})
        plan = plan_setup(wanted, before)
        assert any(ENVIRONMENT_FILE in change.what for change in plan.changes)
        assert Effect.RESTART_ENGINE in effects_of(plan.changes)
        assert effects_of(plan_setup(wanted, again(plan, before)).changes) == ()
        assert plan_setup(machine(), again(plan_setup(machine(), facts), facts)).manifest.environment_file is None

    @pytest.mark.parametrize("value", ["a\x00b", "a\rb", "\x1b[31m", "\x7f", "\udc80"])
    def test_a_value_that_no_service_would_be_given_is_refused(self, value: str) -> None:
        with pytest.raises(CheckFailed):
            plan_setup(machine(env=(f"TOKEN={value}",)), adopted())
        with pytest.raises(UsageFault):
            plan_setup(machine(http_proxy=f"http://{value}"), adopted())

    def test_a_new_server_certificate_restarts_the_engine_and_a_clients_does_not(self) -> None:
        facts = adopted()
        after = again(plan_setup(machine(), facts), facts)
        for need, effects in ((Need("server", "it ends"), (Effect.RESTART_ENGINE,)), (Need("client", "it ends"), ())):
            due = renewals([need])
            assert effects_of(plan_setup(machine(), after, renewals=due).changes) == effects


def test_networks_over_the_hosts_own_are_refused_unless_they_are_there_already() -> None:
    facts = replace(adopted(), addresses=("10.1.2.3",))
    with pytest.raises(CheckFailed):
        plan_setup(machine(opts=("bip=10.1.2.1/24",)), facts)
    there = replace(facts, daemon_json=b'{"bip": "10.1.2.1/24"}')
    assert json.loads(plan_setup(machine(opts=("bip=10.1.2.1/24",)), there).config.final)["bip"] == "10.1.2.1/24"
    plan_setup(machine(), there)
