"""What is said of certificates that engine and client refuse, and how our own command line is repeated."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from patience import LIMIT
from pymachine.cli import main, shells
from pymachine.cli.client_env import file_faults, has_expired, is_refused, program
from pymachine.cli.dependencies import Wiring
from pymachine.errors import TlsError
from pymachine.model import Certificates, Endpoint, Machine, Phase
from pymachine.store.sqlite import SqliteStore
from pymachine.tls import summary, verify_set

NOW = 1_795_564_800.0  # 2026-11-25
LATER, PAST = "2036-11-25T00:00:00+00:00", "2026-11-24T23:59:59+00:00"
READY = Machine("node1", "id1", "fake", Phase.READY, endpoint=Endpoint("192.0.2.7"))


def dated(begin: int, end: int) -> bytes:
    """A certificate that counts from this day on, and until that one, as counted from ``NOW``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = dt.datetime.fromtimestamp(NOW, dt.UTC)
    first, last = now + dt.timedelta(begin), now + dt.timedelta(end)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), first, last)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def run(folder: Path, machine: Machine, *words: str, secrets: Mapping[str, bytes] | None = None) -> int:
    """Run a command with this machine on record."""
    with SqliteStore.open(folder) as store:
        old = store.find(machine.name)
        store.put(machine if old is None else machine.with_(rev=old.rev), secrets=secrets or {})
        if secrets:
            store.materialise(machine.name)
    wiring = Wiring(now=lambda: NOW, replace=lambda *_: None)
    return main(["-s", str(folder), *words], wiring=wiring)


COMMANDS = [("env", "node1"), ("config", "node1"), ("env", "--json", "node1"), ("docker", "node1", "ps")]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("ended", ["client_expires", "ca_expires", "server_expires"])
def test_a_certificate_on_record_that_ended_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], ended: str
) -> None:
    ends = {"ca_expires": LATER, "server_expires": LATER, "client_expires": LATER, ended: PAST}
    certificates = Certificates("a", "b", "c", ends["ca_expires"], ends["server_expires"], ends["client_expires"])
    run(tmp_path, replace(READY, certificates=certificates), *words)
    err = capsys.readouterr().err
    assert " of node1 expired on 2026-11-24: `pymachine provision node1`" in err
    run(tmp_path, replace(READY, certificates=Certificates("a", "b", "c", LATER, LATER, LATER)), *words)
    assert "2026" not in capsys.readouterr().err


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("client", "authority", "said"),
    [
        ((-9, -1), (-9, 9), "client certificate"),
        ((-9, 9), (-9, -1), "authority"),
        ((1, 9), (-9, 9), "client certificate"),
        ((-9, 9), (1, 9), "authority"),
        ((-9, 9), (-9, 9), ""),
    ],
)
def test_the_clients_files_tell_their_dates_where_the_record_does_not(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    client: tuple[int, int],
    authority: tuple[int, int],
    said: str,
    known: bool,
) -> None:
    """Files that came with the engine have no dates on record; a clock that is behind shows in the files alone."""
    certificates = Certificates("a", "b", "c", LATER, LATER, LATER) if known else None
    files = {"cert.pem": dated(*client), "ca.pem": dated(*authority), "key.pem": b"k"}
    for words in COMMANDS:
        run(tmp_path, replace(READY, certificates=certificates), *words, secrets=files)
        err = capsys.readouterr().err
        assert (f"the {said} of node1 " in err) if said else (err == "")
        assert not said or ("'s clock" if known else "pymachine rm node1") in err


OLD, NEW, EARLY = (-9, -1), (-9, 9), (1, 9)


@pytest.mark.parametrize(
    ("authorities", "fault"),
    [
        ([OLD, NEW], ""),
        ([NEW, OLD], ""),
        ([NEW, EARLY], ""),
        ([OLD, (-9, -2)], "2026-11-24"),
        ([OLD, EARLY], "2026-11-26"),
    ],
)
def test_of_several_authorities_one_that_counts_is_enough(
    tmp_path: Path, authorities: list[tuple[int, int]], fault: str
) -> None:
    """A company that changes its authority has both in ca.pem for a while."""
    bundle = b"# one\n" + b"# another\n".join(dated(*dates) for dates in authorities)
    (tmp_path / "cert.pem").write_bytes(dated(*NEW))
    (tmp_path / "ca.pem").write_bytes(bundle)
    found = file_faults(str(tmp_path), "node1", NOW)
    assert [fault in told for told in found] == ([True] if fault else [])
    files, now = {"ca.pem": bundle}, dt.datetime.fromtimestamp(NOW, dt.UTC)
    if fault:
        with pytest.raises(TlsError, match=fault):
            verify_set(files, now=now)
    else:
        verify_set(files, now=now)
    last = max(end for _, end in authorities)
    assert summary(files).ca_expires[:10] == f"{now + dt.timedelta(last):%Y-%m-%d}"


