"""Create on a driver that knows its host before it boots: what travels with the seed, and what SSH does otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import SupportsIndex

import pytest
from typing_extensions import override

from pymachine.create import create
from pymachine.driver import PlannedInstance, Request
from pymachine.errors import CheckFailed, DriverError, EngineError, StepFailed, TlsError, Unreachable
from pymachine.model import Endpoint, Phase
from pymachine.store.client_files import LOGIN_KEY, located
from pymachine.testing.fake_driver import ADDRESS
from pymachine.testing.fake_transport import done
from pymachine.transport import Command
from pymachine.transport.key_pair import public_line
from unit.world import DEBIAN, ENGINE, World, is_look, is_run

DONE = done("@pymachine step starting the engine\n@pymachine done engine=26.1.5\n")
STEPS = [
    "preparing", "planning the set-up", "checking the host", "setting up the engine",
    "asking the engine over TLS", "completing",
]  # fmt: skip


def with_engine(seen: PlannedInstance) -> PlannedInstance:
    return replace(seen, os_release=DEBIAN, engine="26.1.5")


def without_engine(seen: PlannedInstance) -> PlannedInstance:
    return replace(seen, os_release=DEBIAN)


def is_watch(command: Command) -> bool:
    """Whether a command follows the set-up that the host runs by itself."""
    return "-first-boot.code" in command.shell()


@pytest.fixture
def foreseeing(tmp_path: Path) -> Callable[..., World]:
    def make(foreseen: Callable[[PlannedInstance], PlannedInstance] = with_engine) -> World:
        world = World(tmp_path / "store", preexisting=False)
        world.cloud.foreseen = foreseen
        world.answer(is_watch, DONE)
        return world

    return make


def silent(world: World) -> World:
    """Have the engine answer only when its set-up was looked at over SSH."""
    world.engine.errors = UntilLookedAt(world)
    return world


class UntilLookedAt(list[BaseException]):
    """As many refusals as it takes until somebody logs in."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def __bool__(self) -> bool:
        return not self._world.connections

    @override
    def pop(self, index: SupportsIndex = -1) -> BaseException:
        return Unreachable("refused")


def asked(world: World) -> Request:
    return world.cloud.requests[-1]


