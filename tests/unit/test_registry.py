"""From a driver's name to its class, as distributions that lie on the path tell it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pymachine import registry
from pymachine.errors import DriverMissing
from pymachine.testing.contract import DriverContract

GOOD = "class Pool:\n    api = 1\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions, on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(site: Path, distribution: str, *names: str, source: str = GOOD, extra: str = "") -> None:
    """Install a distribution with a driver of these names, as pip would leave it."""
    module = distribution.replace("-", "_")
    (site / f"{module}.py").write_text(source)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    extras = f"Provides-Extra: {extra}\n" if extra else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n{extras}")
    points = "".join(f"{name} = {module}:Pool\n" for name in names)
    (info / "entry_points.txt").write_text(f"[pymachine.drivers]\n{points}")


def test_our_drivers_are_there_by_every_name() -> None:
    assert {"ssh", "generic", "none"} <= set(registry.names())
    assert registry.load("generic") is registry.load("ssh")


def test_a_driver_of_somebody_else_is_found_like_ours(site: Path) -> None:
    install(site, "reg-pool", "pool")
    assert "pool" in registry.names()
    assert registry.load("pool").__name__ == "Pool"


def test_names_are_told_without_importing_any(site: Path) -> None:
    install(site, "reg-loud", "loud", source="raise SystemExit('imported')\n")
    assert "loud" in registry.names()


def test_an_unknown_name_is_told_its_neighbour() -> None:
    with pytest.raises(DriverMissing, match="no driver 'shs'") as caught:
        registry.load("shs")
    assert (caught.value.hint or "").endswith(" ssh?")
    assert caught.value.exit_code == 2


def test_a_name_like_none_is_told_all_there_are() -> None:
    with pytest.raises(DriverMissing) as caught:
        registry.load("virtualbox")
    assert "installed drivers: " in (caught.value.hint or "")
    assert "ssh" in (caught.value.hint or "")


def test_a_name_that_two_distributions_claim_is_refused(site: Path) -> None:
    install(site, "reg-one", "twice")
    install(site, "reg-two", "twice")
    with pytest.raises(DriverMissing, match="claimed by reg-one and reg-two"):
        registry.load("twice")


def test_a_missing_package_is_one_line_with_the_command_that_installs_it(site: Path) -> None:
    install(site, "reg-lib", "lib", source="import libnosuchthing\n")
    with pytest.raises(DriverMissing, match="No module named 'libnosuchthing'") as caught:
        registry.load("lib")
    assert caught.value.hint == "pip install 'reg-lib[lib]'"


def test_an_alias_is_installed_by_the_extra_that_there_is(site: Path) -> None:
    install(site, "reg-cloud", "cloud", "oldcloud", source="import libnosuchthing\n", extra="cloud")
    for name in ("cloud", "oldcloud"):
        with pytest.raises(DriverMissing) as caught:
            registry.load(name)
        assert caught.value.hint == "pip install 'reg-cloud[cloud]'"


@pytest.mark.parametrize("api", ["    api = 2\n", "    pass\n"])
def test_a_driver_for_another_version_of_the_seam_is_refused(api: str, site: Path) -> None:
    name = "reg-old" if "2" in api else "reg-mute"
    install(site, name, "old", source=f"class Pool:\n{api}")
    with pytest.raises(DriverMissing, match=r"driver API .* 1") as caught:
        registry.load("old")
    assert name in (caught.value.hint or "")


def test_the_contract_suite_needs_no_pytest() -> None:
    code = f"import sys; import {DriverContract.__module__}; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
