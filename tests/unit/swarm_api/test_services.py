"""Services of a Swarm: counted as the docker client counts them, waited for, seen by plan, drift and status."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from patience import LIMIT
from pymachine.errors import EngineError
from pymachine.fleet.apply.drift import drift
from pymachine.fleet.apply.fleet import FleetWork
from pymachine.fleet.apply.scheduler import Bounds, Outcome, Quiet
from pymachine.fleet.apply.status import overview
from pymachine.fleet.apply.survey import records_of
from pymachine.fleet.inventory.model import Fleet
from pymachine.fleet.plan import ActionKind
from pymachine.swarm_api import connect
from pymachine.swarm_api.api_reader import read_all
from pymachine.swarm_api.api_types import ApiTask
from pymachine.swarm_api.containers import Container, missing_from
from pymachine.swarm_api.protocol import ClusterEngine
from pymachine.swarm_api.services import Failure, Replicas, Service, service_of, unsettled_of
from pymachine.swarm_api.view import ClusterView
from unit.fleets import fleet, kinds, stack
from unit.fleetworld import FleetWorld, machine
from unit.stub_swarm_engine import StubEngine, serving

TRIO = fleet(machine(1, "mgr", "manager"), machine(2, "web-1", "worker"), machine(3, "web-2", "worker"))
CRASH = Failure("t1", "task: non-zero exit (1)", 1)


def document(mode: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A service of stack shop."""
    labels = {"com.docker.stack.namespace": "shop"}
    return {"ID": "s1", "Spec": {"Name": "shop_web", "Labels": labels, "Mode": mode}, **more}


def task(state: str, desired: str = "running", **more: Any) -> dict[str, Any]:
    """A task of it; ``err``, ``at`` and ``code`` are of its status."""
    ended = {"ContainerStatus": {"ExitCode": more["code"]}} if "code" in more else {}
    status = {
        "State": state,
        "Err": more.get("err", ""),
        "Timestamp": more.get("at", "2026-01-01T00:00:00Z"),
        **ended,
    }
    return {"ID": f"t{more.get('at', '')}", "ServiceID": "s1", "DesiredState": desired, "Status": status, "Slot": 1}


def read_service(one: dict[str, Any], tasks: list[dict[str, Any]]) -> Service:
    return service_of(one, read_all(ApiTask, tasks))


@pytest.mark.parametrize(
    ("mode", "tasks", "replicas", "settled"),
    [
        ({"Replicated": {"Replicas": 2}}, [task("running"), task("running")], "2/2", True),
        ({"Replicated": {"Replicas": 2}}, [task("running"), task("starting")], "1/2", False),
        ({"Replicated": {"Replicas": 2}}, [task("running"), task("running", "shutdown")], "1/2", False),
        ({"Replicated": {}}, [], "0/1", False),
        ({"Replicated": {"Replicas": 0}}, [], "0/0", True),
        ({"Global": {}}, [task("running"), task("preparing"), task("failed", "shutdown")], "1/2", False),
        ({"ReplicatedJob": {"TotalCompletions": 2}}, [task("complete", "complete")], "1/2", False),
        ({"GlobalJob": {}}, [task("complete", "complete"), task("running", "complete")], "1/2", False),
    ],
)
def test_tasks_are_counted(mode: dict[str, Any], tasks: list[dict[str, Any]], replicas: str, settled: bool) -> None:
    service = read_service(document(mode), [*tasks, {**task("running"), "ServiceID": "another"}])
    assert (service.replicas, service.settled) == (replicas, settled)


def test_the_last_failure_is_told_and_a_reason_to_wait_is_one() -> None:
    one = {"Replicated": {"Replicas": 1}}
    tasks = [
        task("failed", "shutdown", err="task: non-zero exit (1)", at="2026-01-01T00:00:02Z", code=1),
        task("failed", "shutdown", err="older", at="2026-01-01T00:00:01Z"),
        task("starting"),
    ]
    assert read_service(document(one), tasks).in_words() == "0 of 1 tasks run: task: non-zero exit (1)"
    waiting = [task("pending", err="no suitable node (scheduling constraints not satisfied on 3 nodes)")]
    assert (
        read_service(document(one), waiting).in_words().endswith("(scheduling constraints not satisfied on 3 nodes)")
    )
    assert read_service(document(one), [task("running"), *tasks]).settled


