"""What holds for every test: no user's environment, and no silent skip in CI."""

from __future__ import annotations

import os
import signal

import pytest

USERS_VARIABLES = (
    "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_CONTEXT", "DOCKER_MACHINE_NAME",
    "MACHINE_STORAGE_PATH", "MACHINE_DRIVER", "SSH_AUTH_SOCK", "NO_PROXY", "no_proxy",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what chooses the tier of a run."""
    parser.addoption("--soak", action="store_true", help="run the tests marked soak, and only those")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one tier: what every run proves, or what is left to the soak run."""
    wanted = bool(config.getoption("--soak"))
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        (kept if (item.get_closest_marker("soak") is not None) == wanted else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def pytest_configure() -> None:
    """Take signals as a terminal would send them: a shell starts background jobs with these ignored."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in USERS_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Turn a skip into a failure in CI: a test that did not run proves nothing."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report
