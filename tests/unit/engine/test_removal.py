"""What a removal takes off a host, and what it leaves."""

import json
from dataclasses import replace
from typing import Any

import pytest

from pymachine.engine.facts import HostFacts
from pymachine.engine.host_facts import EngineFacts
from pymachine.engine.removal import plan_removal, removal_bundle
from pymachine.engine.setup import plan_setup
from pymachine.engine.upgrade import plan_upgrade, upgrade_bundle
from pymachine.errors import CheckFailed
from pymachine.model import EngineSpec, Machine

TRIXIE = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
ENGINE = EngineFacts(
    dockerd="/usr/sbin/dockerd", unit="docker.service", version="26.1.5", package="docker.io", active=True,
    unit_text="# /lib/docker.service\nExecStart=/usr/sbin/dockerd -H fd://\n",
)  # fmt: skip
THEIRS = b'{\n    "odd":  1\n}\n'


def set_up(*, fresh: bool, theirs: bytes | None = None, **changes: Any) -> HostFacts:
    """The facts of a host after a set-up."""
    before = replace(HostFacts.assumed(TRIXIE, hostname="host"), daemon_json=theirs, engine=None if fresh else ENGINE)
    plan = plan_setup(
        Machine("node1", "id-1", "ssh", engine=EngineSpec(install="distro" if fresh else "auto")), before
    )
    after = replace(
        before, engine=ENGINE, daemon_json=plan.config.final, manifest=json.loads(plan.manifest.text()),
        hostname=plan.hostname or "host", installed=("docker.io", "git") if fresh else (),
    )  # fmt: skip
    return replace(after, **changes)


def texts(files: Any) -> dict[str, str]:
    return {file.path: file.content.decode() for file in files}


def test_the_users_daemon_json_comes_back_byte_for_byte() -> None:
    assert plan_removal(set_up(fresh=False, theirs=THEIRS)).final == THEIRS


def test_what_the_user_changed_since_stays() -> None:
    facts = set_up(fresh=False, theirs=THEIRS)
    config = json.loads(facts.daemon_json or b"") | {"mtu": 1400}

    plan = plan_removal(replace(facts, daemon_json=json.dumps(config).encode()))

    assert json.loads(plan.final or b"") == {"odd": 1, "mtu": 1400}


def test_a_file_that_we_made_goes() -> None:
    plan = plan_removal(set_up(fresh=True))

    assert plan.final is None
    assert "daemon.json" not in texts(removal_bundle(plan).files)


def test_the_host_name_goes_back_where_we_changed_it() -> None:
    assert plan_removal(set_up(fresh=True)).hostname_before == "host"
    assert plan_removal(set_up(fresh=False)).hostname is None


def test_containers_keep_running_through_the_restart() -> None:
    facts = set_up(fresh=False, theirs=THEIRS)

    plan = plan_removal(replace(facts, engine=replace(ENGINE, containers=("web",))))

    assert json.loads(plan.start or b"") == {"odd": 1, "live-restore": True}
    assert any("container web " in text and "(live-restore)" in text for text in plan.announcements)


def test_removal_and_upgrade_look_at_the_file_and_not_at_the_running_engine() -> None:
    engine = replace(ENGINE, containers=("web",), info={"LiveRestoreEnabled": True})
    facts = replace(set_up(fresh=True), engine=engine)

    assert json.loads(plan_removal(facts).start or b"") == {"live-restore": True}
    upgrade = plan_upgrade(EngineSpec(), facts)
    assert json.loads(upgrade.before or b"")["live-restore"] is True
    assert upgrade.borrowed


def test_a_host_with_nothing_of_ours_has_nothing_to_take_off() -> None:
    plan = plan_removal(replace(HostFacts.assumed(TRIXIE), engine=ENGINE, daemon_json=THEIRS))

    assert (plan.changes, plan.announcements, plan.final) == ((), (), THEIRS)


def test_certificates_without_a_manifest_are_taken_off_all_the_same() -> None:
    facts = replace(set_up(fresh=False, theirs=THEIRS), manifest=None)

    assert "tlskey" not in json.loads(plan_removal(facts).final or b"")


def test_a_host_that_belongs_to_another_machine_is_left_alone() -> None:
    plan = plan_removal(set_up(fresh=True), owner="id-2")
    script = texts(removal_bundle(plan).files)["remove.sh"]

    assert "node1" in plan.announcements[0]
    assert "rm " not in script


def test_purge_takes_only_an_engine_that_came_from_us() -> None:
    assert plan_removal(set_up(fresh=True), purge=True).purge
    kept = plan_removal(set_up(fresh=False), purge=True)

    assert not kept.purge
    assert any("before" in text for text in kept.announcements)


def test_a_downgrade_is_refused_unless_allowed() -> None:
    facts = set_up(fresh=True)

    with pytest.raises(CheckFailed, match="downgrade"):
        plan_upgrade(EngineSpec(version="25.0"), facts)
    assert plan_upgrade(EngineSpec(version="25.0"), facts, allow_downgrade=True).allow_downgrade


def test_an_engine_of_no_known_package_cannot_be_upgraded() -> None:
    facts = replace(set_up(fresh=False), engine=replace(ENGINE, package=""))

    with pytest.raises(CheckFailed, match="package"):
        plan_upgrade(EngineSpec(), facts)


def test_an_upgrade_lifts_the_hold_and_puts_it_back() -> None:
    facts = replace(set_up(fresh=True), engine=replace(ENGINE, package="docker-ce"))

    script = texts(upgrade_bundle(plan_upgrade(EngineSpec(version="27.0"), facts)).files)["upgrade.sh"]

    assert (
        script.index("unhold $held")
        < script.index("--only-upgrade")
        < script.index("hold $held >", script.index("--only"))
    )


def test_a_planned_upgrade_says_that_it_may_find_nothing_newer() -> None:
    facts = replace(set_up(fresh=True), engine=replace(ENGINE, offered=("26.1.5-1", "20.10-1")))

    upgrade, restart = plan_upgrade(EngineSpec(), facts).changes

    assert " 26.1.5" in upgrade.what
    assert "26.1.5" in upgrade.why
    assert restart.what.startswith("restart ")


def test_an_upgrade_of_an_engine_with_containers_keeps_them_running() -> None:
    facts = replace(set_up(fresh=True), engine=replace(ENGINE, containers=("web",)))

    plan = plan_upgrade(EngineSpec(), facts)

    assert json.loads(plan.before or b"")["live-restore"] is True
    assert "container web keeps running" in plan.announcements[0]


@pytest.mark.parametrize(
    ("engine", "config", "where"),
    [
        (
            replace(ENGINE, info={"DockerRootDir": "/srv/real"}),
            b'{"data-root": "/srv/link"}',
            ("/srv/link", "/srv/real"),
        ),
        (replace(ENGINE, info={}), b'{"data-root": "/srv/link"}', ("/srv/link", "/srv/link")),
        (None, b'{"data-root": "/srv/link"}', ("/srv/link", "/srv/link")),  # after a purge that was cut off
        (replace(ENGINE, info={}, cmdline=("dockerd", "--data-root=/srv/d")), None, ("/srv/d", "/srv/d")),
        (None, b'{"data-root": "relative"}', ("/var/lib/docker", "/var/lib/docker")),
    ],
)
def test_data_is_where_the_engine_says_and_else_where_it_was_told_to_have_it(
    engine: EngineFacts | None, config: bytes | None, where: tuple[str, str]
) -> None:
    plan = plan_removal(replace(set_up(fresh=True), engine=engine, daemon_json=config), purge=True)

    assert (plan.data_path, plan.data_root) == where
