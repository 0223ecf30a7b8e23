"""Create on a cloud that lets a key of ours in: the key comes first, and what is refused leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymachine.create import create
from pymachine.driver import Login, Request
from pymachine.errors import AuthFailed, CheckFailed, DriverError, StepFailed, UsageFault
from pymachine.model import Phase
from pymachine.steps.login import MakeLogin
from pymachine.steps.reach import ADMISSION_PATIENCE
from pymachine.store.client_files import LOGIN_KEY
from pymachine.testing.fake_transport import HOST_KEY, done
from pymachine.transport.key_pair import public_line
from unit.clouds import CloudWorld
from unit.world import STEPS_ON_A_HOST, World, is_run

FIRST = "198.51.100.1"


@pytest.fixture
def world(tmp_path: Path) -> CloudWorld:
    return CloudWorld(tmp_path / "cloud")


def asked(world: World) -> Request:
    return world.cloud.requests[-1]


def test_the_key_is_on_record_before_the_host_is_made(world: CloudWorld) -> None:
    world.cloud.fail("create", DriverError("the cloud is out of hosts"))
    with pytest.raises(StepFailed):
        create(world.order(), world.tools)
    key = world.store.secrets("node1")[LOGIN_KEY]
    assert asked(world).login == Login(public_line(key), "", b"")


def test_the_host_is_made_then_set_up_over_ssh(world: CloudWorld) -> None:
    machine = create(world.order(), world.tools)
    assert world.reporter.steps("node1") == [MakeLogin.title, *STEPS_ON_A_HOST]
    assert machine.phase is Phase.READY
    assert machine.ssh is not None
    assert (machine.ssh.host, machine.ssh.user, machine.ssh.key_path) == (FIRST, "admin", LOGIN_KEY)


def test_a_host_key_that_nobody_knows_is_pinned_at_the_first_contact(world: CloudWorld) -> None:
    machine = create(world.order(), world.tools)
    assert world.pins == [None]
    assert machine.ssh is not None
    assert machine.ssh.host_key == HOST_KEY


def test_a_host_key_that_the_driver_saw_on_the_console_is_expected(world: CloudWorld) -> None:
    world.moving.host_key = HOST_KEY
    create(world.order(), world.tools)
    assert world.pins == [HOST_KEY]


def test_a_host_that_does_not_know_our_key_is_logged_in_to_by_the_users(world: CloudWorld) -> None:
    world.moving.own_key = True
    machine = create(world.order(), world.tools)
    assert machine.ssh is not None
    assert machine.ssh.key_path is None


def test_a_host_that_boots_may_turn_us_away_at_first(world: CloudWorld) -> None:
    world.refused += [AuthFailed("the system is booting up")] * 3
    assert create(world.order(), world.tools).phase is Phase.READY
    assert world.clock.slept == [2.0, 4.0, 8.0]


def test_a_host_that_goes_on_turning_us_away_ends_it(world: CloudWorld) -> None:
    world.refused += [AuthFailed("the host refused every key")] * 50
    with pytest.raises(StepFailed, match="refused every key"):
        create(world.order(), world.tools)
    assert 80 < sum(world.clock.slept) <= ADMISSION_PATIENCE
    assert len(world.clock.slept) < 10, "sshd shuts out whoever fails often"


def test_a_key_of_the_users_that_is_refused_is_said_at_once(world: CloudWorld) -> None:
    world.moving.own_key = True
    world.refused.append(AuthFailed("the host refused every key"))
    with pytest.raises(StepFailed, match="refused every key"):
        create(world.order(), world.tools)
    assert world.clock.slept == []


def test_a_second_try_offers_the_same_key(world: CloudWorld) -> None:
    world.answer(is_run, done("@pymachine error it does not start\n", code=1))
    with pytest.raises(StepFailed):
        create(world.order(), world.tools)
    world.answers.clear()
    world.carries(world.store.get("node1").id)
    create(world.order(), world.tools)
    first, second = world.cloud.requests
    assert first.login == second.login


def test_the_request_says_which_store_asks(world: CloudWorld) -> None:
    create(world.order(), world.tools)
    assert (asked(world).owner, asked(world).adopted) == (world.store.identity, "")


def test_certificates_cover_what_the_cloud_says_of_the_host_and_what_the_host_does(world: CloudWorld) -> None:
    world.facts["addresses"] = "2: eth0    inet 10.0.0.4/24 scope global eth0\n"
    machine = create(world.order(), world.tools)
    assert machine.addresses == ("10.0.0.4", FIRST)
    assert machine.certificates is not None
    assert {"10.0.0.4", FIRST} <= set(machine.certificates.sans)


@pytest.mark.parametrize("error", [CheckFailed("the account is at its limit"), UsageFault("no such size")])
def test_what_the_cloud_refuses_before_there_is_anything_leaves_no_record(
    error: CheckFailed | UsageFault, world: CloudWorld
) -> None:
    world.cloud.fail("create", error)
    with pytest.raises(type(error)):
        create(world.order(), world.tools)
    assert (world.store.records(), world.cloud.hosts(), world.store.secrets("node1")) == ([], {}, {})
    assert world.operation().outcome == "failed"


def test_what_it_refuses_when_there_is_something_stays_on_record(world: CloudWorld) -> None:
    world.cloud.fail("remembered", CheckFailed("the account is at its limit"))
    with pytest.raises(StepFailed) as caught:
        create(world.order(), world.tools)
    assert (caught.value.exit_code, world.store.get("node1").handle is not None) == (1, True)
    assert "pymachine rm node1" in (caught.value.hint or "")


def test_a_driver_that_lost_the_power_gets_no_key(world: CloudWorld) -> None:
    world.cloud.lacking = {"authorises_key"}
    create(world.order(), world.tools)
    assert asked(world).login is None
    assert LOGIN_KEY not in world.store.secrets("node1")
