"""The set-up and its rollback, cut off after any command that changes the host: never a port without TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import pytest

from lab import Host
from lab.cut_off import Watch, arm, disarm
from lab.docker_machine import DROP_IN, INFO, PLACE, set_up_by_docker_machine
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

FreshHost = Callable[..., Host]
Record = Callable[[str, object], None]
# The engine does not start with it, and dockerd's own check does not see that.
FATAL = ("--engine-opt", "bridge=nosuch0")
PARTS = 10  # all places, in as many tests
SOME = (0.35, 0.65, 0.9)  # where in the work the few of each run are cut off


def _outlives_restart_and_reboot(host: Host) -> None:
    """Whatever was left half-done: the engine starts with it or not, but it starts protected."""
    host.exec("systemctl reset-failed docker; systemctl restart docker", check=False, timeout=120)
    host.exec("sleep 0.5")
    host.stop()
    host.start()
    host.wait_ssh()
    host.exec("systemctl is-system-running --wait", check=False, timeout=120)


def _commands(host: Host, work: Callable[[], object]) -> int:
    """How many commands of some work change the host."""
    arm(host, 0)
    work()
    return disarm(host)


def _cut_off(host: Host, at: int, work: Callable[[], object]) -> Watch:
    """Cut the work off and see what that leads to; return what was asked and heard meanwhile."""
    with Watch(host.address) as watch:
        arm(host, at)
        work()
        assert disarm(host) == at, "it was cut off there"
        _outlives_restart_and_reboot(host)
    assert watch.asked > 20
    assert watch.opened == 0, f"open without TLS after command {at}: {host.exec('tail -n 1 /root/cut/log').stdout}"
    return watch


def _summary(what: str, watches: list[Watch], total: int) -> str:
    asked, heard, opened = (
        sum(counts) for counts in zip(*((w.asked, w.heard, w.opened) for w in watches), strict=True)
    )
    places = f"cut off after {len(watches)} of {total} commands that change the host"
    return f"{what}, {places}: plain HTTP asked {asked} times, {heard} answers, let in {opened} times"


def _some(total: int) -> Iterable[int]:
    return sorted({max(1, round(total * part)) for part in SOME})


def _adopting(host: Host, workstation: Workstation, places: Callable[[int], Iterable[int]]) -> str:
    def again(check: int | None = 0) -> None:
        workstation.create("node1", host.address, check=check)

    total = _commands(host, again)
    workstation.pymachine("rm", "-y", "node1")
    watches = []
    for at in places(total):
        watches.append(_cut_off(host, at, lambda: again(check=None)))
        again()
        workstation.docker("node1", "version")
        workstation.pymachine("rm", "-y", "node1")
    return _summary("adopting a host", watches, total)


def _taking_over(host: Host, workstation: Workstation, places: Callable[[int], Iterable[int]]) -> str:
    """A host of docker-machine: its drop-in goes, and comes back with the removal, which is cut off too."""
    store = set_up_by_docker_machine(host, workstation)
    info = host.exec(INFO).stdout

    def imported() -> None:
        workstation.pymachine("import", "docker-machine", "-y", str(store.folder))

    def provisioned(check: int | None = 0) -> None:
        workstation.pymachine("provision", "web", check=check)

    def removed(check: int | None = 0) -> None:
        workstation.pymachine("rm", "-y", "web", check=check)

    imported()
    totals = [_commands(host, provisioned), _commands(host, removed)]
    watches = []
    for total, work in zip(totals, (provisioned, removed), strict=True):
        for at in places(total):
            imported()
            if work is removed:
                provisioned()
            watches.append(_cut_off(host, at, lambda work=work: work(check=None)))  # type: ignore[misc]
            if work is provisioned:
                provisioned()
                workstation.docker("web", "version")
                assert host.exec(INFO).stdout == info
            removed(check=None if work is removed else 0)  # it may have come to its end
            assert host.exec(f"cat {PLACE}").stdout == DROP_IN
            assert host.exec(INFO).stdout == info
    return _summary("taking over a host of docker-machine", watches, sum(totals))


def _failing(host: Host, workstation: Workstation, places: Callable[[int], Iterable[int]]) -> str:
    workstation.create("node1", host.address)

    def fails(check: int | None = None) -> None:
        workstation.pymachine("provision", *FATAL, "node1", check=check)

    total = _commands(host, lambda: fails(check=1))
    assert host.exec("cat /var/lib/pymachine/backup/current/entries; true").stdout == "", "it was taken back"
    workstation.docker("node1", "version")
    watches = []
    for at in places(total):
        watches.append(_cut_off(host, at, fails))
        workstation.pymachine("provision", "node1")
        workstation.docker("node1", "version")
    return _summary("a set-up that fails and is taken back", watches, total)


def _installing(
    fresh_host: FreshHost,
    workstation: Workstation,
    places: Callable[[int], Iterable[int]],
    converges: Callable[[int], bool] = lambda at: True,
) -> str:
    """Cut an installation off; where it ``converges``, the same command then completes it."""

    def created(name: str, host: Host, check: int | None = 0) -> None:
        workstation.create(name, host.address, "--engine-install", "distro", check=check)

    def released(name: str, host: Host) -> None:
        workstation.docker(name, "version")
        workstation.pymachine("rm", "-y", name)
        host.destroy()

    host = fresh_host()
    total = _commands(host, lambda: created("node0", host))
    released("node0", host)
    watches = []
    for at in places(total):
        name, bare = f"node{at}", fresh_host()
        watches.append(_cut_off(bare, at, partial(created, name, bare, None)))
        if converges(at):
            created(name, bare)
            released(name, bare)
        else:
            bare.destroy()
    return _summary("installing on a fresh host", watches, total)


def _part(part: int) -> Callable[[int], Iterable[int]]:
    return lambda total: range(1 + part, total + 1, PARTS)


def _each_third(at: int) -> bool:
    """An installation from the beginning takes longer than all else that is done here to a host."""
    return at % 3 == 0


def test_some_places_of_an_adoption(
    engine_host: FreshHost, workstation: Workstation, record_property: Record
) -> None:
    record_property("count", _adopting(engine_host(), workstation, lambda total: list(_some(total))[:1]))


def test_some_places_of_a_failing_set_up(
    engine_host: FreshHost, workstation: Workstation, record_property: Record
) -> None:
    record_property("count", _failing(engine_host(), workstation, lambda total: list(_some(total))[2:]))


def test_some_places_of_an_installation(
    fresh_host: FreshHost, workstation: Workstation, record_property: Record
) -> None:
    record_property("count", _installing(fresh_host, workstation, lambda total: list(_some(total))[1:2]))


every_part = pytest.mark.parametrize("part", range(PARTS))


@pytest.mark.soak(125)
@every_part
def test_every_place_of_an_adoption(
    part: int, engine_host: FreshHost, workstation: Workstation, record_property: Record
) -> None:
    record_property("count", _adopting(engine_host(), workstation, _part(part)))


@pytest.mark.soak(160)
@every_part
def test_every_place_of_a_failing_set_up(
    part: int, engine_host: FreshHost, workstation: Workstation, record_property: Record
) -> None:
    record_property("count", _failing(engine_host(), workstation, _part(part)))


@pytest.mark.soak(220)
@every_part
def test_every_place_of_an_installation(
    part: int, fresh_host: FreshHost, workstation: Workstation, record_property: Record
) -> None:
    record_property("count", _installing(fresh_host, workstation, _part(part), _each_third))


@pytest.mark.soak(230)
def test_some_places_of_a_takeover_from_docker_machine(
    engine_host: FreshHost, workstation: Workstation, record_property: Record
) -> None:
    record_property("count", _taking_over(engine_host(), workstation, lambda total: range(3, total + 1, 15)))
