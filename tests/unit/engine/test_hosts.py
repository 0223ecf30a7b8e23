"""The line of 127.0.1.1 in /etc/hosts: renamed and put back, run here under the shells that hosts have."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.engine.files import loopback_line
from pymachine.templates import render

SHELLS = [shell for shell in (("dash",), ("busybox", "sh"), ("bash",)) if shutil.which(shell[0])] or [("sh",)]
LOCAL = "127.0.0.1\tlocalhost\n"


@pytest.fixture(params=SHELLS, ids=[" ".join(shell) for shell in SHELLS])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str], Path]:
    script = tmp_path / "functions.sh"
    # BusyBox has an awk of its own, which hosts with it have as well.
    own = 'awk() { busybox awk "$@"; }\n' if request.param[0] == "busybox" else ""
    script.write_text(f'{own}{render("engine/_hosts.sh.j2")}\n"$@"\n')
    return [*request.param, str(script)], tmp_path / "hosts"


def renamed(shell: tuple[list[str], Path], text: str, name: str = "node1", old: str = "host") -> str:
    words, hosts = shell
    hosts.write_text(text)
    call = [*words, "rename_in_hosts", str(hosts), name, old]
    return subprocess.run(call, capture_output=True, text=True, check=True, timeout=LIMIT).stdout


def restored(shell: tuple[list[str], Path], text: str, before: str | None, name: str = "node1") -> str:
    words, hosts = shell
    hosts.write_text(text)
    call = [*words, "restore_in_hosts", str(hosts), name, before or ""]
    return subprocess.run(call, capture_output=True, text=True, check=True, timeout=LIMIT).stdout


CASES = {
    "127.0.1.1\thost\n": "127.0.1.1\tnode1\n",
    "127.0.1.1 host.lan host\n": "127.0.1.1\tnode1\n",
    "127.0.1.1 host app.local db.local # by hand\n": "127.0.1.1\tnode1 app.local db.local # by hand\n",
    "127.0.1.1 host\n127.0.1.1 app.local\n": "127.0.1.1\tnode1\n127.0.1.1 app.local\n",
    "127.0.1.1 app.local\n127.0.1.1 host\n": "127.0.1.1 app.local\n127.0.1.1\tnode1\n",
    "127.0.1.1 app.local\n": "127.0.1.1 app.local\n127.0.1.1\tnode1\n",
    "127.0.1.1 hostess\n": "127.0.1.1 hostess\n127.0.1.1\tnode1\n",
    "#127.0.1.1 host\n": "#127.0.1.1 host\n127.0.1.1\tnode1\n",
    "127.0.1.1 node1 app\n": "127.0.1.1\tnode1 app\n",
    "": "127.0.1.1\tnode1\n",
}


@pytest.mark.parametrize("text", CASES)
def test_only_the_hosts_own_names_change_and_come_back(shell: tuple[list[str], Path], text: str) -> None:
    new = renamed(shell, LOCAL + text)
    assert new == LOCAL + CASES[text]
    assert renamed(shell, new, old="node1") == new, "again changes nothing"
    if "node1" not in text:
        assert restored(shell, new, loopback_line(LOCAL + text, "host")) == LOCAL + text


def test_a_long_name_comes_with_its_short_one(shell: tuple[list[str], Path]) -> None:
    new = renamed(shell, "127.0.1.1 host app\n", name="node1.lan")
    assert new == "127.0.1.1\tnode1.lan node1 app\n"
    assert restored(shell, new, "127.0.1.1 host app", name="node1.lan") == "127.0.1.1 host app\n"


def test_names_that_came_to_the_line_since_stay(shell: tuple[list[str], Path]) -> None:
    assert (
        restored(shell, "127.0.1.1\tnode1 app new.local\n", "127.0.1.1\thost app")
        == "127.0.1.1\thost app new.local\n"
    )
    assert restored(shell, "127.0.1.1\tnode1 new.local\n", None) == "127.0.1.1 new.local\n"
