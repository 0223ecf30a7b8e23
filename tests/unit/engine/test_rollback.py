"""Whether the engine's next start would open the port unprotected, as the rollback on the host sees it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from patience import LIMIT
from unit.engine.test_files import SHELLS

GOLDEN = Path(__file__).parents[2] / "golden" / "engine" / "debian13-distro" / "rollback.sh"
PLAIN = "{ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// ; ignore_errors=no ; pid=0 }"
LISTENS = PLAIN.replace("fd://", "fd:// -H tcp://0.0.0.0:2376")


class Host:
    """What a set-up left half done: a file of the host's replaced, one made in a new folder. No engine is there."""

    def __init__(self, root: Path, shell: tuple[str, ...]) -> None:
        self._shell, self._tools = shell, root / "tools"
        self._tools.mkdir()
        (self._tools / "systemctl").write_text("#!/bin/sh\n")
        (self._tools / "systemctl").chmod(0o755)
        state, self.folder = root / "state", root / "a folder"
        self.backup, self.manifest = state / "backup" / "current", state / "manifest.json"
        self.config, self.made = root / "daemon.json", self.folder / "made"
        saved = Path(f"{self.backup}/files{self.config}")
        for path in (saved.parent, self.folder):
            path.mkdir(parents=True)
        saved.write_text("theirs")
        self.config.write_text("ours")
        self.made.write_text("made")
        self.manifest.write_text("of the set-up")
        (self.backup / "recovery.json").write_text("of before")
        (self.backup / "config-path").write_text(f"{self.config}\n")
        self.entries = f"folder {self.folder}\nkept {self.config}\nmade {self.made}\n"
        (self.backup / "entries").write_text(self.entries)
        text = GOLDEN.read_text().replace("state=/var/lib/pymachine", f"state={state}")
        self._script = root / "rollback.sh"
        self._script.write_text(text.replace("PATH=/usr/local/sbin:", f"PATH={self._tools}:/usr/local/sbin:"))

    def run(self, before: str = ":") -> int:
        """Run the rollback; return its exit code."""
        command = f"{before}; . {self._script}"
        return subprocess.run(
            [*self._shell, "-c", command], capture_output=True, check=False, timeout=LIMIT
        ).returncode


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    ("config", "command", "opens"),
    [
        (None, PLAIN, False),
        ("", PLAIN, False),
        ('{"hosts": ["fd://"]}', PLAIN, False),
        ('{"hosts": ["fd://", "tcp://0.0.0.0:2376"]}', PLAIN, True),
        ('{"hosts":["tcp://[::]:2376"]}', PLAIN, True),
        (r'{"hosts": ["tcp:\/\/0.0.0.0:2376"]}', PLAIN, True),
        ('{"hosts": ["tcp://0.0.0.0:2376"], "tls": true}', PLAIN, True),
        ('{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify": false}', PLAIN, True),
        ('{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify": true}', PLAIN, False),
        ('{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify" : true}', PLAIN, False),
        ('{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify":\n\ttrue}', PLAIN, False),
        ('{"hosts": ["tcp://0.0.0.0:2375"], "http-proxy": "http://p:2376"}', PLAIN, False),
        ("{}", LISTENS, True),
        ('{"tlsverify" : true}', LISTENS, False),
        ("{}", LISTENS.replace(":2376", ":2376 --tlsverify"), False),
        ("{}", LISTENS.replace(":2376", ":2376 --tlsverify=true"), False),
        ("{}", LISTENS.replace(":2376", ":2376 --tlsverify=false"), True),
        ("{}", LISTENS.replace("-H tcp", "--host=tcp"), True),
    ],
)
def test_a_port_without_client_certificates(
    shell: tuple[str, ...], config: str | None, command: str, opens: bool, tmp_path: Path
) -> None:
    file, tools = tmp_path / "daemon.json", tmp_path / "tools"
    if config is not None:
        file.write_text(config)
    tools.mkdir()
    (tools / "systemctl").write_text(f"#!/bin/sh\necho '{command}'\n")
    (tools / "systemctl").chmod(0o755)
    function = re.search(r"^would_open\(\) {\n.*?\n}$", GOLDEN.read_text(), re.M | re.S)
    assert function is not None
    script = (
        f"set -u\n{function[0]}\nconfig={file} port=2376 init=systemd unit=docker.service\nwould_open && echo opens"
    )
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*shell, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert (done.stdout == "opens\n") is opens, done.stderr


@pytest.fixture(name="host", params=SHELLS, ids=" ".join)
def _host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    return Host(tmp_path, request.param)


def test_a_full_disk_keeps_what_could_not_be_put_back(host: Host) -> None:
    """Nothing can be written, as when the set-up failed for want of room; later there is room again."""
    assert host.run("trap '' XFSZ; ulimit -f 0") == 1
    assert not host.made.exists()
    assert (host.config.read_text(), host.manifest.read_text()) == ("ours", "of the set-up")
    assert (host.backup / "entries").read_text() == host.entries
    assert host.run() == 0
    assert (host.config.read_text(), host.manifest.read_text()) == ("theirs", "of before")
    assert not host.folder.exists()
    assert not (host.backup / "entries").exists()


def test_everything_is_put_back_at_once_where_there_is_room(host: Host) -> None:
    assert host.run() == 0
    assert (host.config.read_text(), host.manifest.read_text()) == ("theirs", "of before")
    assert not host.made.exists()
    assert not host.folder.exists()
