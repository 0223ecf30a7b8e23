"""Machines that come back at another address: start follows them, and so does whatever connects to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pymachine import power
from pymachine.create import create
from pymachine.errors import CheckFailed, DriverError, HostKeyMismatch, StepFailed, TlsError, Unreachable
from pymachine.model import Endpoint, Machine, Phase, State
from pymachine.provision import Upgrade, preview_provision, provision, upgrade
from pymachine.steps.address import located
from pymachine.steps.engine import SetUpEngine, Verify
from pymachine.steps.reach import BOOT_PATIENCE, Reach
from pymachine.steps.session import Session
from pymachine.store.client_files import LOGIN_KEY
from pymachine.testing.fake_transport import HOST_KEY, done
from unit.clouds import CloudWorld
from unit.world import World, is_run

WAS, NOW = "198.51.100.1", "198.51.100.2"
FOLLOWING = [
    "connecting over SSH", "surveying the host", "issuing certificates", "setting up the engine",
    "asking the engine over TLS", "completing",
]  # fmt: skip
NEWS = f"its address is now {NOW} (was {WAS})"
WRONG = TlsError("the certificate is for another host")
BROKEN = done("@pymachine error it does not start\n", code=1)


@pytest.fixture
def world(tmp_path: Path) -> CloudWorld:
    return CloudWorld(tmp_path / "cloud")


def off(world: CloudWorld, **spec: Any) -> Machine:
    """A ready machine that is switched off."""
    machine = world.made(**spec)
    power.stop("node1", world.tools)
    world.reporter.events.clear()
    world.cloud.calls.clear()
    return machine


def moved(world: CloudWorld) -> Machine:
    """A ready machine that somebody switched off and on elsewhere."""
    machine = world.made()
    world.moving.move(machine.id)
    return machine


class TestStart:
    def test_gives_the_engine_a_certificate_for_where_it_is_now(self, world: CloudWorld) -> None:
        before = off(world)
        files = world.store.secrets("node1")
        machine = power.start("node1", world.tools)

        assert machine == world.store.get("node1")
        assert machine.ssh is not None
        assert (machine.ssh.host, machine.endpoint, machine.reported_addresses) == (NOW, Endpoint(NOW), (NOW,))
        assert machine.certificates is not None
        assert NOW in machine.certificates.sans
        after = world.store.secrets("node1")
        assert world.uploaded("server.pem") == after["server.pem"] != files["server.pem"]
        kept = ("ca.pem", "cert.pem", "key.pem", LOGIN_KEY)
        assert [after[file] for file in kept] == [files[file] for file in kept]
        assert (machine.phase, machine.handle) == (Phase.READY, before.handle)

    def test_expects_the_key_that_was_pinned(self, world: CloudWorld) -> None:
        off(world)
        power.start("node1", world.tools)
        assert (world.pins, world.patience[-1]) == ([HOST_KEY], BOOT_PATIENCE)

    def test_does_not_set_up_another_host_at_that_address(self, world: CloudWorld) -> None:
        off(world)
        world.refused.append(HostKeyMismatch("another host answers"))
        with pytest.raises(StepFailed, match="another host answers"):
            power.start("node1", world.tools)
        assert world.connections == []

    def test_says_where_it_is_and_where_it_was(self, world: CloudWorld) -> None:
        off(world)
        power.start("node1", world.tools)
        assert world.reporter.notices("node1")[0] == NEWS
        assert world.reporter.steps("node1") == ["start", *FOLLOWING]

    def test_keeps_the_port_of_the_engine(self, world: CloudWorld) -> None:
        off(world, port=2400)
        assert power.start("node1", world.tools).endpoint == Endpoint(NOW, 2400)

    def test_forgets_the_addresses_of_before(self, world: CloudWorld) -> None:
        world.facts["addresses"] = "2: eth0    inet 10.0.0.4/24 scope global eth0\n"
        off(world)
        assert power.start("node1", world.tools).addresses == ("10.0.0.4", NOW)

    def test_follows_one_that_was_started_elsewhere(self, world: CloudWorld) -> None:
        moved(world)
        machine = power.start("node1", world.tools)
        assert machine.endpoint == Endpoint(NOW)
        assert world.reporter.steps("node1") == ["start", *FOLLOWING]

    def test_of_one_that_stayed_where_it_is_does_not_log_in(self, world: CloudWorld) -> None:
        machine = world.made()
        assert power.start("node1", world.tools) == machine
        assert (world.connections, world.cloud.calls) == ([], ["inspect", "start", "whereabouts"])

    def test_of_a_half_made_machine_leaves_the_set_up_to_its_create(self, world: CloudWorld) -> None:
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        world.connections.clear()
        power.stop("node1", world.tools)
        power.start("node1", world.tools)
        machine = world.store.get("node1")
        assert (machine.phase, machine.endpoint) == (Phase.REACHABLE, Endpoint(NOW))
        assert world.connections == []


class TestRestart:
    def test_follows_too(self, world: CloudWorld) -> None:
        moved(world)
        assert power.restart("node1", world.tools).endpoint == Endpoint(NOW)
        assert world.reporter.steps("node1") == ["restart", *FOLLOWING]


class TestCutOff:
    """The process was killed on the way; ``start`` again comes to the same end."""

    def test_before_the_record_knows_the_address(self, world: CloudWorld) -> None:
        machine = off(world)
        world.moving.move(machine.id)
        world.cloud.set_state(machine.id, State.RUNNING)
        assert power.start("node1", world.tools).endpoint == Endpoint(NOW)

    def test_before_the_engine_has_its_certificate(self, world: CloudWorld) -> None:
        off(world)
        world.refused.append(Unreachable("cut off"))
        with pytest.raises(StepFailed, match=Reach.title) as caught:
            power.start("node1", world.tools)
        assert "`pymachine start node1`" in (caught.value.hint or "")
        half = world.store.get("node1")
        assert (half.phase, half.endpoint) == (Phase.READY, Endpoint(NOW))

        world.engine.errors.append(WRONG)
        machine = power.start("node1", world.tools)
        assert machine.fault is None
        assert machine.certificates is not None
        assert NOW in machine.certificates.sans
        assert world.ran(is_run) == 1

    def test_when_the_certificate_is_on_record_and_not_on_the_host(self, world: CloudWorld) -> None:
        off(world)
        world.answer(is_run, Unreachable("cut off"))
        with pytest.raises(StepFailed, match=SetUpEngine.title):
            power.start("node1", world.tools)
        issued = world.store.secrets("node1")["server.pem"]
        world.answers.clear()

        world.engine.errors.append(WRONG)
        power.start("node1", world.tools)
        assert world.uploaded("server.pem") == issued == world.store.secrets("node1")["server.pem"]

    def test_when_all_but_the_record_was_done(self, world: CloudWorld) -> None:
        off(world)
        world.engine.errors.append(Unreachable("blocked on the way"))
        with pytest.raises(StepFailed, match=Verify.title):
            power.start("node1", world.tools)
        assert world.store.get("node1").fault is not None

        assert power.start("node1", world.tools).fault is None
        assert world.store.get("node1").fault is None

    def test_of_a_machine_that_never_moves_is_no_business_of_start(self, tmp_path: Path) -> None:
        world = World(tmp_path / "still", preexisting=False)
        world.made()
        world.engine.errors.append(WRONG)
        with pytest.raises(TlsError):
            power.start("node1", world.tools)
        assert world.connections == []


class TestProvision:
    def test_goes_where_the_machine_is(self, world: CloudWorld) -> None:
        moved(world)
        machine = provision("node1", world.tools)
        assert (machine.endpoint, world.pins) == (Endpoint(NOW), [HOST_KEY])
        assert world.host.address.host == NOW
        assert world.reporter.notices("node1")[0] == NEWS

    def test_with_another_port_that_fails_keeps_the_port_and_the_new_address(self, world: CloudWorld) -> None:
        moved(world)
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            provision("node1", world.tools, spec_changes={"port": 2400})
        assert world.store.get("node1").endpoint == Endpoint(NOW, 2376)
        world.answers.clear()
        assert provision("node1", world.tools, spec_changes={"port": 2400}).endpoint == Endpoint(NOW, 2400)

    def test_works_without_the_cloud(self, world: CloudWorld) -> None:
        world.made()
        for question in ("inspect", "whereabouts"):
            world.cloud.fail(question, DriverError("the session has expired"))
        assert provision("node1", world.tools).endpoint == Endpoint(WAS)
        assert world.reporter.notices("node1")[0].endswith(": the session has expired")

    @pytest.mark.parametrize(
        ("state", "way_on"), [(State.STOPPED, "pymachine start node1"), (None, "pymachine rm node1")]
    )
    @pytest.mark.parametrize("verb", [provision, upgrade, preview_provision])
    def test_does_not_wait_for_a_machine_that_is_off(
        self, verb: Any, state: State | None, way_on: str, world: CloudWorld
    ) -> None:
        machine = world.made()
        world.cloud.set_state(machine.id, state)
        with pytest.raises(CheckFailed, match="machine node1 ") as caught:
            verb("node1", world.tools)
        assert way_on in (caught.value.hint or "")
        assert (world.connections, world.store.get("node1")) == ([], machine)

    def test_in_a_dry_run_goes_there_and_keeps_the_record(self, world: CloudWorld) -> None:
        machine = moved(world)
        preview = preview_provision("node1", world.tools)
        assert any("server certificate" in change.what for change in preview.changes)
        assert (world.host.address.host, world.store.get("node1")) == (NOW, machine)

    def test_an_upgrade_sets_up_first_what_has_moved(self, world: CloudWorld) -> None:
        moved(world)
        upgrade("node1", world.tools)
        steps = world.reporter.steps("node1")
        assert steps[: len(FOLLOWING)] == FOLLOWING
        assert Upgrade.title in steps[len(FOLLOWING) :]


class TestLocated:
    def test_an_address_beside_the_engines_is_news_too(self, world: CloudWorld) -> None:
        machine = world.saved(reported_addresses=(WAS, "2001:db8::1")) if world.made() else None
        assert machine is not None
        session = Session(world.tools, world.tools.driver_of(machine))
        assert located(machine, session).reported_addresses == (WAS,)
        assert world.reporter.notices("node1")[0].endswith(f" {WAS} (were {WAS}, 2001:db8::1)")

    def test_a_machine_that_has_no_address_while_it_is_off_keeps_the_one_it_had(self, world: CloudWorld) -> None:
        machine = world.made()
        with world.moving.lend("addresses") as addresses:
            addresses[machine.id] = ""
        session = Session(world.tools, world.tools.driver_of(machine))
        assert located(machine, session) == machine