def test_the_fast_way_leaves_what_is_refused_to_the_full_one(tmp_path: Path) -> None:
    for name, client in (("ended", (-9, -1)), ("early", (1, 9)), ("good", (-9, 9))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cert.pem").write_bytes(dated(*client))
        (tmp_path / name / "ca.pem").write_bytes(dated(-9, 9))
        document = {"name": name, "certificates": None}
        assert is_refused(document, str(tmp_path / name), NOW) is (name != "good")
    assert not is_refused({"name": "bare"}, "", NOW)
    ends = dict.fromkeys(("client_expires", "ca_expires", "server_expires"), LATER)
    assert is_refused({"certificates": ends, "created": "2026-11-26T00:00:00+00:00"}, "x", NOW)
    assert not is_refused({"certificates": ends, "created": "2026-11-24T00:00:00+00:00"}, "x", NOW)
    assert has_expired({"certificates": {**ends, "server_expires": PAST}}, NOW)


# The command line that is repeated.


def our_program(folder: Path) -> Path:
    folder.mkdir(parents=True)
    made = folder / "pymachine"
    made.write_text(f"#!{sys.executable}\nimport sys\nfrom pymachine.cli import main\nsys.exit(main())\n")
    made.chmod(0o755)
    return made


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Our program, in a folder that a shell has to quote."""
    return our_program(tmp_path / "o'neill & sons/$bin")


def test_a_program_that_path_leads_to_is_called_by_its_name(script: Path, tmp_path: Path) -> None:
    there, elsewhere = {"PATH": f"/nowhere:{script.parent}"}, {"PATH": "/nowhere"}
    assert program(there, str(script), "") == ["pymachine"]
    assert program(elsewhere, str(script), "") == [str(script)]
    linked = tmp_path / "pm"
    linked.symlink_to(script)
    assert program(elsewhere, str(linked), "") == [str(linked)]
    assert program({"PATH": str(tmp_path)}, str(linked), "") == ["pm"]
    other = tmp_path / "other/pymachine"
    other.parent.mkdir()
    shutil.copy(script, other)
    assert program({"PATH": f"{other.parent}:{script.parent}"}, str(script), "") == [str(script)]


def test_a_module_is_called_by_its_interpreter_and_a_part_of_another_program_by_name() -> None:
    assert program({}, "/site/pymachine/__main__.py", "/venv/bin/python") == ["/venv/bin/python", "-m", "pymachine"]
    for started in ("", "pymachine", "/venv/bin/pytest", "/site/pytest/__main__.py", "-c"):
        assert program({}, started, "/venv/bin/python") == ["pymachine"]


@pytest.mark.parametrize(
    ("shell", "way"),
    [
        ("sh", "path"),
        ("sh", "module"),
        ("sh", "relative"),
        ("bash", "path"),
        ("zsh", "path"),
        ("fish", "path"),
        ("tcsh", "path"),
    ],
)
def test_the_hint_of_env_can_be_typed(shell: str, way: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    script = our_program(tmp_path / ("o'neill & sons" if shell == "tcsh" else "o'neill & sons/$bin"))
    with SqliteStore.open(tmp_path / "st") as opened:
        opened.put(READY)
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    start = {"path": [str(script)], "module": [sys.executable, "-m", "pymachine"], "relative": ["./pymachine"]}[way]
    words = [*start, "-s", str(tmp_path / "st"), "env", "--shell", shell, "node1"]
    hint = _output(words, script.parent, environ).splitlines()[-1].removeprefix("# ")
    if shell == "tcsh":  # it has no comments: the hint is an argument of a command that does nothing
        hint = _output(["tcsh", "-f", "-c", f"echo{hint[1:]}"], script.parent, environ).strip()
    flags = ["-f"] if shell in ("tcsh", "zsh") else []
    typed = _output([shell, *flags, "-c", f"{hint}; printenv DOCKER_HOST"], tmp_path, environ)
    assert typed == "tcp://192.0.2.7:2376\n", hint


def _output(words: list[str], folder: Path, environ: Mapping[str, str]) -> str:
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.stderr == "", words
    return done.stdout


def test_a_line_that_csh_cannot_quote_is_not_hinted_at() -> None:
    lines = shells.text("tcsh", [("K", "v")], ["/a$b/pymachine", "env"]).splitlines()
    assert lines == ["setenv K 'v';"]


@pytest.mark.parametrize(
    ("shell", "word", "quoted"),
    [
        ("pwsh", "/o'neill/$bin", "'/o''neill/$bin'"),
        ("pwsh", "C:\\Program Files\\x", "'C:\\Program Files\\x'"),
        ("pwsh", "plain", "plain"),
        ("fish", "a\\b c'd", "'a\\\\b c\\'d'"),
    ],
)
def test_words_of_the_hint_are_quoted_for_their_shell(shell: str, word: str, quoted: str) -> None:
    assert f" {quoted} " in shells.text(shell, [], ["x", word, "y"]).splitlines()[-1]
