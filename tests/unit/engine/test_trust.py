"""The script that gives an engine another list of authorities, in real shells: done, refused, and put back."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.engine.bundle import Bundle
from pymachine.engine.host_facts import EngineFacts, HostFacts
from pymachine.engine.manifest import Manifest
from pymachine.engine.trust import EngineAccess, plan_trust, trust_bundle, with_authority
from unit.engine.test_files import SHELLS

TRIXIE = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
FOUND, FINAL = b"THEIRS\n", b"THEIRS\nOURS\n"
# systemctl as far as the script uses it; `restart` fails as often as the file says.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>{root}/calls
case $1 in
    show) printf 'Id=docker.service\\nExecStart={{ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd ; }}\\n\\n' ;;
    restart) [ ! -s {root}/fails ] || {{ sed -i 1d {root}/fails; exit 1; }} ;;
    is-active) exit 0 ;;
esac
"""


class Host:
    """A host whose commands are stand-ins; its port is one that really listens."""

    def __init__(self, root: Path, shell: tuple[str, ...], port: int, owner: str = "") -> None:
        self.root, self._shell, self.list, self.state = root, shell, root / "ca.pem", root / "state"
        self.list.write_bytes(FOUND)
        self.list.chmod(0o640)
        (root / "systemd").mkdir()
        tools = root / "tools"
        tools.mkdir()
        (tools / "systemctl").write_text(SYSTEMCTL.format(root=root))
        (tools / "systemctl").chmod(0o755)
        engine = EngineFacts(dockerd="/usr/sbin/dockerd", unit="docker.service", active=True)
        access = EngineAccess(str(self.list), port, Manifest("web", owner) if owner else None)
        plan = plan_trust(replace(HostFacts.assumed(TRIXIE), engine=engine), access, FOUND, FINAL, "append")
        self._place(trust_bundle(plan), tools)

    def _place(self, bundle: Bundle, tools: Path) -> None:
        folder = self.root / "staged"
        folder.mkdir()
        for file in bundle.files:
            (folder / file.path).write_bytes(file.content)
        script = (folder / "trust.sh").read_text().replace("state=/var/lib/pymachine", f"state={self.state}")
        script = script.replace("PATH=/usr/local/sbin:", f"PATH={tools}:/usr/local/sbin:")
        (folder / "trust.sh").write_text(script.replace("/run/systemd/system", str(self.root / "systemd")))

    def run(self) -> tuple[int, str]:
        """Run it; return the exit code, and what it says."""
        words = [*self._shell, str(self.root / "staged/trust.sh")]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=LIMIT)
        return ended.returncode, ended.stdout + ended.stderr

    @property
    def restarts(self) -> int:
        calls = self.root / "calls"
        return calls.read_text().count("restart docker.service") if calls.exists() else 0


@pytest.fixture(params=SHELLS, ids=[" ".join(shell) for shell in SHELLS])
def host(request: pytest.FixtureRequest, tmp_path: Path, port: int) -> Host:
    return Host(tmp_path, request.param, port)


def test_the_list_is_replaced_and_the_engine_restarted(host: Host) -> None:
    code, said = host.run()
    assert code == 0, said
    assert "@pymachine done" in said
    assert host.list.read_bytes() == FINAL
    assert host.list.stat().st_mode & 0o777 == 0o640
    assert host.restarts == 1


def test_an_engine_that_does_not_start_gets_its_list_back(host: Host) -> None:
    (host.root / "fails").write_text("once\n")
    code, said = host.run()
    assert code != 0
    assert "@pymachine error" in said
    assert host.list.read_bytes() == FOUND
    assert host.list.stat().st_mode & 0o777 == 0o640
    assert host.restarts == 2


def test_a_list_that_was_changed_meanwhile_is_left_alone(host: Host) -> None:
    host.list.write_bytes(b"ANOTHER\n")
    assert host.run()[0] != 0
    assert host.list.read_bytes() == b"ANOTHER\n"
    assert host.restarts == 0


def test_a_set_up_that_was_cut_off_and_another_owner_are_refused(tmp_path: Path, port: int) -> None:
    cut = Host(tmp_path, ("sh",), port, owner="0123")
    cut.state.mkdir()
    (cut.state / "manifest.json").write_text(Manifest("web", "4567").text())
    assert cut.run()[0] != 0
    (cut.state / "manifest.json").write_text(Manifest("web", "0123").text())
    (cut.state / "backup/current").mkdir(parents=True)
    (cut.state / "backup/current/entries").write_text("")
    assert cut.run()[0] != 0
    assert (cut.list.read_bytes(), cut.restarts) == (FOUND, 0)
    (cut.state / "backup/current/complete").write_text("")
    assert cut.run()[0] == 0


def test_a_host_that_was_set_up_meanwhile_is_refused(host: Host) -> None:
    host.state.mkdir()
    (host.state / "manifest.json").write_text("{}")
    assert host.run()[0] != 0
    assert host.restarts == 0


SETUP = Path(__file__).parents[2] / "golden/engine/debian13-distro/setup.sh"


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    ("own", "there", "placed"),
    [
        (b"A\n", None, b"A\n"),
        (b"A\n", b"A\n", b"A\n"),
        (b"A\n", with_authority(b"A\n", b"X", "x"), with_authority(b"A\n", b"X", "x")),
        (b"NEW\n", with_authority(b"A\n", b"X", "x"), b"NEW\n"),
        (b"A\n", with_authority(with_authority(b"A\n", b"X", "x"), b"Y", "y"),
         with_authority(with_authority(b"A\n", b"X", "x"), b"Y", "y")),
    ],
    ids=["new", "same", "attached", "a new authority ends all access", "two"],
)  # fmt: skip
def test_the_next_set_up_keeps_what_was_attached(
    tmp_path: Path, shell: tuple[str, ...], own: bytes, there: bytes | None, placed: bytes
) -> None:
    found = re.search(r"^keep_attached\(\) \{.*?^\}", SETUP.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    function = found[0].replace("/etc/docker/pymachine", str(tmp_path / "tls"))
    (tmp_path / "tls").mkdir()
    (tmp_path / "ca.pem").write_bytes(own)
    if there is not None:
        (tmp_path / "tls/ca.pem").write_bytes(there)
    script = f"set -eu\nhere={tmp_path}\n{function}\nkeep_attached"
    assert subprocess.run([*shell, "-c", script], check=False, timeout=LIMIT).returncode == 0
    assert (tmp_path / "ca.pem").read_bytes() == placed
