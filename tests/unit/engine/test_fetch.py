"""The host fetches a file with a password that no account sees among the words of a process."""

from __future__ import annotations

import base64
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from typing_extensions import override

from patience import LIMIT
from pymachine.engine.host_facts import HostFacts
from pymachine.engine.setup import plan_setup
from pymachine.errors import UsageFault
from pymachine.model import EngineSpec, Machine
from pymachine.redaction import hidden_in_url
from pymachine.templates import render, sh

TRIXIE = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian 13"\n'
CONTENT = b"#!/bin/sh\n"


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Gives the file to whoever shows a user and a password; ``shown`` are those."""
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            self.send_response(200 if given else 401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            # Without a length, wget takes the connection for one that stays open, and asks again on it.
            self.send_header("Content-Length", str(len(CONTENT) if given else 0))
            self.send_header("Connection", "close")
            self.end_headers()
            if given:
                shown.append(base64.b64decode(given).decode())
                self.wfile.write(CONTENT)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.shown = shown  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "password", ["hush-hush", 'a"b', "a\\b\\", "a b#c?d", "a@b:c/d", "100%$HOME`id`", "'", "größe"]
)
@pytest.mark.parametrize("tool", ["curl", "wget"])
def test_the_password_reaches_the_server_and_no_command_line(
    tool: str, password: str, server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not on this computer")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "sed", "cat", "rm"):
        (tools / name).symlink_to(shutil.which(name) or name)
    (tools / tool).write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >>{sh(tmp_path / "words")}\nexec {shutil.which(tool)} "$@"\n'
    )
    (tools / tool).chmod(0o755)
    url = f"http://reader:{quote(password, safe='')}@127.0.0.1:{server.server_port}/engine.sh"
    fetch = render("engine/_fetch.sh.j2", allow_http=True)
    script = f"die() {{ exit 9; }}\n{fetch}\nfetch {sh(url)} {sh(tmp_path / 'got')}\n"
    environ = {"PATH": str(tools), "HOME": str(tmp_path), "no_proxy": "*"}
    subprocess.run([tools / "sh"], input=script.encode(), env=environ, check=True, timeout=LIMIT)
    assert (tmp_path / "got").read_bytes() == CONTENT
    assert server.shown == [f"reader:{password}"]  # type: ignore[attr-defined]
    words = (tmp_path / "words").read_text()
    assert "reader" not in words
    assert str(server.server_port) not in words


BUSYBOX = """#!/bin/sh
case $1 in --help) echo 'BusyBox v1.36.1. --spider URL: $? is 0, u@h' >&2; exit 1 ;; esac
printf '%s\\n' "$@" >>"$0.words"
while [ $# -gt 1 ]; do case $1 in -O) : >"$2" ;; esac; shift; done
"""


@pytest.mark.parametrize(
    ("url", "fetched"),
    [
        ("https://u:hush@mirror/engine.sh", False),
        ("https://hush@mirror/engine.sh", False),
        ("https://mirror/engine.sh?token=hush", False),
        ("https://mirror/engine.sh", True),
    ],
)
def test_a_wget_that_reads_no_url_from_its_input_is_not_given_a_secret(
    url: str, fetched: bool, tmp_path: Path
) -> None:
    wget = tmp_path / "wget"
    wget.write_text(BUSYBOX)
    wget.chmod(0o755)
    script = (
        f'die() {{ echo "$1"; exit 9; }}\n{render("engine/_fetch.sh.j2", allow_http=True)}\nfetch {sh(url)} got\n'
    )
    done = subprocess.run(
        [shutil.which("sh") or "sh"], input=script, env={"PATH": str(tmp_path)}, cwd=tmp_path, text=True,
        capture_output=True, check=False, timeout=LIMIT,
    )  # fmt: skip
    words = tmp_path / "wget.words"
    assert done.returncode == (0 if fetched else 9)
    assert words.exists() == fetched
    assert "hush" not in done.stdout + done.stderr


def plan(install: str = "auto", **spec: str) -> str:
    facts = HostFacts.assumed(TRIXIE, hostname="host")
    made = plan_setup(Machine("node1", "id-1", "ssh", engine=EngineSpec(install=install, **spec)), facts)  # type: ignore[arg-type]
    return f"{made.source.title} {made.changes} {made.announcements} {made.manifest.text()}"


@pytest.mark.parametrize(
    "url", ["http://u:hush@h/x", "https://u:hu@sh@h/x", "https://hush@h/x", "https://:hush@h:8/x"]
)
def test_no_view_of_a_plan_has_the_password(url: str) -> None:
    assert "h/x" in plan(url).replace(":8", "")
    assert "hush" not in plan(url)
    assert "sh@" not in plan(url)
    assert "hush" not in plan(repo_url=url)


def test_a_password_that_no_package_manager_takes_is_refused() -> None:
    with pytest.raises(UsageFault) as caught:
        plan(repo_url="https://u:hush%20hush@mirror/docker")
    assert "hush" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://u:p@h/a and http://v:q@i", "http://***@h/a and http://***@i"),
        ("http://u:p@ss@h/a@b", "http://***@h/a@b"),
        ("https://h/a@b?c=d@e", "https://h/a@b?c=d@e"),
    ],
)
def test_users_in_urls_are_hidden_up_to_the_last_at(text: str, shown: str) -> None:
    assert hidden_in_url(text) == shown
