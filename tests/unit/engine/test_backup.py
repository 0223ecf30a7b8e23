"""What a set-up keeps before it replaces it: on the disk before the replacement is, and how the engine was."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from patience import LIMIT
from unit.engine.test_files import SHELLS

GOLDEN = Path(__file__).parents[2] / "golden" / "engine" / "debian13-distro" / "setup.sh"
NOTED = """#!/bin/sh
names=''
for file do
    names="$names ${file##*/}"
    [ -s "$file" ] || names="$names (empty)"
done
echo "sync$names" >>"$NOTES"
"""
MOVED = """#!/bin/sh
echo "mv ${3##*/}" >>"$NOTES"
exec /bin/mv "$@"
"""


def function(name: str) -> str:
    """The text of one function of the set-up."""
    found = re.search(rf"^{name}\(\) {{(\n.*?\n}}| [^\n]* }})$", GOLDEN.read_text(), re.M | re.S)
    assert found is not None, name
    return found[0]


def run(shell: tuple[str, ...], folder: Path, script: str, **commands: str) -> str:
    """Run functions of the set-up with these commands before others; return what was noted."""
    tools = folder / "tools"
    tools.mkdir()
    for name, text in commands.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    notes = folder / "notes"
    notes.touch()
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "NOTES": str(notes)}
    subprocess.run([*shell, "-c", script], env=environment, check=True, timeout=LIMIT)
    return notes.read_text()


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_what_was_there_is_on_the_disk_before_it_is_replaced(shell: tuple[str, ...], tmp_path: Path) -> None:
    """A power cut empties what was not written yet: the user's daemon.json, and what it is put back from."""
    config, backup = tmp_path / "daemon.json", tmp_path / "backup"
    config.write_text('{"labels": ["theirs"]}')
    (tmp_path / "staged").write_text('{"labels": ["ours"]}')
    backup.mkdir()
    for name in ("config-path", "port", "recovery.json"):
        (backup / name).write_text("something\n")
    (backup / "entries").touch()
    names = ("real_file", "flush", "replace_file", "stage_file", "copy_attributes", "place_file", "keep", "place")
    script = "\n".join([
        *map(function, names), f"backup={backup} state={tmp_path}", "set -eu",
        f"place {tmp_path}/staged {config} 644", f"place {tmp_path}/staged {tmp_path}/new 600",
    ])  # fmt: skip
    noted = run(shell, tmp_path, script, sync=NOTED, mv=MOVED)
    assert noted.splitlines() == [
        "sync daemon.json entries config-path port recovery.json", "sync daemon.json.pymachine-new",
        "mv daemon.json", "mv new",
    ]  # fmt: skip
    assert (backup / "files" / str(config).lstrip("/")).read_text() == '{"labels": ["theirs"]}'
    assert config.read_text() == '{"labels": ["ours"]}'


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    ("state", "detail", "runs"),
    [
        ("active", "running", True),
        ("activating", "start", True),
        ("activating", "start-pre", True),
        ("reloading", "reload", True),
        ("activating", "auto-restart", False),
        ("activating", "auto-restart-queued", False),
        ("inactive", "dead", False),
        ("failed", "failed", False),
        ("deactivating", "stop-sigterm", False),
    ],
)
def test_an_engine_on_its_way_up_is_not_stopped_by_what_puts_it_back(
    shell: tuple[str, ...], state: str, detail: str, runs: bool, tmp_path: Path
) -> None:
    systemctl = f"#!/bin/sh\nprintf 'SubState={detail}\\nActiveState={state}\\n'\n"
    script = f'{function("engine_runs")}\ninit=systemd unit=docker.service\n! engine_runs || echo yes >"$NOTES"'
    assert bool(run(shell, tmp_path, script, systemctl=systemctl)) is runs
