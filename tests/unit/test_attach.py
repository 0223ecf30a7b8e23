"""Attaching a host that another store set up: what is recorded and sent, and every host that is refused untouched."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pymachine import tls
from pymachine.attach import AttachRequest, attach, preview_attach
from pymachine.engine.effects import Effect
from pymachine.engine.trust import with_authority, without_authority
from pymachine.errors import CheckFailed, EngineError, PymachineError, StepFailed, TlsError, Unreachable
from pymachine.model import Endpoint, Machine, Phase
from pymachine.override import override
from pymachine.provision import preview_provision
from pymachine.remove import preview_remove, remove
from pymachine.steps.preview import Preview
from pymachine.steps.services import Services
from pymachine.testing.fake_transport import done
from pymachine.transport import Command
from pymachine_ssh import SshDriver, SshOptions
from unit.world import ENGINE, World, is_run

LIST = "/etc/docker/pymachine/ca.pem"
CERTIFICATE = "/etc/docker/pymachine/server.pem"
FLAGS = ("--tlsverify", "--tlscacert", LIST, "--tlscert", CERTIFICATE, "-H", "tcp://0.0.0.0:2376")
ISSUED = tls.issue("web", ["web", "192.0.2.7"], now=datetime(2027, 1, 1, tzinfo=UTC)).files
THEIRS = ISSUED["ca.pem"]


def is_reading(command: Command) -> bool:
    return any(str(word).startswith("head -c") for word in command.words)


class Attachable(World):
    """A host that another store set up, and a store that does not know it."""

    listed = THEIRS

    @property
    @override
    def tools(self) -> Services:
        return replace(super().tools, load_driver=lambda name: SshDriver)

    def host_is(self, **facts: Any) -> None:
        """Put a set-up of pymachine on the host, with these facts changed."""
        manifest = {"name": "web", "id": "id-of-web", "port": 2376}
        self.facts |= {
            **ENGINE, "manifest": json.dumps(manifest), "cmdline": "\0".join(("dockerd", *FLAGS)),
            "listening": "0948", "daemon_json": "{}",
        }  # fmt: skip
        self.facts |= facts
        self.answer(is_reading, lambda call: done(self._file(call.command).decode()))

    def _file(self, command: Command) -> bytes:
        return ISSUED["server.pem"] if CERTIFICATE in command.words else self.listed

    def attached(
        self, name: str = "", *, yes: bool = True, member: bool = False, host: str = "192.0.2.7"
    ) -> Machine | None:
        """Attach it; the question is kept."""
        self.asked: list[Preview] = []

        def agreed(preview: Preview) -> bool:
            self.asked.append(preview)
            assert self.store.records() == [] or self.store.find("web") is not None
            return yes

        return attach(AttachRequest(SshOptions(ssh_host=host), name, member), self.tools, agreed)


@pytest.fixture
def world(tmp_path: Any) -> Attachable:
    made = Attachable(tmp_path)
    made.host_is()
    return made


def test_the_engine_gets_our_authority_beside_theirs(world: Attachable) -> None:
    machine = world.attached()
    assert machine is not None
    assert (machine.name, machine.guest, machine.phase, machine.driver) == ("web", True, Phase.READY, "ssh")
    assert machine.endpoint == Endpoint("192.0.2.7", 2376)
    assert machine.engine_version == "26.1.5"
    secrets = world.store.secrets("web")
    assert sorted(secrets) == ["ca-key.pem", "ca.pem", "cert.pem", "key.pem"]
    tls.verify_set(secrets)
    assert secrets["ca.pem"].endswith(THEIRS)
    sent = world.uploaded("list")
    assert sent.startswith(THEIRS)
    assert tls.first_authority(secrets["ca.pem"]) in sent
    assert secrets["ca-key.pem"] not in sent
    (preview,) = world.asked
    assert preview.effects == (Effect.RESTART_ENGINE,)
    assert [call.root for call in world.connections[-1].calls if is_run(call.command)] == [True]


def test_without_a_yes_and_in_a_dry_run_nothing_is_made(world: Attachable) -> None:
    assert world.attached(yes=False) is None
    preview = preview_attach(AttachRequest(SshOptions(ssh_host="192.0.2.7")), world.tools)
    assert preview.effects == (Effect.RESTART_ENGINE,)
    assert world.store.records() == []
    assert not any(connection.uploads for connection in world.connections)


MEMBER = json.dumps({"ServerVersion": "26.1.5", "Swarm": {"LocalNodeState": "active"}})
REFUSED: dict[str, dict[str, str]] = {
    "no engine": dict.fromkeys(("unit", "dockerd", "info"), ""),
    "an engine that does not run": {"unit_properties": "ActiveState=inactive", "info": "", "cmdline": ""},
    "an engine that does not answer": {"info": ""},
    "containers that are not known": {"containers": '{"message": "no"}'},
    "nobody set it up": {"manifest": ""},
    "a manifest of another shape": {"manifest": '{"name": 7}'},
    "no certificates": {"cmdline": "dockerd\0-H\0tcp://0.0.0.0:2376"},
    "no list": {"cmdline": "dockerd\0--tlsverify\0-H\0tcp://0.0.0.0:2376"},
    "no port": {"listening": "0016"},
    "a node of a Swarm": {"info": MEMBER},
}


@pytest.mark.parametrize("facts", REFUSED.values(), ids=REFUSED.keys())
def test_a_host_that_is_not_known_well_enough_is_refused_untouched(world: Attachable, facts: dict[str, str]) -> None:
    world.facts |= facts
    with pytest.raises(CheckFailed):
        world.attached()
    assert world.store.records() == []
    assert not any(connection.uploads for connection in world.connections)


@pytest.mark.parametrize("listed", [b"", b"no certificate", b"x" * 70_000])
def test_a_list_that_cannot_be_read_is_a_refusal(world: Attachable, listed: bytes) -> None:
    world.listed = listed
    with pytest.raises(CheckFailed):
        world.attached()
    assert world.store.records() == []


def test_an_address_that_the_engines_certificate_does_not_name_is_refused(world: Attachable) -> None:
    with pytest.raises(CheckFailed) as refused:
        world.attached(host="192.0.2.8")
    assert "192.0.2.8" in refused.value.message
    assert world.store.records() == []


def test_a_node_of_a_swarm_restarts_only_on_request(world: Attachable) -> None:
    world.facts["info"] = MEMBER
    assert world.attached(member=True) is not None


def test_what_docker_machine_set_up_is_known_by_its_drop_in(world: Attachable) -> None:
    del world.facts["manifest"]
    drop_in = "DropInPaths=/etc/systemd/system/docker.service.d/10-machine.conf"
    world.facts["unit_properties"] = f"ActiveState=active\n{drop_in}"
    machine = world.attached("mine")
    assert machine is not None
    assert machine.name == "mine"


def test_a_name_that_is_in_use_is_refused(world: Attachable) -> None:
    assert world.attached("web") is not None
    with pytest.raises(CheckFailed):
        world.attached("web")
    with pytest.raises(CheckFailed):
        world.attached()


def test_an_attach_that_stopped_is_continued_with_the_same_authority(world: Attachable) -> None:
    world.engine.errors = [TlsError("refused")]
    with pytest.raises(StepFailed):
        world.attached()
    half, secrets = world.store.get("web"), world.store.secrets("web")
    assert half.phase is Phase.ENGINE
    world.listed = world.uploaded("list")
    runs = world.ran(is_run)
    machine = world.attached()
    assert machine is not None
    assert (machine.id, machine.phase) == (half.id, Phase.READY)
    assert world.store.secrets("web")["ca-key.pem"] == secrets["ca-key.pem"]
    assert world.ran(is_run) == runs, "the engine accepts us already"


def test_a_script_that_fails_leaves_a_record_that_goes_on(world: Attachable) -> None:
    world.answer(is_run, done("@pymachine error the engine does not start\n", code=1))
    with pytest.raises(PymachineError):
        world.attached()
    assert world.store.get("web").phase is Phase.REACHABLE
    world.answers.pop()
    assert world.attached() is not None


def test_an_engine_behind_a_firewall_is_told_from_one_that_refuses(world: Attachable) -> None:
    world.engine.errors = [Unreachable("nothing")]
    with pytest.raises(StepFailed) as failed:
        world.attached()
    assert isinstance(failed.value.cause, EngineError)


def test_a_guest_is_not_set_up_from_here(world: Attachable) -> None:
    assert world.attached() is not None
    with pytest.raises(CheckFailed):
        preview_provision("web", world.tools)


def test_rm_takes_our_authority_away_and_nothing_else(world: Attachable) -> None:
    assert world.attached() is not None
    world.listed = world.uploaded("list")
    runs = world.ran(is_run)
    assert Effect.RESTART_ENGINE in preview_remove("web", world.tools).effects
    remove("web", world.tools)
    assert world.ran(is_run) == runs + 1
    assert world.uploaded("list") == THEIRS
    assert world.store.records() == []


def test_rm_of_one_whose_authority_is_gone_changes_nothing(world: Attachable) -> None:
    assert world.attached() is not None
    world.listed, runs = THEIRS, world.ran(is_run)
    assert preview_remove("web", world.tools).effects == ()
    remove("web", world.tools)
    assert world.ran(is_run) == runs


def test_rm_refuses_a_host_that_is_not_known_well_enough(world: Attachable) -> None:
    assert world.attached() is not None
    world.listed = world.uploaded("list")
    world.facts["info"] = ""
    with pytest.raises(CheckFailed):
        remove("web", world.tools)
    assert world.store.find("web") is not None
    assert remove("web", world.tools, force=True).left_behind


def test_sections_of_two_stores_stay_apart() -> None:
    one = with_authority(b"THEIRS", b"ONE\n", "a")
    both = with_authority(one, b"TWO\n", "b")
    assert without_authority(both, "a") == with_authority(b"THEIRS\n", b"TWO", "b")
    assert with_authority(both, b"ONE\n", "a").count(b"ONE") == 1
    assert without_authority(without_authority(both, "b"), "a") == b"THEIRS\n"
