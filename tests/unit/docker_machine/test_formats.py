"""``--format`` of ``ls`` and ``inspect``: docker-machine's names and ours, tables, JSON and YAML."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.docker_machine.view import _duration, config_of
from pymachine.engine.client import EngineAnswer
from pymachine.model import Endpoint, EngineSpec, Machine, Phase, SshAddress
from pymachine.store.client_files import LOGIN_KEY
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_driver import FakeCloud

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give a command to a store with two machines, of which one answers, and return what it prints."""
    store = SqliteStore.open(tmp_path)
    spec = EngineSpec(
        labels=("rack=7",), env=("TOKEN=hush",), registry_mirrors=("https://u:hush@mirror.example.org",)
    )
    for name, host in (("node10", "192.0.2.10"), ("node2", "2001:db8::2")):
        ssh = SshAddress(host, 2222, "admin", LOGIN_KEY)
        store.put(Machine(name, f"id-{name}", "ssh", Phase.READY, ssh=ssh, endpoint=Endpoint(host), engine=spec))
    store.close()

    def ask(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> EngineAnswer:
        return EngineAnswer("26.1.5", "1.45", "1.24", "linux", "amd64", 0.0124)

    def given(*words: str, code: int = 0) -> str:
        cloud = FakeCloud()
        wiring = Wiring(ask_engine=ask, load_driver=lambda _: cloud.driver())
        assert main(["-s", str(tmp_path), *words], wiring=wiring) == code
        found = capsys.readouterr()
        return found.out if code == 0 else found.err

    return given


def test_a_list_is_printed_by_a_template(run: Run) -> None:
    template = "{{.Name}} {{.DriverName}} {{.State}} {{.URL}} {{.DockerVersion}} {{.ActiveHost}}"
    assert run("ls", "-f", template).splitlines() == [
        "node2 generic Running tcp://[2001:db8::2]:2376 v26.1.5 false",
        "node10 generic Running tcp://192.0.2.10:2376 v26.1.5 false",
    ]
    assert run("ls", "--format", "{{.name}} {{.engine}} {{.driver}}").splitlines()[0] == "node2 26.1.5 ssh"


def test_a_table_has_docker_machines_headers(run: Run) -> None:
    lines = run("ls", "-f", r"table {{.Name}}\t{{.DriverName}}\t{{.Error}}").splitlines()
    assert lines[0].split() == ["NAME", "DRIVER", "ERRORS"]
    assert lines[1].split() == ["node2", "generic"]
    assert lines[0].index("DRIVER") == lines[1].index("generic") == lines[2].index("generic")


def test_inspect_has_the_names_of_both(run: Run) -> None:
    template = "{{.Driver.IPAddress}} {{.Driver.SSHPort}} {{.DriverName}} {{.endpoint.port}} {{.name}} {{.Nothing}}"
    assert run("inspect", "-f", template, "node10") == "192.0.2.10 2222 generic 2376 node10 <no value>\n"
    assert run("inspect", "-f", "{{json .Driver.SSHUser}}", "node10") == '"admin"\n'
    assert len(run("inspect", "-f", "{{prettyjson .Driver}}", "node10").splitlines()) > 1


def test_the_path_that_callers_take_certificates_from_is_the_clients_folder(run: Run, tmp_path: Path) -> None:
    folder = str(tmp_path / "certs/node10")
    assert run("inspect", "-f", "{{.HostOptions.AuthOptions.StorePath}}", "node10") == f"{folder}\n"
    assert run("inspect", "--format", "{{.Driver.SSHKeyPath}}", "node10") == f"{folder}/{LOGIN_KEY}\n"


def test_no_secret_is_in_a_view(run: Run) -> None:
    assert "hush" not in run("inspect", "-f", "{{json .}}", "node2")
    assert "hush" not in run("ls", "-f", "{{json .EngineOptions}}")
    assert "rack=7" in run("ls", "-f", "{{json .EngineOptions}}")


def test_json_and_yaml_are_formats_too(run: Run) -> None:
    rows = json.loads(run("ls", "-f", "json"))
    assert [row["name"] for row in rows] == ["node2", "node10"]
    assert [row["name"] for row in yaml.safe_load(run("ls", "-f", "yaml"))] == ["node2", "node10"]
    record = yaml.safe_load(run("inspect", "-f", "yaml", "node2"))
    assert (record["name"], record["schema_version"]) == ("node2", 1)


@pytest.mark.parametrize(
    "template", ["{{.Nope}}", "{{", "{{template \"x\"}}", "{{html .Name}}", "{{.Name.X}}", "{{range}}"]
)  # fmt: skip
def test_a_template_that_is_not_valid_or_does_not_fit_is_a_usage_error(run: Run, template: str) -> None:
    assert run("ls", "-f", template, code=2).startswith("error: ")


def test_what_a_template_prints_cannot_command_the_terminal(run: Run) -> None:
    assert "\x1b" not in run("ls", "-f", '{{"\\x1b[2J"}}')


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.0124, "12ms"), (0.9996, "1s"), (1.5, "1.5s"), (61.25, "1m1.25s"), (600, "10m0s")],
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert _duration(seconds) == text


def test_options_of_a_driver_have_the_types_of_docker_machines() -> None:
    aws = {
        "aws_instance_type": ["t3.small", "t3.medium"], "aws_zone": [], "aws_region": None, "aws_root_size": "16G",
        "aws_open_port": ["80/tcp"], "aws_spot": True, "aws_key_pair": "x",
    }  # fmt: skip
    handle = {"instance": "i-0123456789abcdef0", "key_pair": "web", "region": "eu-west-1"}
    found = driver_of(Machine("web", "id", "amazonec2", options=aws, handle=handle))
    assert {
        "InstanceType": "t3.small", "Zone": "", "Region": "", "RootSize": 16, "OpenPorts": ["80/tcp"],
        "RequestSpotInstance": True, "InstanceId": "i-0123456789abcdef0", "KeyName": "web",
    }.items() <= found.items()  # fmt: skip
    sizes = {"kvm_memory": "2G", "kvm_disk": "1.5G", "kvm_cpus": 2, "kvm_network": None}
    found = driver_of(Machine("vm", "id", "kvm", options=sizes))
    assert [found[key] for key in ("Memory", "DiskSize", "CPU", "Network")] == [2048, 1536, 2, ""]


def driver_of(machine: Machine) -> dict[str, Any]:
    """What docker-machine's driver would have kept."""
    found: dict[str, Any] = config_of(machine, Path("/store"), Path("/store/certs"))["Driver"]
    return found


@pytest.mark.parametrize("value", ["", "much", "-1", "2X", None])
def test_a_size_that_is_none_counts_as_zero(value: object) -> None:
    assert driver_of(Machine("vm", "id", "kvm", options={"kvm_memory": value}))["Memory"] == 0
