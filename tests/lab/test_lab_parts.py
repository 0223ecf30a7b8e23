"""Parts of the lab that need no host: what it reads from this machine, and when it refuses."""

from __future__ import annotations

import ipaddress
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lab import sources
from lab.fixtures import impossible
from lab.ident import Process, read_json, write_json
from lab.network import choose_subnet
from lab.sh import LabError
from lab.sources import Source, apt_sources, host_sources

ONE_LINE = """\
# deb http://off.example/debian trixie main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian/ bookworm main contrib
deb http://mirror.example/debian-security bookworm-security main
deb-src http://mirror.example/debian bookworm main
"""
DEB822 = """\
Types: deb deb-src
# a comment
URIs: http://a.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
Enabled: no
"""


def test_both_forms_of_apt_sources_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/notes.txt").write_text("deb http://never.example/debian trixie main\n")
    assert apt_sources(tmp_path) == [
        Source("http://mirror.example/debian/", "bookworm"),
        Source("http://mirror.example/debian-security", "bookworm-security"),
        Source("http://a.example/debian", "trixie"),
        Source("http://a.example/debian", "trixie-updates"),
    ]


@pytest.mark.parametrize(
    ("outer", "lines"),
    [
        ([], []),
        ([Source("http://u.example/ubuntu", "noble")], []),
        ([Source("http://m.example/debian", "bookworm")], ["deb http://m.example/debian trixie main"]),
        (
            [
                Source("http://m.example/debian/", "bookworm"),
                Source("http://m.example/debian/", "bookworm-updates"),
                Source("http://m.example/debian-security", "bookworm-security"),
            ],
            [
                "deb http://m.example/debian/ trixie main",
                "deb http://m.example/debian/ trixie-updates main",
                "deb http://m.example/debian-security trixie-security main",
            ],
        ),
    ],
)
def test_hosts_get_the_same_mirror_for_their_own_suite(outer: list[Source], lines: list[str]) -> None:
    assert host_sources("trixie", outer) == lines


def test_apts_proxy_comes_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    conf = tmp_path / "apt.conf"
    conf.write_text('Acquire::http::Proxy "http://proxy.example:3128";\nAcquire::Retries "5";\nAPT::Color "1";\n')
    monkeypatch.setenv("APT_CONFIG", str(conf))
    monkeypatch.setenv("https_proxy", "http://other.example:1")
    settings = sources.apt_settings().splitlines()
    assert 'Acquire::http::Proxy "http://proxy.example:3128";' in settings
    assert 'Acquire::https::Proxy "http://other.example:1";' in settings
    assert 'Acquire::Retries "5";' in settings
    assert not any("Color" in line for line in settings)


def test_a_subnet_is_one_that_no_route_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    first = choose_subnet(random.Random(1))
    monkeypatch.setattr("lab.network._taken", lambda: [ipaddress.IPv4Network(first.v4)])
    second = choose_subnet(random.Random(1))
    assert second.v4 != first.v4
    monkeypatch.setattr("lab.network._taken", lambda: [ipaddress.IPv4Network("10.0.0.0/8")])
    with pytest.raises(LabError, match="no free"):
        choose_subnet()


def test_a_process_is_not_mistaken_for_its_successor() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = Process.of(child.pid)
        assert process.alive()
        assert not Process(child.pid, process.started + 1, process.boot).alive()
        assert not Process(child.pid, process.started, "another boot").alive()
        child.kill()
        assert process.wait(5), "a process that only waits to be reaped is over"
    with pytest.raises(ProcessLookupError):
        Process.of(child.pid)


def test_half_a_record_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "lab.json"
    assert read_json(path) is None
    path.write_text('{"id": "pml')
    assert read_json(path) is None
    write_json(path, {"id": "pml1"})
    assert read_json(path) == {"id": "pml1"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["lab.json"]


@pytest.mark.parametrize("variable", ["CI", "PYMACHINE_REQUIRE_LAB"])
def test_a_lab_that_cannot_run_fails_where_it_is_required(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    for name in ("CI", "PYMACHINE_REQUIRE_LAB"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no root"):
        impossible("no root")
    monkeypatch.setenv(variable, "1")
    with pytest.raises(pytest.fail.Exception, match="no root"):
        impossible("no root")
