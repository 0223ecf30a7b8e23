"""The fake driver keeps the contract that it stands in for, in memory and in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from pymachine.driver import Driver, Request
from pymachine.errors import DriverError
from pymachine.model import State
from pymachine.testing.contract import DriverContract
from pymachine.testing.fake_driver import FakeCloud, FakeOptions


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