@pytest.mark.parametrize("state", ["paused", "rollback_completed", "rollback_paused", "updating"])
def test_an_update_that_did_not_end_well_is_not_settled(state: str) -> None:
    service = read_service(document({"Replicated": {}}, UpdateStatus={"State": state}), [task("running")])
    assert not service.settled
    assert service.in_words() == f"1 of 1 tasks run, its update is {state.replace('_', ' ')}"


def test_a_service_that_is_missing_is_not_settled() -> None:
    (missing,) = unsettled_of("shop", {"shop_web": Replicas()}, [Service("s", "shop_web", "another", 1, 1)])
    assert missing.in_words() == "it does not exist"


def spec_of(mode: dict[str, Any], template: dict[str, Any] | None) -> str:
    one = document(mode)
    return read_service({**one, "Spec": {**one["Spec"], "TaskTemplate": template}}, []).spec


@pytest.mark.parametrize(
    ("mode", "template", "changed"),
    [
        ({"Replicated": {"Replicas": 5}}, {"ContainerSpec": {"Image": "a"}}, False),
        ({"Replicated": {"Replicas": 2}}, {"ContainerSpec": {"Image": "a"}, "ForceUpdate": 7}, False),
        ({"Replicated": {"Replicas": 2}}, {"ForceUpdate": 0, "ContainerSpec": {"Image": "a"}}, False),
        ({"Replicated": {"Replicas": 2}}, {"ContainerSpec": {"Image": "b"}}, True),
        ({"Replicated": {"Replicas": 2}}, {"ContainerSpec": {"Image": "a", "Env": ["A=1"]}}, True),
        ({"Global": {}}, {"ContainerSpec": {"Image": "a"}}, True),
        ({"Replicated": {"Replicas": 2}}, None, True),
    ],
)
def test_a_change_of_a_service_is_known_and_another_number_of_tasks_is_none(
    mode: dict[str, Any], template: dict[str, Any] | None, changed: bool
) -> None:
    before = spec_of({"Replicated": {"Replicas": 2}}, {"ContainerSpec": {"Image": "a"}})
    assert (spec_of(mode, template) != before) is changed


def test_a_service_of_which_nothing_was_noted_counts_as_unchanged() -> None:
    one = Service("s", "shop_web", "shop", 1, 1, spec="new")
    assert not unsettled_of("shop", {"shop_web": Replicas()}, [one])
    assert unsettled_of("shop", {"shop_web": Replicas()}, [one], {"shop_web": "old"})


@pytest.fixture
def stub() -> Iterator[StubEngine]:
    with serving(StubEngine()) as served:
        yield served


@pytest.fixture
def engine(stub: StubEngine) -> Iterator[ClusterEngine]:
    with connect(stub.endpoint, None, deadline=LIMIT) as connected:
        yield connected


def test_services_are_asked_for_by_their_stack(stub: StubEngine, engine: ClusterEngine) -> None:
    stub.answer("GET /tasks", (200, [task("running")]))
    stub.answer("GET /services", (200, [document({"Replicated": {"Replicas": 2}})]))
    (found,) = engine.services("shop")
    assert replace(found, spec="") == Service("s1", "shop_web", "shop", 2, 1)
    ((_, query, _),) = stub.asked_for("GET /services")
    assert "com.docker.stack.namespace%3Dshop" in query


@pytest.mark.parametrize("wrong", [[1], [{}], [{"ID": "s", "Spec": 5}], {"a": 1}, None])
def test_services_of_a_wrong_shape_are_one_named_error(stub: StubEngine, engine: ClusterEngine, wrong: Any) -> None:
    stub.answer("GET /tasks", (200, []))
    stub.answer("GET /services", (200, wrong))
    with pytest.raises(EngineError, match="did not answer like an engine"):
        engine.services()


def framed(*lines: str) -> bytes:
    """Lines of a log as an engine sends them, of standard output and of standard error in turn."""
    return b"".join(struct.pack(">BxxxL", 1 + n % 2, len(line)) + line.encode() for n, line in enumerate(lines))


@pytest.mark.parametrize(
    ("tty", "data"), [(False, framed("one\n", "two\n", "three\n")), (True, b"one\r\ntwo\r\nthree")]
)
def test_the_end_of_a_log_is_read(stub: StubEngine, engine: ClusterEngine, tty: bool, data: bytes) -> None:
    one = document({"Global": {}})
    one["Spec"]["TaskTemplate"] = {"ContainerSpec": {"TTY": tty}}
    stub.answer("GET /services/s1", (200, one))
    stub.answer("GET /services/s1/logs", (200, data))
    assert engine.logs("s1", 2) == ("two", "three")
    box = {"Id": "c1", "Name": "/c1", "State": {"Status": "exited"}, "Config": {"Tty": tty}}
    stub.answer("GET /containers/c1/json", (200, box))
    stub.answer("GET /containers/c1/logs", (200, data))
    assert engine.container_logs("c1", 2) == ("two", "three")
    assert "tail=2" in stub.asked[-1][1]


