"""The fake driver keeps the contract that it stands in for, in memory and in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from pymachine.driver import Driver, Instance, Leftover, Remember, Request, Status
from pymachine.errors import DriverError
from pymachine.model import SshAddress, State
from pymachine.testing.contract import DriverContract
from pymachine.testing.fake_driver import FakeCloud, FakeOptions
from pymachine.testing.mobile_cloud import MobileCloud


class TestFakeDriver(DriverContract):
    @pytest.fixture(autouse=True, params=["memory", "file"])
    def _cloud(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        self.cloud = FakeCloud(tmp_path / "cloud.json" if request.param == "file" else None)

    @override
    def driver(self) -> Driver:
        return self.cloud.driver()()

    @override
    def options(self) -> Any:
        return FakeOptions()

    @override
    def bad_options(self) -> Any:
        return FakeOptions(fake_size=0)

    @override
    def count(self) -> int:
        return len(self.cloud.hosts())


class TestMobileCloud(DriverContract):
    @pytest.fixture(autouse=True, params=["memory", "file"])
    def _cloud(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        self.cloud = MobileCloud(tmp_path / "cloud.json" if request.param == "file" else None)

    @override
    def driver(self) -> Driver:
        return self.cloud.driver()()

    @override
    def options(self) -> Any:
        return FakeOptions()

    @override
    def count(self) -> int:
        return len(self.cloud.hosts())


def _suite(change: Callable[[type[Driver]], type[Driver]]) -> TestMobileCloud:
    """The suite over a driver that breaks a promise."""
    suite = TestMobileCloud()
    suite.cloud = MobileCloud()
    kind = change(suite.cloud.driver())
    suite.driver = lambda: kind()  # type: ignore[method-assign]
    return suite


def _with(**methods: Any) -> Callable[[type[Driver]], type[Driver]]:
    return lambda kind: type("Breaking", (kind,), methods)


def _always(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def _made_anew(self: Any, request: Request, remember: Remember) -> Instance:
    """Forget what was begun."""
    handle = {"id": f"{request.machine_id}-{len(self.cloud.hosts())}"}
    self.cloud.set_state(handle["id"], State.RUNNING)
    remember(handle)
    return Instance(handle)


def _remembered_late(self: Any, request: Request, remember: Remember) -> Instance:
    """Tell which host it will be when it is made already."""
    remember(request.resume or {"id": ""})
    handle = dict(request.resume or {})
    if not handle.get("id"):
        handle = {"id": f"{request.machine_id}-{len(self.cloud.hosts())}"}
        self.cloud.set_state(handle["id"], State.RUNNING)
    remember(handle)
    return Instance(handle)


def _made_first(self: Any, request: Request, remember: Remember) -> Instance:
    """Make it, and tell of it afterwards."""
    handle = request.resume or {"id": request.machine_id}
    self.cloud.set_state(handle["id"], State.RUNNING)
    remember(handle)
    return Instance(handle)


STOPPED = Status(State.STOPPED)
ELSEWHERE = Instance({}, ssh=SshAddress("192.0.2.99"))
LOST = Leftover("instance", "lost", "lost", "east")
ALTERS_TEST = "test_can_do_what_it_says_of_changed_options"
BROKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "makes a second": ("test_goes_on_with_what_exists_instead_of_making_a_second", {"create": _made_anew}),
    "remembers late": ("test_goes_on_wherever_it_was_cut_off", {"create": _remembered_late}),
    "makes it first": ("test_makes_nothing_before_that_is_remembered", {"create": _made_first}),
    "another state": ("test_sees_of_many_what_it_sees_of_one", {"inspect_all": _always([STOPPED] * 3)}),
    "too little": ("test_sees_of_many_what_it_sees_of_one", {"inspect_all": _always([])}),
    "another place": ("test_finds_what_it_made_where_it_made_it", {"whereabouts": _always(ELSEWHERE)}),
    "finds nothing": ("test_finds_and_discards_what_nobody_knows", {"leftovers": _always([])}),
    "discards nothing": ("test_finds_and_discards_what_nobody_knows", {"discard": _always(None)}),
    "alters no option": (ALTERS_TEST, {"alters": {"fake_colour": "record"}}),
    "alters by magic": (ALTERS_TEST, {"alters": {"fake_zone": "magic"}}),
    "resizes in words": (ALTERS_TEST, {"resize": None}),
    "refits in words": (ALTERS_TEST, {"refit": None}),
    "makes what it opens": (
        "test_opens_ways_between_neighbours_if_it_says_that_it_can",
        {"interconnect": lambda self, handle, openings: self.cloud.set_state("gateway", State.RUNNING)},
    ),
    "adopts as its own": ("test_what_it_adopts_is_there_before_and_after", {"adopting": lambda self: self}),
    "knows nobody": (
        "test_counts_no_machine_that_is_known_as_left_over",
        {"leftovers": lambda self, search: [LOST] if search.known else []},
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_cloud_that_breaks_a_promise_fails_the_suite(broken: str) -> None:
    test, methods = BROKEN[broken]
    getattr(_suite(_with()), test)()
    with pytest.raises(AssertionError):
        getattr(_suite(_with(**methods)), test)()


def _request() -> Request:
    return Request("node1", "id1", FakeOptions(), 2376)


def test_a_fault_is_raised_once_at_its_operation() -> None:
    cloud = FakeCloud()
    cloud.fail("create", DriverError("no room"))
    driver = cloud.driver()()
    with pytest.raises(DriverError, match="no room"):
        driver.create(_request(), lambda handle: None)
    assert cloud.hosts() == {}
    driver.create(_request(), lambda handle: None)
    assert cloud.hosts() == {"id1": State.RUNNING}
    assert cloud.calls == ["create", "create", "remembered"]


def test_a_fault_after_remembering_leaves_the_host() -> None:
    cloud = FakeCloud()
    cloud.fail("remembered", DriverError("cut off"))
    handles: list[Any] = []
    with pytest.raises(DriverError, match="cut off"):
        cloud.driver()().create(_request(), handles.append)
    assert handles
    assert cloud.hosts() == {"id1": State.RUNNING}


def test_a_cloud_in_a_file_is_seen_by_others(tmp_path: Path) -> None:
    FakeCloud(tmp_path / "cloud").driver()().create(_request(), lambda handle: None)
    assert FakeCloud(tmp_path / "cloud").hosts() == {"id1": State.RUNNING}
