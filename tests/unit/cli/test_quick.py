"""The commands that are answered without click: light, and the same to the letter as with it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.cli import client_env as answers
from pymachine.cli import main, quick, quick_status
from pymachine.cli.dependencies import Wiring
from pymachine.documents import to_document
from pymachine.errors import EngineError
from pymachine.model import Certificates, Endpoint, Machine, Phase, SshAddress
from pymachine.override import override
from pymachine.proxies import no_proxy
from pymachine.store.sqlite import SqliteStore

HEAVY = {
    "click",
    "rich",
    "paramiko",
    "jinja2",
    "cryptography",
    "boto3",
    "dataclasses",
    "typing",
    "pathlib",
    "inspect",
}
LATER = "2126-11-25T00:00:00+00:00"
CERTIFICATES = Certificates("a", "b", "c", LATER, LATER, LATER)
FILES = {"ca.pem": b"a", "cert.pem": b"c", "key.pem": b"k"}
PLAIN = [
    ["env", "--shell", "sh", "node1"],
    ["env", "--shell", "fish", "--no-proxy", "node1"],
    ["url", "node1"],
    ["ip", "node1"],
    ["config", "node1"],
    ["url", "bare"],
    ["env", "--shell", "sh", "bare"],
    ["ip"],
    ["env", "--shell=sh"],
    ["env", "--no-proxy", "--shell", "bash", "NODE1"],
    ["ls", "-q"],
    ["ls", "--quiet"],
    ["--version"],
    ["-v"],
    ["--help"],
    ["-h"],
    [],
    ["-D"],
    ["--progress", "plain", "--version"],
]
GLOBALS = [
    ["-s", "{}"],
    ["--storage-path={}"],
    ["--storage-path", "{}"],
    ["-D"],
    ["--debug"],
    ["--progress", "json"],
    ["--progress=none"],
    ["-D", "-s", "{}", "--progress", "auto"],
    ["-s", "elsewhere", "-s", "{}"],
    ["-s", ""],
]
UNPLAIN = [
    ["--progress", "loud", "url", "node1"], ["-s"], ["url", "-s"], ["ls", "-q", "node1"], ["--nonsense", "url"],
    ["url", "node1", "node2"], ["--storage", "x", "url"], ["-qs", "x", "ls"], ["--quiet", "ls"], ["url", "--", "-x"],
    ["env", "--shell", "nosuch", "node1"], ["config", "--shell", "sh"], ["--debug=maybe", "url"],
    ["--shell", "sh", "env"],
]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    monkeypatch.setenv("MACHINE_STORAGE_PATH", str(tmp_path))
    with SqliteStore.open(tmp_path) as store:
        for name, host in (("node1", "192.0.2.7"), ("default", "2001:db8::5")):
            known = Machine(name, name, "ssh", Phase.READY, endpoint=Endpoint(host), certificates=CERTIFICATES)
            store.put(known, secrets=FILES)
            store.materialise(name)
        store.put(Machine("bare", "bare", "none", Phase.READY, endpoint=Endpoint("192.0.2.8")))
        yield store


def _modules(*words: str) -> set[str]:
    """Run a command in a fresh interpreter and return the modules it loaded beyond those of an empty program."""
    program = "import sys; sys.argv = ['pymachine', *{!r}]; before = set(sys.modules); " + (
        "from pymachine.cli import main; main(); sys.stderr.write(' '.join(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program.format(words)], capture_output=True, text=True, check=True, timeout=LIMIT
    )
    assert done.stdout, "the command must have printed its answer"
    return set(done.stderr.split())


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("words", PLAIN, ids=" ".join)
def test_nothing_heavy_is_loaded(words: list[str]) -> None:
    loaded = _modules(*words)
    assert not loaded & HEAVY
    ours = {module for module in loaded if module.startswith("pymachine")}
    assert "pymachine.cli.client_env" in ours
    assert ours <= {
        "pymachine.store.names",
        "pymachine", "pymachine.cli", "pymachine.cli.quick", "pymachine.cli.client_env", "pymachine.cli.shells",
        "pymachine.store", "pymachine.store.location", "pymachine.store.lookup", "pymachine.store.schema",
        "pymachine.strict_json", "pymachine.proxies",
    }  # fmt: skip


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("words", [["ls", "-q"], ["inspect", "node1"], ["active", "-h"]], ids=" ".join)
def test_reading_the_store_loads_no_network_and_no_templates(words: list[str]) -> None:
    assert not _modules(*words) & {"paramiko", "jinja2", "cryptography", "rich", "boto3"}


def test_a_list_whose_engines_all_answer_loads_no_driver(store: SqliteStore) -> None:
    store.put(Machine("ec2", "ec2", "aws", Phase.READY, handle={}, endpoint=Endpoint("192.0.2.9")), secrets=FILES)
    program = (
        "import sys\n"
        "from pymachine.cli import main\n"
        "from pymachine.cli.dependencies import Wiring\n"
        "from pymachine.engine.client import EngineAnswer\n"
        "answer = EngineAnswer('26.1.5', '1.45', '1.24', 'linux', 'amd64', 0.01)\n"
        "main(['ls'], wiring=Wiring(ask_engine=lambda *a, **k: answer))\n"
        "sys.stderr.write(' '.join(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=LIMIT)
    assert "ec2" in done.stdout
    loaded = set(done.stderr.split())
    assert not loaded & {"boto3", "botocore", "libvirt", "paramiko", "jinja2"}
    assert not {module for module in loaded if module.startswith(("pymachine_aws", "pymachine_kvm"))}


def _both(
    words: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[tuple[int, str, str], tuple[int, str, str]]:
    """Run a line as it is answered and by the full command line: exit code, output and errors of each."""
    monkeypatch.setenv("no_proxy", "localhost")
    code = main(words)
    first = capfd.readouterr()
    full = main(words, wiring=Wiring())
    second = capfd.readouterr()
    return (code, first.out, first.err), (full, second.out, second.err)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("words", PLAIN, ids=" ".join)
def test_both_ways_print_the_same(
    words: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, full = _both(words, capfd, monkeypatch)
    assert quick == full
    assert quick[0] == 0
    assert quick[1]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("given", GLOBALS, ids=" ".join)
@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize(
    "words", [PLAIN[0], ["url", "node1"], ["ip"], ["config", "node1"], ["ls", "-q"]], ids=" ".join
)
def test_global_options_are_answered_on_the_same_way(
    words: list[str], behind: bool, given: list[str], tmp_path: Path,
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if given != ["-s", ""] and any("{}" in word for word in given):
        monkeypatch.setenv("MACHINE_STORAGE_PATH", str(tmp_path / "another"))
    given = [word.format(tmp_path) for word in given]
    line = [words[0], *given, *words[1:]] if behind else [*given, *words]
    assert quick.answer(line, os.environ), "it must be answered without click"
    first, full = _both(line, capfd, monkeypatch)
    assert first == full
    assert first[0] == 0


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("words", UNPLAIN, ids=" ".join)
def test_what_is_not_plain_is_left_to_click(
    words: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quick.answer(words, os.environ) is None
    first, full = _both(words, capfd, monkeypatch)
    assert first == full
    assert first[0] != 0


@pytest.mark.parametrize("columns", ["40", "79", "80", "200", "-3", "wide"])
def test_help_is_as_wide_as_click_makes_it(
    columns: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """help.txt is what click writes: `COLUMNS=80 pymachine help > machine/pymachine/cli/help.txt` writes it again."""
    monkeypatch.setenv("COLUMNS", columns)
    first, full = _both(["--help"], capfd, monkeypatch)
    assert first == full


def test_a_store_that_has_to_be_made_or_closed_is_not_listed_without_opening_it(
    store: SqliteStore, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o755)
    assert quick.answer(["ls", "-q"], os.environ) is None
    assert main(["ls", "-q"]) == 0
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert capfd.readouterr().out == "bare\ndefault\nnode1\n"
    missing = tmp_path / "missing"
    assert main(["-s", str(missing), "ls", "-q"]) == 0
    assert (missing / "state.db").exists()


def test_half_made_and_unknown_machines_are_left_to_the_full_command_line(
    store: SqliteStore, capfd: pytest.CaptureFixture[str]
) -> None:
    store.put(Machine("half", "half", "ssh", Phase.REACHABLE, endpoint=Endpoint("192.0.2.9")))
    assert main(["url", "half"]) == 1
    assert "hint: " in capfd.readouterr().err
    assert main(["url", "none"]) == 4


def test_a_store_that_cannot_be_read_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state.db").write_bytes(b"no database" * 100)
    tmp_path.chmod(0o700)
    monkeypatch.setenv("MACHINE_STORAGE_PATH", str(tmp_path))
    assert main(["env", "node1"]) == 1
    seen = capfd.readouterr()
    assert seen.out == ""
    assert seen.err.startswith("error: ")
    assert "hint: " in seen.err


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::5", "node1.example.org"])
def test_the_address_is_that_of_the_model(host: str) -> None:
    machine = Machine("n", "i", "d", endpoint=Endpoint(host, 1234))
    assert answers.url_of(to_document(machine)) == Endpoint(host, 1234).url


def test_the_address_of_a_half_made_machine_is_what_is_known() -> None:
    assert answers.address_of(to_document(Machine("n", "i", "d", ssh=SshAddress("inner")))) == "inner"
    assert answers.address_of(to_document(Machine("n", "i", "d", addresses=("192.0.2.1",)))) == "192.0.2.1"
    assert answers.address_of(to_document(Machine("n", "i", "d"))) == ""


@pytest.mark.parametrize(
    ("environ", "values"),
    [
        ({}, [("NO_PROXY", "10.0.0.1")]),
        ({"NO_PROXY": "10.0.0.10"}, [("NO_PROXY", "10.0.0.10,10.0.0.1")]),
        ({"no_proxy": " a , 10.0.0.1 "}, [("no_proxy", "a,10.0.0.1")]),
        ({"NO_PROXY": "a", "no_proxy": "b"}, [("NO_PROXY", "a,10.0.0.1"), ("no_proxy", "b,10.0.0.1")]),
        ({"NO_PROXY": ""}, [("NO_PROXY", "10.0.0.1")]),
    ],
)
def test_proxies_are_compared_by_whole_entries(environ: dict[str, str], values: list[tuple[str, str]]) -> None:
    assert no_proxy("10.0.0.1", environ) == values


def test_what_a_terminal_would_obey_is_left_to_the_full_command_line(
    store: SqliteStore, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(Machine("odd", "odd", "none", Phase.READY, endpoint=Endpoint("host\x1b[31m")))
    quick, full = _both(["url", "odd"], capfd, monkeypatch)
    assert quick == full
    assert "\x1b" not in quick[1]


class _Engine(BaseHTTPRequestHandler):
    """Answers as an engine does, or with the status that its server is told."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Engines)
        server.asked += 1
        body = b'{"Version": "26.1.5", "ApiVersion": "1.45", "Os": "linux", "Arch": "amd64"}'
        self.send_response(server.answers)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Engines(ThreadingHTTPServer):
    asked = 0
    answers = 200


