"""Options: a driver's dataclass on the command line, and the engine's fields checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest

from pymachine.cli import main
from pymachine.cli.app import App
from pymachine.cli.commands.provision import provision
from pymachine.cli.dependencies import Wiring
from pymachine.cli.driver_command import named_driver
from pymachine.cli.driver_options import PREFIX, check_flags, driver_options, options_instance
from pymachine.cli.engine_options import defaults_of, new_spec, spec_changes
from pymachine.driver import option, refused
from pymachine.errors import DriverError, UsageFault
from pymachine.model import EngineSpec
from pymachine.testing.fake_driver import FakeCloud, FakeOptions


def _options(given: dict[str, Any] | None = None, extra: tuple[str, ...] = (), **environ: str) -> FakeOptions:
    values = {PREFIX + name: value for name, value in (given or {}).items()}
    made = options_instance("fake", FakeOptions, values, extra, environ)
    assert isinstance(made, FakeOptions)
    return made


def test_nothing_given_leaves_the_drivers_own_defaults() -> None:
    assert _options() == FakeOptions()


def test_an_option_beats_driver_opt_which_beats_the_variable() -> None:
    assert _options(FAKE_SIZE="2").fake_size == 2
    assert _options(extra=("fake-size=3",), FAKE_SIZE="2").fake_size == 3
    assert _options({"fake_size": 4}, ("fake_size=3",), FAKE_SIZE="2").fake_size == 4


def test_lists_and_switches_are_read_from_texts() -> None:
    assert _options(FAKE_TAGS="a,b").fake_tags == ("a", "b")
    assert _options(extra=("fake-tags=a", "fake-tags=b,c")).fake_tags == ("a", "b,c")
    assert _options(extra=("fake-spot=yes",)).fake_spot is True
    assert _options({"fake_spot": False}, ("fake-spot=yes",)).fake_spot is False


def test_an_empty_variable_counts_as_none() -> None:
    assert _options(FAKE_SIZE="", FAKE_TAGS="") == FakeOptions()


@pytest.mark.parametrize("extra", ["fake-size=x", "fake-zone=north", "fake-spot=perhaps", "size=1", "nothing"])
def test_texts_that_do_not_fit_are_refused_with_a_hint(extra: str) -> None:
    with pytest.raises(UsageFault) as caught:
        _options(extra=(extra,))
    assert caught.value.hint


@dataclass(frozen=True)
class Clashing:
    dry_run: str = field(default="", metadata=option("clashes"))


def test_a_driver_cannot_take_a_flag_of_ours() -> None:
    with pytest.raises(DriverError, match="--dry-run"):
        check_flags("odd", driver_options(Clashing), ["--dry-run"])


WHY = "keys are made for each machine: leave it out"


@dataclass(frozen=True)
class OfAnotherTool(FakeOptions):
    fake_keypath: str | None = field(default=None, metadata=refused("--old-keypath", WHY, "--older-keypath"))


@pytest.fixture
def old(tmp_path: Path) -> Callable[..., int]:
    """Run pymachine with a driver that knows an option of another tool and does not follow it."""
    kind = FakeCloud(tmp_path / "cloud").driver()
    wiring = Wiring(
        load_driver=lambda _: type("Old", (kind,), {"options": OfAnotherTool}), driver_names=lambda: ["fake"]
    )
    return lambda *words: main(["-s", str(tmp_path / "store"), *words], wiring=wiring)


class TestRefusedOption:
    def test_is_not_in_the_help(self, old: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
        assert old("create", "-d", "fake", "--help") == 0
        shown = capsys.readouterr().out
        assert "--fake-size" in shown
        assert "keypath" not in shown

    @pytest.mark.parametrize(
        "words",
        [("--old-keypath", "k"), ("--older-keypath=k",), ("--driver-opt", "fake_keypath=k"),
         ("--driver-opt", "fake-keypath=")],
    )  # fmt: skip
    def test_says_what_to_do_instead_and_makes_nothing(
        self, words: tuple[str, ...], old: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert old("create", "-d", "fake", *words, "node1") == 2
        assert re.fullmatch(rf"error: --old-keypath .*\nhint: {re.escape(WHY)}\n", capsys.readouterr().err)
        assert not (tmp_path / "cloud").exists()
        assert not (tmp_path / "store").exists()

    def test_that_is_not_given_is_nothing_to_the_driver(self) -> None:
        assert options_instance("fake", OfAnotherTool, {}, (), {}) == OfAnotherTool()

    def test_is_not_what_a_slip_of_the_pen_is_taken_for(self) -> None:
        with pytest.raises(UsageFault) as caught:
            options_instance("fake", OfAnotherTool, {}, ("fake-keypat=x",), {})
        assert "keypath" not in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("words", "driver"),
    [
        (["-d", "ssh", "n"], "ssh"), (["n", "--driver", "ssh"], "ssh"), (["--driver=ssh"], "ssh"),
        (["-dssh"], "ssh"), (["-d=ssh"], "ssh"), (["-d", "a", "-d", "b"], "b"), (["n"], None),
        (["--", "-d", "ssh"], None), (["-d"], None), (["--dry-run"], None), (["--debug"], None),
    ],
)  # fmt: skip
def test_the_driver_is_found_before_its_options_are_known(words: list[str], driver: str | None) -> None:
    assert named_driver(words) == driver


def test_only_what_is_given_changes() -> None:
    assert spec_changes({"version": None, "labels": (), "set_hostname": None}) == {}
    assert spec_changes({"set_hostname": False, "port": 2377}) == {"set_hostname": False, "port": 2377}


def test_a_whole_specification(tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text('{"log-driver": "local"}')
    given = {
        "install": "docker", "version": "5:26.1.5-1~debian.13~trixie", "channel": "test", "opts": ("mtu=1450",),
        "labels": ("rack=7", "empty="), "env": ("A=b=c",), "insecure_registries": ("r:5000", "10.0.0.0/8", "r"),
        "registry_mirrors": ("https://m.example",), "sans": ("*.example.org", "2001:db8::1", "localhost"),
        "no_proxy": ("a, b", "c"), "http_proxy": "http://u:p@proxy:3128", "config": str(tmp_path / "daemon.json"),
    }  # fmt: skip
    assert new_spec(given, {}) == EngineSpec(
        install="docker", version="5:26.1.5-1~debian.13~trixie", channel="test", opts=("mtu=1450",),
        labels=("rack=7", "empty="), env=("A=b=c",), insecure_registries=("r:5000", "10.0.0.0/8", "r"),
        registry_mirrors=("https://m.example",), sans=("*.example.org", "2001:db8::1", "localhost"),
        no_proxy=("a", "b", "c"), http_proxy="http://u:p@proxy:3128", config={"log-driver": "local"},
    )  # fmt: skip


def test_mirrors_of_a_new_machine_come_from_the_variable_of_docker_machine_unless_given() -> None:
    environ = {"ENGINE_REGISTRY_MIRROR": "https://a,https://b"}
    assert new_spec({}, environ).registry_mirrors == ("https://a", "https://b")
    assert new_spec({"registry_mirrors": ("https://c",)}, environ).registry_mirrors == ("https://c",)


def test_the_port_of_a_new_machine_comes_from_the_variable_of_docker_machine_unless_given() -> None:
    assert new_spec({}, {"GENERIC_ENGINE_PORT": "2377"}).port == 2377
    assert new_spec({"port": 2378}, {"GENERIC_ENGINE_PORT": "2377"}).port == 2378
    for text in ("x", "0", "65536"):
        with pytest.raises(UsageFault):
            new_spec({}, {"GENERIC_ENGINE_PORT": text})


def test_the_source_may_be_a_script_file_or_a_url(tmp_path: Path) -> None:
    (tmp_path / "install.sh").write_text("echo hello\n")
    script = spec_changes({"install": str(tmp_path / "install.sh")})
    assert script == {"install": "script:install.sh", "install_script": "echo hello\n"}
    url = "https://get.example/docker.sh"
    assert spec_changes({"install": url}) == {"install": url, "install_script": None}


def test_docker_machines_option_of_a_source_is_another_name_of_ours() -> None:
    url = "https://get.example/docker.sh"
    for words, source in {("--engine-install-url", url): url, ("--engine-install", "distro"): "distro"}.items():
        assert provision.make_context("provision", list(words), obj=App(Wiring())).params["install"] == source


def test_the_source_of_a_new_machine_comes_from_an_option_or_else_from_a_variable() -> None:
    url = "https://get.example/docker.sh"
    ours, theirs = {"PYMACHINE_ENGINE_INSTALL": "distro"}, {"MACHINE_DOCKER_INSTALL_URL": url}
    assert new_spec({}, ours | theirs).install == "distro"
    assert new_spec({}, theirs | {"PYMACHINE_ENGINE_INSTALL": ""}).install == url
    assert new_spec({"install": url}, ours).install == url
    assert new_spec({"install": "docker"}, ours | theirs).install == "docker"


def test_flags_are_put_back_to_what_a_new_machine_has() -> None:
    ctx = click.Context(provision, **provision.context_settings)
    assert defaults_of(ctx, ["engine-label", "--engine-port"]) == {"labels": (), "port": 2376}
    assert defaults_of(ctx, ["engine-install-url"]) == {"install": "auto", "install_script": None}
    assert defaults_of(ctx, ["set-hostname"]) == {"set_hostname": None}


@pytest.mark.parametrize("flag", ["dry-run", "ssh-host-key", "engine-lable", ""])
def test_only_options_of_the_engine_can_be_put_back(flag: str) -> None:
    with pytest.raises(UsageFault, match="engine option") as caught:
        defaults_of(click.Context(provision, **provision.context_settings), [flag])
    assert "engine-label" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "given",
    [
        {"install": "/"}, {"install": "auto "}, {"install": "http://u:p@x y/z"}, {"install": "ftp://u:p@x"},
        {"config": "/"}, {"version": "26.1; rm"}, {"port": 70000},
        {"channel": "a b"}, {"storage_driver": "../x"}, {"labels": ("=v",)}, {"env": ("A B=c",)},
        {"env": ("A=b\rC=d",)}, {"env": ("A",)},
        {"registry_mirrors": ("ftp://m",)}, {"registry_mirrors": ("https://",)}, {"registry_mirrors": ("https://m:x",)},
        {"insecure_registries": ("r:0",)}, {"sans": ("*",)}, {"sans": ("a_b c",)}, {"repo_url": "mirror/debian"},
        {"opts": ("log-driver",)}, {"opts": ("tlsverify=false",)},
        {"http_proxy": "proxy:3128"}, {"https_proxy": "https://pro xy"},
    ],
    ids=lambda given: re.sub(r"\W+", " ", str(given)),
)  # fmt: skip
def test_values_that_cannot_be_are_refused_with_a_hint(given: dict[str, Any]) -> None:
    with pytest.raises(UsageFault) as caught:
        spec_changes(given)
    assert caught.value.hint
