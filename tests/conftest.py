"""What holds for every test: no user's environment, and no silent skip in CI."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import hypothesis
import pytest

import properties
from proof import results, tally, tiers

properties.register()
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "run")

USERS_VARIABLES = (
    "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_CONTEXT", "DOCKER_MACHINE_NAME",
    "MACHINE_STORAGE_PATH", "MACHINE_DRIVER", "SSH_AUTH_SOCK", "NO_PROXY", "no_proxy",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what chooses the tier of a run."""
    tiers.add_options(parser)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one tier: what every run proves, or what is left to the soak run."""
    tiers.keep_tier(config, items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep together, under `--dist loadfile`, what shares hosts; None for xdist's own scheduler."""
    from proof.files import Files

    return Files(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_configure(config: pytest.Config) -> None:
    """Take signals as a terminal would send them: a shell starts background jobs with these ignored."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    _share_a_run(config)
    tally.count_interpreters()


def _share_a_run(config: pytest.Config) -> None:
    """Give this run a folder unless it is part of one: what one user found out about this computer, all know."""
    if "PYMACHINE_RUN" in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="pymachine-run-")
    Path(folder).chmod(0o755)
    os.environ["PYMACHINE_RUN"] = folder

    def end() -> None:
        del os.environ["PYMACHINE_RUN"]
        shutil.rmtree(folder, ignore_errors=True)

    config.add_cleanup(end)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests counted, whatever captures their output: each property called ``count``; note what failed."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    for name, value in (pair for report in reports for pair in getattr(report, "user_properties", ())):
        if name == "count":
            terminalreporter.write_line(f"COUNT | {value}")
    results.note(results.PASSED, _ids(terminalreporter, "passed"))
    results.note(results.FAILED, _ids(terminalreporter, "failed", "error"))


def _ids(terminalreporter: pytest.TerminalReporter, *kinds: str) -> list[str]:
    return [report.nodeid for kind in kinds for report in terminalreporter.stats.get(kind, ())]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in USERS_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Turn a skip into a failure in CI: a test that did not run proves nothing."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):  # type: ignore[no-untyped-def]
    """Do the same for a whole file that is skipped while it is read."""
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