def test_a_log_that_cannot_be_read_is_an_error_of_its_own(stub: StubEngine, engine: ClusterEngine) -> None:
    stub.answer("GET /services/s1", (200, document({"Global": {}})))
    stub.answer("GET /services/s1/logs", (501, {"message": "configured logging driver does not support reading"}))
    with pytest.raises(EngineError, match="does not support reading"):
        engine.logs("s1", 3)


@pytest.fixture
def world(tmp_path: Path) -> FleetWorld:
    return FleetWorld(tmp_path / "store")


@pytest.fixture
def shop(tmp_path: Path) -> Fleet:
    """The three machines, and a stack of two services."""
    file = tmp_path / "shop.yaml"
    file.write_text("services: {web: {image: a, deploy: {replicas: 3}}, db: {image: b}}\n")
    return replace(TRIO, stacks=(replace(stack("shop"), files=(str(file),)),))


def test_a_deploy_ends_when_its_services_run(world: FleetWorld, shop: Fleet) -> None:
    began = world.clock.now()
    assert not world.apply(shop).unfinished
    assert "wait for the services" in world.reporter.steps("shop")
    assert world.clock.now() - began >= 5  # they have to go on running
    assert world.plan(shop).changes_nothing


def test_a_deploy_whose_tasks_fail_ends_at_its_deadline_and_says_why(world: FleetWorld, shop: Fleet) -> None:
    world.failing = {"shop_web": CRASH}
    with world.clusters.lend() as state:
        before = dict(state.swarms)
    assert not before
    (failed,) = world.apply(shop).having(Outcome.FAILED)
    assert failed.error is not None
    told = failed.error.message.splitlines()
    assert told[0] == "after 300 s not every service of stack shop is as it should be:"
    assert told[1] == "  shop_web: 0 of 3 tasks run: task: non-zero exit (1)"
    assert not any("shop_db" in line for line in told)


def test_the_last_lines_of_a_failing_service_are_shown(world: FleetWorld, shop: Fleet) -> None:
    world.apply(TRIO)
    with world.clusters.lend() as state:
        next(iter(state.swarms.values())).logs["shop_web"] = ("one", "Traceback", "KeyError: 'DATABASE'")
    world.failing = {"shop_web": CRASH}
    (failed,) = world.apply(shop).having(Outcome.FAILED)
    assert failed.error is not None
    assert failed.error.message.endswith("\n    one\n    Traceback\n    KeyError: 'DATABASE'")


def test_a_stack_that_is_not_waited_for_is_deployed_and_left(world: FleetWorld, shop: Fleet) -> None:
    world.failing = {"shop_web": CRASH}
    patient = replace(shop, stacks=(replace(shop.stacks[0], wait=0),))
    assert not world.apply(patient).unfinished


@pytest.mark.parametrize(("wait", "fails", "seconds"), [(0, False, 0), (7, True, 7), (None, True, 300)])
def test_apply_says_how_long_it_waits(
    world: FleetWorld, shop: Fleet, wait: int | None, fails: bool, seconds: int
) -> None:
    world.apply(TRIO)
    world.failing = {"shop_web": CRASH}
    began = world.clock.now()
    with FleetWork(shop, world.tools, world.computer) as work:
        account = work.apply(work.plan(), Bounds(wait=wait), Quiet())
    assert bool(account.having(Outcome.FAILED)) is fails
    assert seconds <= world.clock.now() - began <= seconds + 2


def test_plan_drift_and_status_see_services_that_do_not_run(world: FleetWorld, shop: Fleet) -> None:
    assert not world.apply(shop).unfinished
    with world.clusters.lend() as state:
        services = next(iter(state.swarms.values())).services
        services["shop_web"] = replace(services["shop_web"], running=1, failure=CRASH)
        del services["shop_db"]
    made = world.plan(shop)
    assert kinds(made) == {"stack shop": [ActionKind.DEPLOY]}
    (action,) = made.actions
    assert action.reasons == ("shop_web: 1 of 3 tasks run: task: non-zero exit (1)", "shop_db: it does not exist")
    assert world.work is not None
    records = records_of(world.tools)
    found = drift(shop, records, world.work.known, made, {})
    assert [(one.machine, one.part, one.detail) for one in found] == [
        ("shop", "stack", reason) for reason in action.reasons
    ]
    shown = overview(shop, [*records, "shop"], world.tools, 5.0)
    assert [(row.name, row.replicas) for row in shown.services] == [("shop_web", "1/3")]
    assert not world.apply(shop).unfinished
    assert world.plan(shop).changes_nothing


