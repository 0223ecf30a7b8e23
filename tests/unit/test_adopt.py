"""Adopting what others made: one record an instance, set up as bare metal is, left where it is at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pymachine import power
from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.create import create, preview_create
from pymachine.create_request import CreateRequest
from pymachine.errors import CheckFailed, DriverError, NotSupported, StepFailed
from pymachine.model import Endpoint, Phase, SshAddress, State
from pymachine.remove import preview_remove, remove
from pymachine.steps.reach import BOOT_PATIENCE
from pymachine.testing.fake_transport import HOST_KEY, done
from unit.clouds import CloudWorld
from unit.world import ENGINE, STEPS_ON_A_HOST, is_run

ID, HOST, NEXT = "i-0abc", "198.51.100.1", "198.51.100.2"
BROKEN = done("@pymachine error it does not start\n", code=1)
Run = Callable[..., int]


@pytest.fixture
def world(tmp_path: Path) -> CloudWorld:
    """A cloud with one host that others made; an engine runs there."""
    world = CloudWorld(tmp_path / "cloud")
    world.moving.others(ID)
    world.facts |= ENGINE
    return world


def order(world: CloudWorld, name: str = "node1", driver: str = "fake") -> CreateRequest:
    return replace(world.order(name, driver), adopted=ID)


class TestAdopt:
    def test_takes_over_the_host_and_its_engine(self, world: CloudWorld) -> None:
        machine = create(order(world), world.tools)
        assert machine == world.store.get("node1")
        assert (machine.phase, machine.adopted, machine.handle) == (Phase.READY, ID, {"id": ID})
        assert machine.endpoint == Endpoint(HOST)
        assert machine.ssh == SshAddress(HOST, user="admin", host_key=HOST_KEY)
        assert world.reporter.steps("node1") == STEPS_ON_A_HOST
        assert list(world.cloud.hosts()) == [ID], "nothing was made"
        assert world.operation().kind == "adopt"

    def test_asks_the_driver_about_that_instance(self, world: CloudWorld) -> None:
        create(order(world), world.tools)
        request = world.cloud.requests[-1]
        assert (request.adopted, request.owner, request.login) == (ID, world.store.identity, None)

    def test_certifies_the_address_that_the_cloud_tells(self, world: CloudWorld) -> None:
        world.facts["addresses"] = "2: eth0    inet 10.0.0.4/24 scope global eth0\n"
        machine = create(order(world), world.tools)
        assert machine.addresses == ("10.0.0.4", HOST)

    def test_of_a_host_that_is_refused_leaves_it_alone_and_no_record(self, world: CloudWorld) -> None:
        world.facts["os_release"] = "ID=plan9\n"
        with pytest.raises(CheckFailed):
            create(order(world), world.tools)
        assert (world.store.records(), list(world.cloud.hosts()), world.ran(is_run)) == ([], [ID], 0)

    def test_of_what_is_not_there_is_refused_by_the_driver(self, world: CloudWorld) -> None:
        with pytest.raises(CheckFailed, match="host i-other"):
            create(replace(order(world), adopted="i-other"), world.tools)
        assert world.store.records() == []

    def test_is_refused_where_the_driver_makes_hosts_only(self, world: CloudWorld) -> None:
        world.cloud.lacking = {"adopting"}
        with pytest.raises(NotSupported, match="driver fake cannot adopt i-0abc") as caught:
            create(order(world), world.tools)
        assert "create -d ssh" in (caught.value.hint or "")

    def test_goes_on_with_the_same_command(self, world: CloudWorld) -> None:
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            create(order(world), world.tools)
        half = world.store.get("node1")
        world.answers.clear()
        machine = create(order(world), world.tools)
        assert (machine.id, machine.phase) == (half.id, Phase.READY)

    def test_of_a_machine_that_create_began_is_refused(self, world: CloudWorld) -> None:
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            create(world.order(), world.tools)
        with pytest.raises(CheckFailed, match=r"half-made \(driver fake, reachable\)"):
            create(order(world), world.tools)

    def test_create_does_not_go_on_with_it(self, world: CloudWorld) -> None:
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            create(order(world), world.tools)
        with pytest.raises(CheckFailed, match=r"half-made \(driver fake, of i-0abc, reachable\)"):
            create(world.order(), world.tools)

    def test_of_an_instance_that_is_a_machine_already_is_refused(self, world: CloudWorld) -> None:
        create(order(world), world.tools)
        with pytest.raises(CheckFailed, match="i-0abc is machine node1 already") as caught:
            create(order(world, "node2"), world.tools)
        assert "`pymachine rm node1`" in (caught.value.hint or "")
        assert len(world.store.records()) == 1

    def test_of_the_same_id_in_another_cloud_is_allowed(self, world: CloudWorld) -> None:
        create(order(world), world.tools)
        world.facts = {key: value for key, value in world.facts.items() if key != "manifest"}
        assert create(order(world, "node2", driver="other"), world.tools).phase is Phase.READY

    def test_in_a_dry_run_looks_at_the_host_and_changes_nothing(self, world: CloudWorld) -> None:
        preview = preview_create(order(world), world.tools)
        assert preview.verb == "adopt"
        assert not any("make" in change.what for change in preview.changes)
        assert (world.store.records(), world.host.address.host) == ([], HOST)


class TestAdopted:
    """What other verbs do with it."""

    @pytest.fixture(autouse=True)
    def _adopt(self, world: CloudWorld) -> None:
        machine = create(order(world), world.tools)
        world.connections.clear()
        world.pins.clear()
        world.patience.clear()
        world.cloud.calls.clear()
        world.carries(machine.id)

    def test_rm_takes_the_set_up_off_and_leaves_the_host(self, world: CloudWorld) -> None:
        remove("node1", world.tools)
        assert (list(world.cloud.hosts()), world.store.records()) == ([ID], [])
        assert world.ran(is_run) == 1

    def test_rm_goes_where_it_moved(self, world: CloudWorld) -> None:
        world.moving.move(ID)
        remove("node1", world.tools)
        assert world.host.address.host == NEXT

    def test_rm_works_without_the_cloud(self, world: CloudWorld) -> None:
        world.cloud.fail("whereabouts", DriverError("the session has expired"))
        remove("node1", world.tools)
        assert world.store.records() == []

    @pytest.mark.parametrize("remove_it", [remove, preview_remove])
    def test_rm_of_what_came_to_its_end_elsewhere_does_not_look_for_the_host(
        self, remove_it: Callable[..., object], world: CloudWorld
    ) -> None:
        world.cloud.set_state(ID, None)
        remove_it("node1", world.tools)
        assert world.connections == []

    def test_rm_in_a_dry_run_says_that_the_host_stays(self, world: CloudWorld) -> None:
        assert not any("destroy" in change.what for change in preview_remove("node1", world.tools).changes)

    def test_start_follows_it_and_gives_it_time_to_boot(self, world: CloudWorld) -> None:
        power.stop("node1", world.tools)
        assert power.start("node1", world.tools).endpoint == Endpoint(NEXT)
        assert (world.pins, world.patience[-1]) == ([HOST_KEY], BOOT_PATIENCE)
        assert world.cloud.hosts() == {ID: State.RUNNING}

    def test_a_driver_that_adopts_no_more_says_so(self, world: CloudWorld) -> None:
        world.cloud.lacking = {"adopting"}
        with pytest.raises(NotSupported, match="cannot adopt i-0abc"):
            power.stop("node1", world.tools)


class TestCommand:
    @pytest.fixture
    def run(self, world: CloudWorld, tmp_path: Path) -> Run:
        tools = world.tools
        wiring = Wiring(
            reporter=world.reporter,
            connect=tools.connect,
            ask_engine=world.engine.ask,
            load_driver=tools.load_driver,
            driver_names=lambda: ["fake"],
            now=world.clock.now,
            clock=world.tools.clock,
        )
        return lambda *words: main(["-s", str(tmp_path / "store"), *words], wiring=wiring)

    def test_makes_a_machine_of_an_instance(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("adopt", "-d", "fake", "--label", "a=b", "--json", ID, "db1") == 0
        machine = json.loads(capsys.readouterr().out)
        assert (machine["name"], machine["adopted"], machine["labels"]) == ("db1", ID, {"a": "b"})

    def test_names_it_like_the_instance_where_no_name_is_given(
        self, run: Run, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("adopt", "-d", "fake", ID) == 0
        assert capsys.readouterr().out.startswith(f"{ID} is ready: tcp://{HOST}:2376")

    def test_asks_for_a_name_where_the_id_cannot_be_one(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("adopt", "-d", "fake", "projects/a/b") == 2
        assert "ID [NAME]" in capsys.readouterr().err

    def test_needs_an_instance(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("adopt", "-d", "fake") == 2
        assert "adopt " in capsys.readouterr().err

    def test_shows_what_it_would_do(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("adopt", "-d", "fake", "--dry-run", ID) == 0
        assert capsys.readouterr().out.partition("\n")[0].endswith(f" {ID}:")

    def test_takes_the_drivers_own_options(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("adopt", "-d", "fake", "--fake-account", "mine", "--json", ID) == 0
        assert json.loads(capsys.readouterr().out)["options"]["fake_account"] == "mine"

    def test_rm_says_before_it_asks_that_the_host_stays(
        self, run: Run, world: CloudWorld, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run("adopt", "-d", "fake", ID)
        capsys.readouterr()
        assert run("rm", "--dry-run", ID) == 0
        assert "destroy" not in capsys.readouterr().out