class TestCarried:
    def test_an_engine_that_answers_by_itself_needs_no_login(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing()
        world.engine.errors = [Unreachable("refused"), EngineError("reset")]
        machine = create(world.order(), world.tools)

        assert (machine.phase, machine.endpoint) == (Phase.READY, Endpoint(ADDRESS, 2376))
        assert machine.engine_version == "26.1.5"
        assert world.reporter.steps("node1") == STEPS
        assert world.connections == []

    def test_one_that_does_not_answer_soon_is_followed_with_nothing_uploaded(
        self, foreseeing: Callable[..., World]
    ) -> None:
        world = silent(foreseeing())
        create(world.order(), world.tools)
        assert (world.ran(is_watch), world.ran(is_look), world.ran(is_run), world.host.uploads) == (1, 0, 0, [])

    def test_one_that_shows_another_certificate_is_followed_at_once(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing()
        world.engine.errors = [TlsError("somebody else's")]
        create(world.order(), world.tools)
        assert (world.ran(is_watch), world.clock.slept) == (1, [])

    def test_the_set_up_and_the_server_certificate_travel(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing()
        create(world.order(), world.tools)

        first_boot = asked(world).first_boot
        assert first_boot is not None
        assert first_boot.early
        files = {Path(file.path).name: file for file in first_boot.files}
        assert files["server-key.pem"].content == world.store.secrets("node1")["server-key.pem"]
        assert {file.mode for file in files.values()} == {0o600}
        assert "wait_for_cloud_init\n" not in files["setup.sh"].content.decode()
        assert first_boot.command.endswith(f"exec sh {files['run.sh'].path} work")

    def test_the_watch_looks_for_this_very_set_up(self, foreseeing: Callable[..., World]) -> None:
        world = silent(foreseeing())
        create(world.order(), world.tools)

        first_boot = asked(world).first_boot
        assert first_boot is not None
        folder = str(Path(first_boot.files[0].path).parent)
        assert any(folder in call.command.shell() for call in world.host.calls)

    def test_an_engine_inside_the_image_is_not_installed_again(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing()
        create(world.order(), world.tools)

        first_boot = asked(world).first_boot
        assert first_boot is not None
        script = next(file.content for file in first_boot.files if file.path.endswith("setup.sh")).decode()
        assert "apt-get" not in script

    def test_keys_are_on_record_before_anything_is_made(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing()
        world.cloud.fail("foresee", DriverError("no network"))
        with pytest.raises(StepFailed, match="no network"):
            create(world.order(), world.tools)
        before = world.store.secrets("node1")
        create(world.order(), world.tools)

        login = asked(world).login
        assert login is not None
        assert public_line(before[LOGIN_KEY]) == login.public_key
        assert before["ssh_host_ed25519_key"] == login.host_private
        assert login.host_public == public_line(login.host_private)

    def test_the_login_key_lies_beside_the_clients_files(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing()
        machine = create(world.order(), world.tools)

        address = located(world.store, machine).ssh
        assert address is not None
        assert address.key_path is not None
        key = Path(address.key_path)
        assert key.read_bytes() == world.store.secrets("node1")[LOGIN_KEY]
        assert key.stat().st_mode & 0o777 == 0o600
        assert machine.ssh is not None
        assert machine.ssh.key_path == LOGIN_KEY


class TestOverSsh:
    """What the host did not do by itself is done from here."""

    def test_auto_asks_the_host_which_packages_it_reaches(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing(without_engine)
        create(world.order(), world.tools)

        assert asked(world).first_boot is None
        assert asked(world).login is not None
        assert (world.ran(is_watch), world.ran(is_look), world.ran(is_run)) == (0, 1, 1)

    def test_a_chosen_source_travels_and_waits_for_the_network(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing(without_engine)
        create(world.order(install="distro"), world.tools)

        first_boot = asked(world).first_boot
        assert first_boot is not None
        assert not first_boot.early
        assert world.ran(is_run) == 0

    def test_an_image_that_tells_nothing_is_asked(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing(lambda seen: seen)
        create(world.order(install="distro"), world.tools)
        assert (asked(world).first_boot, world.ran(is_run)) == (None, 1)

    def test_a_set_up_that_was_not_run_is_run_from_here(self, foreseeing: Callable[..., World]) -> None:
        world = silent(foreseeing())
        world.answer(is_watch, done(code=75))
        world.facts |= ENGINE
        machine = create(world.order(), world.tools)

        assert machine.phase is Phase.READY
        assert (world.ran(is_look), world.ran(is_run)) == (1, 1)
        assert b'"fresh": true' in world.uploaded("manifest.json")  # the engine came with our own host

    def test_a_set_up_that_failed_is_told_and_repeated(self, foreseeing: Callable[..., World]) -> None:
        world = silent(foreseeing())
        world.answer(is_watch, done("@pymachine failed starting\n@pymachine error it does not start\n", code=1))
        create(world.order(), world.tools)

        assert any("start" in notice for notice in world.reporter.notices("node1"))
        assert world.ran(is_run) == 1

    def test_an_address_that_shows_only_later_gets_its_certificates_then(
        self, foreseeing: Callable[..., World]
    ) -> None:
        world = foreseeing(lambda seen: replace(with_engine(seen), ssh=None, addresses=()))
        machine = create(world.order(), world.tools)

        assert (machine.phase, asked(world).first_boot) == (Phase.READY, None)
        assert world.ran(is_run) == 1


class TestRefusal:
    def test_what_is_refused_while_preparing_leaves_no_record(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing()
        world.cloud.fail("foresee", CheckFailed("no such image", hint="name another"))
        with pytest.raises(CheckFailed, match="no such image"):
            create(world.order(), world.tools)
        assert world.store.records() == []
        assert world.cloud.hosts() == {}

    def test_what_had_begun_before_stays_on_record(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing()
        world.cloud.fail("create", DriverError("out of memory"))
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        world.cloud.fail("foresee", CheckFailed("no such image", hint="name another"))
        with pytest.raises(StepFailed) as caught:
            create(world.order(), world.tools)
        assert "name another" in (caught.value.hint or "")
        assert "pymachine rm node1" in (caught.value.hint or "")
        assert world.store.get("node1").handle is not None


class TestAgain:
    def test_a_create_that_stopped_goes_on_with_what_it_remembered(self, foreseeing: Callable[..., World]) -> None:
        world = foreseeing()
        world.cloud.fail("create", DriverError("out of memory"))
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        first = world.cloud.requests[0]
        create(world.order(), world.tools)

        assert asked(world).resume == first.resume
        assert asked(world).first_boot == first.first_boot
        assert asked(world).login == first.login