@pytest.fixture
def engine(store: SqliteStore) -> Iterator[_Engines]:
    """The engine of machine "live"."""
    with _Engines(("127.0.0.1", 0), _Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"tcp://127.0.0.1:{server.server_port}"
        endpoint = Endpoint("127.0.0.1", server.server_port)
        store.put(Machine("live", "live", "none", Phase.READY, handle={"url": url}, endpoint=endpoint))
        yield server
        server.shutdown()


def test_the_state_of_an_engine_that_answers_needs_no_click(engine: _Engines) -> None:
    loaded = _modules("status", "live")
    assert engine.asked == 1
    assert not loaded & (HEAVY - {"dataclasses", "typing", "pathlib", "inspect"})
    ours = {module for module in loaded if module.startswith("pymachine")}
    assert not {module for module in ours if module.startswith(("pymachine.driver", "pymachine.swarm_api"))}
    assert not ours & {"pymachine.cli.root", "pymachine.store.sqlite", "pymachine.probe", "pymachine.registry"}


@pytest.mark.parametrize(("answers", "state"), [(200, "Running"), (500, "Error")])
def test_a_state_is_the_same_both_ways(
    answers: int, state: str, engine: _Engines, capfd: pytest.CaptureFixture[str]
) -> None:
    engine.answers = answers
    code = main(["status", "live"])
    first, asked = capfd.readouterr(), engine.asked
    assert first.out == f"{state}\n"
    assert main(["status", "live"], wiring=Wiring()) == code
    assert capfd.readouterr() == first
    assert engine.asked == 2 * asked, "an engine without an answer is not asked once more"


def test_a_state_that_nobody_tells_is_the_same_both_ways(
    store: SqliteStore, engine: _Engines, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = engine.server_port
    engine.shutdown()
    engine.server_close()
    store.put(Machine("gone", "gone", "none", Phase.READY, handle={}, endpoint=Endpoint("127.0.0.1", port)))
    for name in ("live", "gone", "half", "nosuch"):
        first, full = _both(["status", name], capfd, monkeypatch)
        assert first == full


def test_what_an_engine_cost_is_taken_off_the_time() -> None:
    silence = quick_status.Silence(EngineError("no"), 6.0)
    assert silence.words(["status", "node1"]) == ["status", "node1", "--timeout", "4.000"]
    assert quick_status.Silence(EngineError("no"), 30.0).words([])[-1] == "0.100"
    asked = silence.wiring().ask_engine
    assert asked is not None
    with pytest.raises(EngineError, match="no"):
        asked(Endpoint("192.0.2.1"), None, deadline=1.0)


def test_ctrl_c_while_an_engine_is_asked_is_said_in_one_line(
    engine: _Engines, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pymachine.engine.client.ask", interrupt)
    assert main(["status", "live"]) == 130
    assert capfd.readouterr() == ("", "error: interrupted\nhint: `pymachine ls` shows what is on record\n")