def test_a_service_that_was_changed_by_hand_is_drift_and_deployed_again(world: FleetWorld, shop: Fleet) -> None:
    assert not world.apply(shop).unfinished
    with world.clusters.lend() as state:
        services = next(iter(state.swarms.values())).services
        services["shop_web"] = replace(services["shop_web"], spec="by hand")
    made = world.plan(shop)
    assert kinds(made) == {"stack shop": [ActionKind.DEPLOY]}
    assert world.work is not None
    found = drift(shop, records_of(world.tools), world.work.known, made, {})
    assert [(one.machine, one.part) for one in found] == [("shop", "stack")]
    assert not world.apply(shop).unfinished
    assert world.plan(shop).changes_nothing


def test_drift_and_status_see_a_quorum_that_is_lost(world: FleetWorld, shop: Fleet) -> None:
    assert not world.apply(shop).unfinished
    made = world.plan(shop)
    assert world.work is not None
    records, known = records_of(world.tools), world.work.known
    for view, unseen in ((ClusterView("s", lost=True, trouble="x"), False), (ClusterView("s", trouble="x"), True)):
        (difference,) = drift(shop, records, replace(known, view=view), made, {})
        assert (difference.part, difference.unseen) == ("swarm", unseen)


@pytest.fixture
def local(shop: Fleet) -> Fleet:
    """The same with its stack on one machine."""
    return replace(shop, stacks=(replace(shop.stacks[0], on="web-1"),))


FAILED = Container("db", "shop-db-1", "shop", "db", "exited", code=3)
ILL = Container("db", "shop-db-1", "shop", "db", "running", "unhealthy", error="no route")
LOOPS = Container("db", "shop-db-1", "shop", "db", "running", looping=True)
STOPPED = Container("db", "shop-db-1", "shop", "db", "exited", kept_up=True)
DONE = Container("db", "shop-db-1", "shop", "db", "exited")


def test_a_stack_on_a_machine_ends_when_its_containers_run_or_are_done(world: FleetWorld, local: Fleet) -> None:
    world.ill = {"db": DONE}
    assert not world.apply(local).unfinished
    assert "wait for the services" in world.reporter.steps("shop")
    assert world.plan(local).changes_nothing


@pytest.mark.parametrize("container", [FAILED, ILL, LOOPS, STOPPED])
def test_a_stack_on_a_machine_that_fails_is_named_with_its_log(
    world: FleetWorld, local: Fleet, container: Container
) -> None:
    world.ill = {"db": container}
    with world.clusters.host("192.0.2.2") as host:
        host.logs["db"] = ("starting", "no database")
    (failed,) = world.apply(local).having(Outcome.FAILED)
    assert failed.error is not None
    told = [f"  shop-db-1: {container.in_words()}", "    starting", "    no database"]
    assert failed.error.message.splitlines()[1:] == told


@pytest.mark.parametrize("container", [FAILED, ILL, LOOPS, STOPPED, None])
def test_plan_drift_and_status_see_containers_that_do_not_run(
    world: FleetWorld, local: Fleet, container: Container | None
) -> None:
    assert not world.apply(local).unfinished
    with world.clusters.host("192.0.2.2") as host:
        kept = [one for one in host.containers if one.service != "db"]
        host.containers = (*kept, container) if container else tuple(kept)
    missing = missing_from("shop", "db")
    told = f"{(container or missing).name}: {(container or missing).in_words()}"
    made = world.plan(local)
    (action,) = made.actions
    assert (action.kind, action.reasons) == (ActionKind.DEPLOY, (told,))
    assert world.work is not None
    records = records_of(world.tools)
    found = drift(local, records, world.work.known, made, {})
    assert [(one.machine, one.part, one.detail, one.unseen) for one in found] == [("shop", "stack", told, False)]
    shown = overview(local, [*records, "shop"], world.tools, 5.0).services
    rows = {row.name: (row.replicas, row.remark) for row in shown}
    assert rows["shop-web"] == ("3/3", "")
    assert rows.get("shop-db") == (("0/1", told) if container else None)
    assert not world.apply(local).unfinished
    assert world.plan(local).changes_nothing


