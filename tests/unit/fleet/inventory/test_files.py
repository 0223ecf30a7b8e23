"""Inventories in files, folders and standard input; the files and commands that they name; init."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from patience import gives_up
from pymachine.cli import main
from pymachine.cli.app import App
from pymachine.cli.dependencies import Wiring
from pymachine.cli.inventory_files import LocalPaths, read_inventory, secret_of, sources_of
from pymachine.errors import PymachineError, UsageFault
from pymachine.fleet.inventory import SecretSource
from pymachine.model import Machine, Phase, SshAddress
from pymachine.store.sqlite import SqliteStore

TEXT = "fleet: f\nmachines: [{name: n, driver: ssh, ssh: {host: h}}]\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MACHINE_STORAGE_PATH", str(tmp_path / "store"))
    return tmp_path


@pytest.mark.parametrize("name", ["pymachine.yaml", "pymachine.yml", "fleet.yaml", "fleet.yml"])
def test_the_inventory_of_the_current_folder_is_found(here: Path, name: str) -> None:
    (here / name).write_text(TEXT)
    fleet = read_inventory(App(Wiring()), []).fleet
    assert (fleet.name, fleet.folder) == ("f", str(here))


def test_without_an_inventory_the_way_to_one_is_told(here: Path) -> None:
    with pytest.raises(UsageFault) as caught:
        sources_of([])
    assert "pymachine init" in str(caught.value.hint)


def test_a_folder_stands_for_its_yaml_files_in_order(here: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.txt"):
        (here / name).write_text(name)
    (here / "d.yaml").mkdir()
    assert [(Path(one.name).name, one.text) for one in sources_of([str(here)])] == [("a.yaml",) * 2, ("b.yml",) * 2]


@pytest.mark.parametrize("name", ["nowhere.yaml", "empty", "bytes.yaml"])
def test_what_cannot_be_read_is_a_usage_fault(here: Path, name: str) -> None:
    (here / "empty").mkdir()
    (here / "bytes.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageFault, match=name):
        sources_of([name])


def test_standard_input_is_read_for_a_dash(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert read_inventory(App(Wiring()), ["-"]).fleet.folder == str(here)


def test_paths_are_relative_to_the_file_that_names_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    paths = LocalPaths()
    assert paths.resolve("sub/f.yaml", "x/../y") == str(here / "sub/y")
    assert paths.resolve("-", "y") == str(here / "y")
    assert paths.resolve("sub/f.yaml", "~/k") == "/home/ann/k"
    assert paths.resolve("sub/f.yaml", "/k") == "/k"


def test_files_that_cannot_be_used_are_told_apart(here: Path) -> None:
    (here / "file").write_text("x")
    (here / "folder").mkdir()
    assert LocalPaths().fault(str(here / "file")) is None
    assert LocalPaths().fault(str(here / "none"))
    assert LocalPaths().fault(str(here / "folder"))
    assert "chmod +x" in str(LocalPaths().fault(str(here / "file"), executable=True))


def test_a_secret_is_what_a_command_prints_in_the_folder_of_the_file(here: Path) -> None:
    words = (sys.executable, "-c", "import os; print(os.environ['A'], os.getcwd())")
    assert secret_of(SecretSource(str(here), words=words), {**os.environ, "A": "x y"}) == f"x y {here}"


def test_a_secret_is_a_files_text_without_the_newline_at_its_end(here: Path) -> None:
    (here / "s").write_text("hunter2\n")
    assert secret_of(SecretSource(str(here), path=str(here / "s")), {}) == "hunter2"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("false",), "code 1"),
        (("/nowhere/pass",), "/nowhere/pass "),
        (("printf", r"\377"), "not text"),
        (("head", "-c", "70000", "/dev/zero"), "longer than 64 KiB"),
    ],
)
def test_a_command_without_a_secret_is_explained(here: Path, words: tuple[str, ...], why: str) -> None:
    with pytest.raises(PymachineError, match=why):
        secret_of(SecretSource(str(here), words=words), os.environ)


def test_a_command_that_prints_nothing_in_its_time_is_ended(here: Path) -> None:
    """Also when what it started keeps its output open."""
    with gives_up(), pytest.raises(PymachineError, match="within 0 s"):
        secret_of(SecretSource(str(here), words=("sh", "-c", "sleep 600 & wait")), os.environ, 0.2)


def test_warnings_go_to_standard_error(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "f.yaml").write_text(TEXT.replace("ssh: {host: h}", "ssh: {host: h}, engine: {env: {TOKEN: abc}}"))
    assert main(["inventory", "check", "-f", "f.yaml"]) == 0
    assert capsys.readouterr().err.startswith("warning: f.yaml:2:")


def test_init_never_overwrites(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "pymachine.yaml").write_text("mine")
    assert main(["init"]) == 3
    assert (here / "pymachine.yaml").read_text() == "mine"
    assert " already" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["x.yaml"], ["x.yml", "root@a", "b:2222"], ["--fleet", "shop"]])
def test_what_init_writes_passes_the_check(here: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", *words]) == 0
    (written,) = [path for path in here.iterdir() if path.suffix in (".yaml", ".yml")]
    assert main(["inventory", "check", "-f", str(written)]) == 0
    assert capsys.readouterr().err == ""


def test_init_takes_a_docker_machine_store(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = here / "old/machines/box"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"DriverName": "generic", "Driver": {"IPAddress": "10.0.0.5"}}))
    assert main(["init", "--from-docker-machine", "old"]) == 0
    assert main(["inventory", "check"]) == 0
    assert "1 machine" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["a.yaml", "b.yaml"], ["--from-docker-machine", "nowhere"], ["a b"], ["--from-docker-machine", "x", "root@a"],
     ["--fleet", "a_b"], ["nofolder/x.yaml"]],
)  # fmt: skip
def test_wrong_words_of_init_write_nothing(here: Path, words: list[str]) -> None:
    assert main(["init", *words]) == 2
    assert list(here.iterdir()) == []


def test_the_export_takes_addresses_of_machines_on_record(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "fleet.yaml").write_text(
        "fleet: f\ndefaults: {driver: kvm}\nmachines: [{name: a}, {name: b}, {name: c}]\n"
    )
    with SqliteStore.open(here / "store") as store:
        found = {"kvm": "10.9.0.1", "other": "10.9.0.2"}
        for name, fleet, host in (("a", "f", found["kvm"]), ("b", "other", found["other"])):
            address = SshAddress(host, user="pymachine", key_path="ssh_login_key")
            store.put(Machine(name, name, "kvm", Phase.READY, ssh=address, fleet=fleet))
        folder = store.client_folder("a")
    assert main(["inventory", "export", "--format", "ssh-config"]) == 0
    shown = capsys.readouterr()
    assert f'Host a\n  HostName 10.9.0.1\n  User pymachine\n  IdentityFile "{folder}/ssh_login_key"' in shown.out
    assert "10.9.0.2" not in shown.out
    assert shown.err.startswith("note: 2 machines ")
    assert shown.err.endswith(": b, c\n")
