"""What a plan makes of files, packages and accounts that were on the host before. No host is involved."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pymachine.engine.daemon_keys import KEYS
from pymachine.engine.facts import HostFacts
from pymachine.engine.host_facts import EngineFacts
from pymachine.engine.obstacles import APT_FILES, CERTIFICATES, ETC_HOSTNAME, ETC_HOSTS, Obstacle, Reason, drop_in_of
from pymachine.engine.removal import plan_removal
from pymachine.engine.setup import SetupPlan, plan_setup
from pymachine.engine.upgrade import plan_upgrade
from pymachine.errors import CheckFailed
from pymachine.model import EngineSpec, Machine

TRIXIE = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian 13"\n'
UNIT = "# /usr/lib/systemd/system/docker.service\n[Service]\nExecStart=/usr/sbin/dockerd -H fd://\n"
JSON = "/etc/docker/daemon.json"
ENGINE = EngineFacts(
    dockerd="/usr/sbin/dockerd", unit="docker.service", version="26.1.5", package="docker.io", active=True,
    unit_text=UNIT, info={"Driver": "overlay2", "Images": 1},
)  # fmt: skip


def machine(**spec: Any) -> Machine:
    return Machine("node1", "id-1", "ssh", engine=EngineSpec(**spec))


def bare(**changes: Any) -> HostFacts:
    return replace(HostFacts.assumed(TRIXIE, hostname="host"), **{"repository": (), **changes})


def inhabited(**changes: Any) -> HostFacts:
    return bare(engine=ENGINE, **changes)


def after(plan: SetupPlan, facts: HostFacts, **changes: Any) -> HostFacts:
    """The facts after the plan was carried out."""
    name = plan.hostname or facts.hostname
    done = replace(
        facts, engine=facts.engine or ENGINE, manifest=json.loads(plan.manifest.text()), hostname=name,
        daemon_json=plan.config.after or plan.config.final,
        etc_hostname=f"{name}\n", etc_hosts=f"127.0.1.1\t{name}\n",
        listening=frozenset({plan.machine.engine.port}), listeners={plan.machine.engine.port: "dockerd"},
    )  # fmt: skip
    return replace(done, **changes)


def blocked(*paths: str) -> dict[str, Obstacle]:
    return {path: Obstacle(Reason.IMMUTABLE, path) for path in paths}


def refusal(m: Machine, facts: HostFacts) -> str:
    with pytest.raises(CheckFailed) as refused:
        plan_setup(m, facts)
    return refused.value.message


class TestFilesThatCannotBeReplaced:
    @pytest.mark.parametrize(
        "path", [JSON, drop_in_of("docker.service"), *CERTIFICATES, "/var/lib/pymachine/manifest.json"]
    )
    def test_are_refused(self, path: str) -> None:
        assert path in refusal(machine(), inhabited(obstacles=blocked(path)))
        assert path in refusal(machine(), bare(obstacles=blocked(path)))

    @pytest.mark.parametrize("path", [ETC_HOSTS, ETC_HOSTNAME])
    def test_do_not_matter_where_the_host_keeps_its_name(self, path: str) -> None:
        assert path in refusal(machine(), bare(obstacles=blocked(path)))
        assert path in refusal(machine(set_hostname=True), inhabited(obstacles=blocked(path)))
        plan_setup(machine(set_hostname=False), bare(obstacles=blocked(path)))
        plan_setup(machine(), inhabited(obstacles=blocked(path)))

    @pytest.mark.parametrize("path", APT_FILES)
    def test_of_package_sources_matter_where_one_is_added(self, path: str) -> None:
        assert path in refusal(machine(install="docker"), bare(obstacles=blocked(path)))
        plan_setup(machine(install="distro"), bare(obstacles=blocked(path)))

    def test_do_not_matter_where_they_are_right_already(self) -> None:
        facts = bare()
        done = after(plan_setup(machine(), facts), facts, obstacles=blocked(JSON, ETC_HOSTS, ETC_HOSTNAME))

        assert not plan_setup(machine(), done).config.changed
        assert JSON in refusal(machine(labels=("a=b",)), done)

    def test_are_all_named_at_once_and_stop_removal_and_upgrade_too(self) -> None:
        facts = bare()
        done = after(plan_setup(machine(labels=("a=b",)), facts), facts)
        stuck = replace(done, obstacles=blocked(JSON, drop_in_of("docker.service"), ETC_HOSTS))

        with pytest.raises(CheckFailed) as refused:
            plan_removal(stuck)
        assert all(path in refused.value.message for path in stuck.obstacles)
        with pytest.raises(CheckFailed, match=r"zz-pymachine\.conf"):
            plan_upgrade(EngineSpec(), stuck)


class TestNull:
    @pytest.mark.parametrize("key", KEYS)
    def test_is_not_set_whatever_the_key(self, key: str) -> None:
        """As with no such key at all, and it stays or comes back; beside a flag of ours it goes."""
        text = json.dumps({key: None}).encode()
        plan, without = (plan_setup(machine(), inhabited(daemon_json=content)) for content in (text, b"{}"))

        final, expected = json.loads(plan.config.final), json.loads(without.config.final)
        assert {name: value for name, value in final.items() if value is not None} == expected
        assert plan.config.added == without.config.added
        assert (plan.config.protection, plan.config.by_flag) == (without.config.protection, True)
        assert (key not in final) == (key in ("hosts", "tlsverify", "tlscacert", "tlscert", "tlskey"))
        facts = inhabited(daemon_json=text)
        assert plan_removal(after(plan, facts)).final == text

    @pytest.mark.parametrize(
        "text", [b"null", b'{"labels": null, "live-restore": null}', b'{"log-opts": {"max-file": null, "tag": null}}']
    )
    def test_gives_way_to_what_is_asked_for(self, text: bytes) -> None:
        plan = plan_setup(machine(opts=("log-opt=max-file=3", "live-restore=true")), inhabited(daemon_json=text))

        final = json.loads(plan.config.final)
        assert final["log-opts"]["max-file"] == "3"
        assert final["live-restore"] is True
        assert final["labels"] == ["provider=ssh"]

    @pytest.mark.parametrize("config", [{"labels": None}, {"log-opts": {"max-file": None}}, {"log-opts": None}])
    def test_asks_for_nothing(self, config: dict[str, Any]) -> None:
        plan = plan_setup(machine(config=config), inhabited(daemon_json=b'{"labels": ["a=b"]}'))

        assert json.loads(plan.config.final).get("labels") == ["a=b", "provider=ssh"]
        assert not json.loads(plan.config.final).get("log-opts")

    def test_that_goes_beside_a_flag_is_announced(self) -> None:
        facts = inhabited()
        done = after(plan_setup(machine(), facts), facts, daemon_json=b'{"hosts": null, "labels": ["provider=ssh"]}')

        assert plan_setup(machine(), done).config.changed.keys() == {"hosts"}

    @pytest.mark.parametrize(
        "text", ['{"labels": 1}', '{"labels": [null]}', '{"hosts": "x"}', '{"live-restore": "x"}']
    )
    def test_another_wrong_value_is_refused_by_its_key(self, text: str) -> None:
        assert next(iter(json.loads(text))) in refusal(machine(), inhabited(daemon_json=text.encode()))


class TestChangedByHand:
    @pytest.mark.parametrize("wanted", [("rack=7",), ("rack=9",)])
    def test_a_label_of_ours_is_put_right(self, wanted: tuple[str, ...]) -> None:
        facts = inhabited(daemon_json=b'{"labels": ["site=a"]}')
        done = after(plan_setup(machine(labels=("rack=7",)), facts), facts)
        changed = replace(done, daemon_json=b'{"labels": ["site=a", "rack=8", "provider=ssh"]}')

        plan = plan_setup(machine(labels=wanted), changed)

        assert json.loads(plan.config.final)["labels"] == ["site=a", *wanted, "provider=ssh"]
        assert plan.config.changed.keys() == {"labels"}
        assert not plan_setup(machine(labels=wanted), after(plan, changed)).config.changed
        assert plan_removal(after(plan, changed)).final == b'{"labels": ["site=a"]}'

    def test_one_that_was_there_before_is_a_conflict_still(self) -> None:
        assert "rack" in refusal(machine(labels=("rack=7",)), inhabited(daemon_json=b'{"labels": ["rack=8"]}'))

    def test_in_a_removal_it_stays(self) -> None:
        facts = inhabited()
        done = after(plan_setup(machine(labels=("rack=7",)), facts), facts)

        final = plan_removal(replace(done, daemon_json=b'{"labels": ["rack=8", "provider=ssh"]}')).final

        assert json.loads(final or b"{}") == {"labels": ["rack=8"]}


class TestDockerGroup:
    def changes(self, facts: HostFacts) -> list[str]:
        return [change.what for change in plan_setup(machine(), facts).changes if "group docker" in change.what]

    def test_follows_the_login_and_is_not_announced_again(self) -> None:
        facts = bare(user="op")
        done = after(plan_setup(machine(), facts), facts, groups=frozenset({"op", "docker"}))
        assert self.changes(done) == []

        other = replace(done, user="admin", groups=frozenset({"admin"}))
        assert ["admin" in change for change in self.changes(other)] == [True]
        moved = after(plan_setup(machine(), other), other, groups=frozenset({"admin", "docker"}))
        assert self.changes(moved) == []
        assert plan_removal(moved).group_users == ("op", "admin")

        root = replace(done, user="root", groups=frozenset({"root"}))
        assert self.changes(root) == []
        assert plan_removal(after(plan_setup(machine(), root), root)).group_users == ("op",)

    def test_of_an_older_manifest_is_known(self) -> None:
        facts = bare(user="op")
        done = after(plan_setup(machine(), facts), facts)
        old = {**dict(done.manifest or {}), "group_user": "op", "group_users": []}

        assert plan_removal(replace(done, manifest=old)).group_users == ("op",)

    def test_is_not_promised_where_the_engine_made_none(self) -> None:
        facts = bare(user="op", engine=ENGINE, docker_group=False)
        assert plan_setup(machine(), facts, own_host=True).group_user is None
        assert plan_setup(machine(), replace(facts, docker_group=None), own_host=True).group_user == "op"


class TestPackages:
    def test_of_a_cut_off_installation_are_finished_and_announced(self) -> None:
        plan = plan_setup(machine(), bare(half_configured=("linux-image-x", "docker.io")))

        assert plan.unfinished == ("linux-image-x", "docker.io")
        assert any("linux-image-x" in change.what for change in plan.changes)

    def test_of_others_are_left_alone_where_nothing_is_installed(self) -> None:
        plan = plan_setup(machine(), inhabited(half_configured=("linux-image-x",)))
        assert plan.unfinished == ()
        assert not any("linux-image-x" in change.what for change in plan.changes)
        assert plan_setup(machine(), inhabited(half_configured=("docker.io", "x"))).unfinished == ("docker.io",)

    def test_are_not_asked_of_sources_that_cannot_be_read(self) -> None:
        fault = "Malformed entry 1 in list file /etc/apt/sources.list.d/x.list"
        assert fault in refusal(machine(), bare(sources_fault=fault))
        plan_setup(machine(), inhabited(sources_fault=fault))

    def test_of_docker_come_from_the_source_that_is_in_use(self) -> None:
        facts = bare(docker_sources=("https://download.docker.com/linux/debian",))

        assert plan_setup(machine(install="docker"), facts).source.own_repo
        assert not plan_setup(machine(install="docker"), bare()).source.own_repo
        assert "download.docker.com" in refusal(machine(repo_url="https://mirror.lan"), facts)


def test_the_file_of_the_host_name_comes_back_as_it_was() -> None:
    facts = bare(etc_hostname="# by hand\nhost\n")
    first = after(plan_setup(machine(), facts), facts)
    again = after(plan_setup(machine(), first), first)
    assert plan_removal(again).hostname_text == "# by hand\nhost\n"

    none = bare(etc_hostname=None)
    assert plan_removal(after(plan_setup(machine(), none), none)).hostname_created
    assert not plan_removal(again).hostname_created
