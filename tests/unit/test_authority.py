"""Who is cut off by another authority, and who keeps the former one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pymachine.engine.setup import plan_setup
from pymachine.model import Certificates, Machine
from pymachine.steps.authority import sharing, told_of_authority
from pymachine.testing.memory_store import MemoryStore
from pymachine.tls import Need
from unit.engine.test_machine_drop_in import host
from unit.engine.test_setup import adopted, machine

AGED = (Need("ca", "expires soon"),)
SERVER = (Need("server", "does not name web"),)


def with_authority(name: str, authority: str) -> Machine:
    dates = ("2028-01-01T00:00:00+00:00",) * 3
    return replace(machine(), name=name, id=name, certificates=Certificates(authority, "s", "c", *dates))


def store_of(*names: str, authority: str = "aa") -> MemoryStore:
    store = MemoryStore(Path("unused"))
    for name in names:
        store.put(with_authority(name, authority))
    return store


def told(one: Machine, trusted: str, due: tuple[Need, ...], store: MemoryStore) -> list[str]:
    facts = host(trusted=trusted)
    return list(told_of_authority(one, facts, plan_setup(one, facts), due, store))


@pytest.mark.parametrize(
    ("trusted", "due", "word"),
    [("aa", SERVER, "can still"), ("aa", AGED, "no longer"), ("bb", (), "no longer"), ("", (), "may")],
)
def test_clients_of_docker_machine_are_told_of(trusted: str, due: tuple[Need, ...], word: str) -> None:
    found = told(with_authority("web", "aa"), trusted, due, store_of("web"))

    assert [word in text for text in found] == [True]


def test_a_new_machine_has_another_authority() -> None:
    assert len(told(machine(), "aa", (), MemoryStore(Path("unused")))) == 1


def test_machines_that_share_it_are_named_if_it_is_renewed() -> None:
    store = store_of("web", "db", "cache")
    store.put(with_authority("other", "bb"))
    web = store.get("web")

    assert sharing(web, store) == ["cache", "db"]
    assert any("cache, db" in text for text in told(web, "aa", AGED, store))
    assert not any("cache" in text for text in told(web, "aa", SERVER, store))


def test_a_host_of_nobodys_needs_no_word() -> None:
    web = with_authority("web", "aa")

    assert list(told_of_authority(web, adopted(), plan_setup(web, adopted()), AGED, store_of("web"))) == []
