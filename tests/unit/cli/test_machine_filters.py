"""``ls --filter``: docker-machine's keys, over records alone."""

from __future__ import annotations

import pytest

from pymachine.cli.machine_filters import MachineFilters
from pymachine.errors import UsageFault
from pymachine.model import EngineSpec, Machine, Membership
from pymachine.store import Broken


def machine(name: str, driver: str = "ssh", *, swarm: Membership | None = None, **engine: object) -> Machine:
    spec = EngineSpec(**engine)  # type: ignore[arg-type]
    return Machine(name, f"id-{name}", driver, engine=spec, labels={"site": "north"}, swarm=swarm)


RECORDS: list[Machine | Broken] = [
    machine("web1", "ssh", labels=("rack=Seven", "ssd")),
    machine("web10", "generic", labels=("rack=8",)),
    machine("db", "kvm2", swarm=Membership("c1", "n1", "manager")),
    machine("cache", "aws", swarm=Membership("c1", "n2", "worker")),
    machine("other", "none", swarm=Membership("c2", "n3", "manager")),
    Broken("odd", "its record cannot be read"),
]


def named(*texts: str) -> list[str]:
    filters = MachineFilters(texts, RECORDS)
    return [record.name for record in RECORDS if filters.may_accept(record)]


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ((), ["web1", "web10", "db", "cache", "other", "odd"]),
        (("driver=generic",), ["web1", "web10"]),
        (("driver=ssh",), ["web1", "web10"]),
        (("DRIVER=amazonec2",), ["cache"]),
        (("driver=kvm",), ["db"]),
        (("name=^web",), ["web1", "web10"]),
        (("name=1$",), ["web1"]),
        (("name=d",), ["db", "odd"]),
        (("label=rack",), ["web1", "web10"]),
        (("label=rack=seven",), ["web1"]),
        (("label=site=NORTH",), ["web1", "web10", "db", "cache", "other"]),
        (("label=ssd",), ["web1"]),
        (("label=rack=",), []),
        (("swarm=db",), ["db", "cache"]),
        (("swarm=cache",), []),
        (("swarm=nobody",), []),
        (("driver=ssh", "driver=aws", "name=[ce]$"), ["cache"]),
        (("name=^odd$", "state=Error"), ["odd"]),
    ],
)
def test_which_machines_are_listed(texts: tuple[str, ...], names: list[str]) -> None:
    assert named(*texts) == names


def test_states_are_alternatives_in_any_case() -> None:
    filters = MachineFilters(("state=running", "STATE=Stopped"), RECORDS)

    assert filters.need_state
    assert [filters.accept(state) for state in ("Running", "Stopped", "Error", "")] == [True, True, False, False]
    assert not MachineFilters(("name=x",), RECORDS).need_state


@pytest.mark.parametrize("text", ["rack", "colour=red", "state=bogus", "name=(", "=x", ""])
def test_what_is_no_filter_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageFault):
        named(text)


def test_a_driver_is_known_if_it_is_installed_or_in_use() -> None:
    filters = MachineFilters(("driver=generic",), RECORDS)
    filters.check_drivers({"generic"}, list)
    filters.check_drivers(set(), lambda: ["generic"])
    with pytest.raises(UsageFault):
        filters.check_drivers({"ssh"}, lambda: ["kvm"])
