"""What may be secret stays out of what commands print of a machine."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.cli.output import note
from pymachine.cli.progress import JsonReporter, PlainReporter
from pymachine.errors import StepFailed, TransportError
from pymachine.fleet.apply.logs import Logs
from pymachine.model import EngineSpec, Machine, Phase
from pymachine.redaction import machine_document, redacted
from pymachine.steps.session import reason_of
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_driver import FakeCloud

ENGINE = EngineSpec(
    install="https://ana:hunter2@mirror.example/install.sh",
    repo_url="https://hunter2@mirror.example/docker",
    http_proxy="http://u:hunter2@proxy:3128",
    https_proxy="socks5://:hunter2@proxy",
    env=("TOKEN=hunter2", "PLAIN=hunter2", "EMPTY="),
    opts=("log-opts=splunk-token=hunter2", "log-driver=splunk"),
    registry_mirrors=("https://u:hunter2@mirror",),
    config={"log-opts": {"splunk-token": "hunter2"}, "proxies": {"http-proxy": "http://u:hunter2@p"}, "debug": True},
)
MACHINE = Machine("node1", "id1", "fake", Phase.READY, engine=ENGINE, options={"fake_api_key": "hunter2", "size": 2})


def test_no_secret_is_left_and_the_rest_is() -> None:
    document = machine_document(MACHINE)
    text = json.dumps(document)
    assert "hunter2" not in text
    assert document["engine"]["env"] == ["TOKEN=***", "PLAIN=***", "EMPTY=***"]
    assert document["engine"]["opts"] == ["log-opts=splunk-token=***", "log-driver=splunk"]
    assert document["engine"]["http_proxy"] == "http://***@proxy:3128"
    assert document["engine"]["config"]["debug"] is True
    assert document["options"] == {"fake_api_key": "***", "size": 2}


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("https-proxy", "u:hunter2@proxy:3128", "***@proxy:3128"),  # dockerd takes it without a scheme
        ("opts", "http-proxy=u:hunter2@proxy:3128", "http-proxy=***@proxy:3128"),
        ("http_proxy", "proxy:3128", "proxy:3128"),
        ("mirror", "http://u:hun/ter2@host:1/x", "http://***@host:1/x"),
        ("mirror", "http://host:8080/x@2", "http://host:8080/x@2"),
    ],
)
def test_passwords_in_odd_urls_are_hidden(name: str, value: str, shown: str) -> None:
    assert redacted(value, name) == shown


@pytest.mark.parametrize(
    "option",
    [
        "--engine-insecure-registry", "--engine-registry-mirror", "--engine-opt=registry-mirror=",
        "--engine-opt=insecure-registry=", "--engine-repo-url", "--http-proxy", "--https-proxy", "--engine-install",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "url", ["ftp://u:hunter2@h", "http://u:hun/hunter2@h", "u:hunter2@h:1", "http://u:hunter2 @h"]
)
def test_a_refused_url_is_shown_without_its_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, url: str
) -> None:
    words = [option + url] if "=" in option else [option, url]
    wiring = Wiring(load_driver=lambda _: FakeCloud().driver())
    code = main(["-s", str(tmp_path), "create", "-d", "fake", "--dry-run", *words, "n"], wiring=wiring)
    told = "".join(capsys.readouterr())
    assert (code, "hunter2" in told) == (2, False), told


class Broken(Exception):
    """A bug whose text is somebody else's."""


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_what_is_kept_of_a_bug_has_no_password_and_no_orders_for_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], debug: tuple[str, ...]
) -> None:
    def load(_: str) -> Any:
        raise Broken("\x1b[2J https://u:hunter2@h/x failed for qemu+ssh://root@h/system")

    with SqliteStore.open(tmp_path) as store:
        store.put(replace(MACHINE))
    assert main([*debug, "-s", str(tmp_path), "rm", "-y", "node1"], wiring=Wiring(load_driver=load)) == 1
    (kept,) = (tmp_path / "crashes").iterdir()
    for text in ("".join(capsys.readouterr()), kept.read_text()):
        assert "hunter2" not in text
        assert "\x1b" not in text
        assert "qemu+ssh://root@h/system" in text


@pytest.mark.parametrize("value", ["", 5, None, True, "tcp://10.0.0.5:2376", "a=b", "PASSWORD_FILE=/run/x"])
def test_what_is_no_secret_stays(value: object) -> None:
    assert redacted(value, "name") == value


def test_inspect_hides_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SqliteStore.open(tmp_path) as store:
        store.put(replace(MACHINE))
    wiring = Wiring(load_driver=lambda _: FakeCloud().driver())
    assert main(["-s", str(tmp_path), "inspect", "node1"], wiring=wiring) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    assert json.loads(out)["engine"]["env"][0] == "TOKEN=***"


URL = "E: failed to fetch http://op:hunter2@mirror.example/x"


@pytest.mark.parametrize("kind", [PlainReporter, JsonReporter])
def test_no_event_tells_a_password(kind: type[PlainReporter | JsonReporter]) -> None:
    stream = io.StringIO()
    reporter = kind(stream)
    reporter.progressed("node1", "step", URL)
    reporter.finished("node1", "step", URL)
    reporter.failed("node1", "step", URL)
    reporter.notice("node1", URL)
    assert "mirror.example" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_no_note_and_no_log_has_a_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note(URL)
    logs = Logs(tmp_path, "shop")
    logs.write("node1", URL)
    written = capsys.readouterr().err + logs.path_of("node1").read_text()
    assert written.count("mirror.example") == 2
    assert "hunter2" not in written


def test_what_is_kept_of_a_failure_has_no_password() -> None:
    """The record and the journal keep this, and ``ls`` and ``inspect`` show it."""
    reason = reason_of(StepFailed("setting up the engine", TransportError(URL)))
    assert "mirror.example" in reason
    assert "hunter2" not in reason
