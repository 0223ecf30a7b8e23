"""Another size: what is passed on, what is refused, and sizes as people write them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pymachine.errors import CheckFailed, LeaseHeld, NotSupported, UsageFault
from pymachine.model import State
from pymachine.resize import Size, resize
from pymachine.sizes import GIB, MIB, exact_size, parse_size
from unit.world import World


@pytest.fixture
def off(cloud_world: World) -> World:
    """A world with a machine that is switched off."""
    machine = cloud_world.made()
    cloud_world.cloud.set_state(machine.id, State.STOPPED)
    return cloud_world


def test_the_driver_gets_what_was_given(off: World) -> None:
    resize("node1", Size(cpus=4, disk=40 * GIB), off.tools)
    assert off.cloud.sizes(off.store.get("node1").id) == {"cpus": 4, "memory": None, "disk": 40 * GIB}
    assert (off.operation().kind, off.operation().outcome) == ("resize", "done")


def test_the_record_says_the_new_size_as_its_options_do(off: World) -> None:
    off.store.put(off.store.get("node1").with_(options={"fake_size": 1, "fake_zone": "2G", "fake_account": "20G"}))
    alters = {"fake_size": "cpus", "fake_zone": "memory", "fake_account": "disk", "fake_spot": "record"}
    kind = type("Sized", (off.cloud.driver(),), {"alters": alters})
    resize("node1", Size(cpus=4, memory=1536 * MIB), replace(off.tools, load_driver=lambda name: kind))
    assert off.store.get("node1").options == {"fake_size": 4, "fake_zone": "1536M", "fake_account": "20G"}


def test_a_size_that_was_refused_is_not_on_record(off: World) -> None:
    off.cloud.fail("resize", CheckFailed("a disk only grows"))
    with pytest.raises(CheckFailed):
        resize("node1", Size(cpus=4), off.tools)
    assert off.store.get("node1").options["fake_size"] == 1


@given(st.integers(0, 1 << 50))
@example(1536 * MIB)
def test_an_exact_size_is_read_back(count: int) -> None:
    assert parse_size(exact_size(count), "--memory") == count


def test_a_machine_that_is_on_is_refused_and_noted(off: World) -> None:
    off.cloud.set_state(off.store.get("node1").id, State.RUNNING)
    with pytest.raises(CheckFailed, match="switched on"):
        resize("node1", Size(cpus=4), off.tools)
    assert off.cloud.sizes(off.store.get("node1").id) == {}
    assert off.operation().outcome == "failed"


def test_nothing_to_change_is_a_wrong_command(off: World) -> None:
    with pytest.raises(UsageFault, match="size"):
        resize("node1", Size(), off.tools)
    assert off.cloud.calls == []


def test_it_waits_its_turn(off: World) -> None:
    with off.store.lease("node1", "start node1"), pytest.raises(LeaseHeld):
        resize("node1", Size(cpus=4), off.tools)
    assert off.cloud.calls == []


def test_a_driver_that_cannot_is_named(off: World) -> None:
    off.cloud.lacking.add("resize")
    with pytest.raises(NotSupported, match="driver fake "):
        resize("node1", Size(cpus=4), off.tools)


@pytest.mark.parametrize(
    ("text", "size"),
    [("2G", 2 * GIB), ("2048", 2 * GIB), ("1.5GiB", 1536 * MIB), ("512m", 512 * MIB), ("1T", 1024 * GIB),
     (" 3 GB ", 3 * GIB), ("4096K", 4 * MIB)],
)  # fmt: skip
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text, "--memory") == size


@pytest.mark.parametrize("text", ["", "G", "2X", "-1G", "1,5G", "2 G G", "٢G", "1e3", "8B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match=r"--disk: "):
        parse_size(text, "--disk")