def test_containers_that_could_not_be_asked_for_are_not_taken_for_well(world: FleetWorld, local: Fleet) -> None:
    assert not world.apply(local).unfinished
    with world.clusters.host("192.0.2.2") as host:
        host.cut = True  # SSH still answers
    made = world.plan(local)
    assert len(made.notes) == 1
    assert world.work is not None
    found = drift(local, records_of(world.tools), world.work.known, made, {})
    assert ("stack", True) in [(one.part, one.unseen) for one in found]


def test_a_service_of_no_container_is_not_missed(world: FleetWorld, local: Fleet) -> None:
    Path(local.stacks[0].files[0]).write_text("services: {web: {image: a}, db: {image: b, scale: 0}}\n")
    assert not world.apply(local).unfinished
    with world.clusters.host("192.0.2.2") as host:
        host.containers = tuple(one for one in host.containers if one.service != "db")
    assert world.plan(local).changes_nothing


LISTED = [{"Id": "c1", "Labels": {}}, {"Id": "c2", "Labels": {"com.docker.compose.oneoff": "True"}}]


def inspected(**state: Any) -> dict[str, Any]:
    """A container's document; ``restarts`` and ``policy`` are not of its state."""
    restarts, policy = state.pop("restarts", 0), state.pop("policy", "no")
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    return {
        "Id": "c1", "Name": "/shop-web-1", "Config": {"Labels": labels}, "RestartCount": restarts,
        "HostConfig": {"RestartPolicy": {"Name": policy}}, "State": {"Status": "running", "ExitCode": 0, **state},
    }  # fmt: skip


LOG = [{"ExitCode": 0, "Output": "fine"}, {"ExitCode": 1, "Output": "curl: (7)\n failed"}]


@pytest.mark.parametrize(
    ("found", "settled", "told"),
    [
        (inspected(), True, ""),
        (inspected(Health={"Status": "none"}), True, ""),
        (inspected(Health={"Status": "starting", "Log": []}), False, ""),
        (inspected(Health={"Status": "unhealthy", "Log": LOG}), False, "curl: (7) failed"),
        (inspected(Status="exited"), True, ""),
        (inspected(Status="exited", policy="always"), False, ""),
        (inspected(Status="exited", policy="on-failure"), True, ""),
        (inspected(Status="exited", ExitCode=137, OOMKilled=True), False, "memory"),
        (inspected(Status="created", ExitCode=127, Error="exec: not found"), False, "exec: not found"),
        (inspected(Status="restarting", ExitCode=1, restarts=4), False, ""),
        (inspected(restarts=4, StartedAt="2026-01-01T00:00:05.123456789Z"), False, ""),
        (inspected(restarts=4, StartedAt="2025-12-31T23:00:00Z"), True, ""),
        (inspected(Status="paused"), False, ""),
        (inspected(Status="dead"), False, ""),
    ],
)
def test_a_container_is_read_from_what_the_engine_says(
    stub: StubEngine, engine: ClusterEngine, found: dict[str, Any], settled: bool, told: str
) -> None:
    stub.answer("GET /containers/json", (200, LISTED))
    stub.answer("GET /containers/c1/json", (200, found))
    stub.answer("GET /info", (200, {"SystemTime": "2026-01-01T00:00:09.1Z"}))
    (one,) = engine.containers("shop")
    assert (one.name, one.service, one.settled) == ("shop-web-1", "web", settled)
    assert told in one.in_words()
    assert bool(one.error) is bool(told)


@pytest.mark.parametrize("wrong", [{}, [], {**inspected(), "State": 5}, {**inspected(), "State": {}}, None])
def test_a_container_of_a_wrong_shape_is_one_named_error(stub: StubEngine, engine: ClusterEngine, wrong: Any) -> None:
    stub.answer("GET /containers/json", (200, LISTED))
    stub.answer("GET /containers/c1/json", (200, wrong))
    with pytest.raises(EngineError):
        engine.containers("shop")


def test_a_container_that_is_gone_since_it_was_listed_is_none(stub: StubEngine, engine: ClusterEngine) -> None:
    stub.answer("GET /containers/json", (200, LISTED))
    stub.answer("GET /containers/c1/json", (404, {"message": "No such container"}))
    assert engine.containers("shop") == ()


def test_services_that_could_not_be_asked_for_are_not_taken_for_well(world: FleetWorld, shop: Fleet) -> None:
    assert not world.apply(shop).unfinished
    made = world.plan(shop)
    assert world.work is not None
    known = replace(world.work.known, services=None)
    (difference,) = drift(shop, records_of(world.tools), known, made, {})
    assert (difference.part, difference.unseen) == ("stack", True)
