"""Each *.txt beside this file is a session: commands, and to the letter what they print and how they end.

    # a comment
    -- path --            a file for the session, up to the next line of dashes; bin/… are programs
    content
    --
    $ command             run by sh, in an empty folder, with no terminal
    a line                on standard output
    2> a line             on standard error
    => 3                  the exit code, where it is not 0

In an expected line, [..] stands for anything, and TMP for the folder.

Their pymachine is a fork of a warm interpreter (``forkserver``): an interpreter for each of some 380 commands was a
quarter of all fast tests. One session has real processes in every run, and all of them have in the soak run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from transcripts.warm import BARE, ForkServer

HERE = Path(__file__).parent
SESSIONS = sorted(HERE.glob("*.txt"))
# The session that looks at its parent process, and whose answers must not load much.
REAL = "env"
WORLD = "transcripts.fakeworld"
COST = 0.5  # seconds of a command that starts an interpreter, on a slow computer
FILE = re.compile(r"-- (\S+) --")


@dataclass
class Command:
    """One command of a session and what it is expected to do."""

    line: int
    text: str
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    code: int = 0


def read(text: str) -> tuple[dict[str, str], list[Command]]:
    """Read a session: its files and its commands."""
    files: dict[str, str] = {}
    commands: list[Command] = []
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if match := FILE.fullmatch(line):
            files[match[1]] = "".join(_until_dashes(lines))
        elif line.startswith("$ "):
            commands.append(Command(number, line[2:]))
        elif line.startswith("=> "):
            commands[-1].code = int(line[3:])
        elif line.startswith("2>"):
            commands[-1].err.append(line[3:])
        elif line and not line.startswith("# "):
            commands[-1].out.append(line.removeprefix("\\"))
    return files, commands


def _until_dashes(lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    for _, line in lines:
        if line == "--":
            return
        yield f"{line}\n"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user with an empty home and store, whose pymachine is the one of these tests, in real processes."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    _programs(tmp_path / "bin", f'#!/bin/sh\nexec "{sys.executable}" -m {WORLD} "$@"\n')
    return {
        **BARE,
        "PATH": f"{tmp_path}/bin:{BARE['PATH']}",
        "HOME": str(tmp_path / "home"),
        "MACHINE_STORAGE_PATH": str(tmp_path / "store"),
        "FAKE_CLOUD": str(tmp_path / "cloud.json"),
        "TMP": str(tmp_path),
    }


@pytest.fixture(scope="session")
def warm() -> Iterator[ForkServer]:
    with ForkServer.started(WORLD, BARE) as server:
        yield server
    assert not server.refused, f"not proved as quickly as meant: {server.refused}"


@pytest.fixture
def warm_environ(environ: dict[str, str], warm: ForkServer, tmp_path: Path) -> dict[str, str]:
    """The same user, whose pymachine is forked."""
    _programs(tmp_path / "bin", warm.script)
    return environ


@pytest.mark.parametrize("session", [path for path in SESSIONS if path.stem != REAL], ids=lambda path: path.stem)
def test_session(session: Path, warm_environ: dict[str, str], tmp_path: Path) -> None:
    _play_all(session, warm_environ, tmp_path)


def _real(session: Path) -> ParameterSet:
    cost = COST * session.read_text().count("\n$ ")
    return pytest.param(session, id=session.stem, marks=[] if session.stem == REAL else pytest.mark.soak(cost))


@pytest.mark.parametrize("session", [_real(path) for path in SESSIONS])
def test_session_of_real_processes(session: Path, environ: dict[str, str], tmp_path: Path) -> None:
    _play_all(session, environ, tmp_path)


def _play_all(session: Path, environ: dict[str, str], tmp_path: Path) -> None:
    files, commands = read(session.read_text())
    work = tmp_path / "work"
    work.mkdir()
    for name, content in files.items():
        _place(work, tmp_path, name, content)
    for command in commands:
        _play(command, session.name, work, environ)


def _place(work: Path, tmp_path: Path, name: str, content: str) -> None:
    if name.startswith("bin/"):
        _program(tmp_path / name, content)
    else:
        (work / name).write_text(content)


def _programs(folder: Path, text: str) -> None:
    """Write the program, and the one that ``compat install`` writes for it."""
    for name, script in {"pymachine": text, "docker-machine": text.replace('"$@"', 'docker-machine "$@"')}.items():
        _program(folder / name, script)


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _play(command: Command, session: str, work: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-c", command.text], cwd=work, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        start_new_session=True, timeout=60, check=False,
    )  # fmt: skip
    where = f"{session}:{command.line}: {command.text}\n--- stdout\n{done.stdout}--- stderr\n{done.stderr}--- code "
    if done.returncode != command.code:
        pytest.fail(f"{where}{done.returncode}, not {command.code}", pytrace=False)
    _compare(command.out, done.stdout, environ["TMP"], f"{where}{done.returncode}")
    _compare(command.err, done.stderr, environ["TMP"], f"{where}{done.returncode}")


def _compare(expected: list[str], seen: str, folder: str, where: str) -> None:
    lines = [line for line in seen.splitlines() if line]
    pattern = "\n".join(_pattern(line, folder) for line in expected)
    if not re.fullmatch(pattern, "\n".join(lines)):
        pytest.fail(f"{where}\n--- expected\n" + "\n".join(expected), pytrace=False)


def _pattern(line: str, folder: str) -> str:
    if line == "[...]":  # any lines, or none
        return r"(?:.*\n?)*"
    parts = line.replace("TMP", folder).split("[..]")
    return ".*".join(re.escape(part) for part in parts)


def test_a_session_that_differs_fails(environ: dict[str, str], tmp_path: Path) -> None:
    for text in ("$ echo a\nb", "$ false", "$ echo a", "$ echo a >&2\na", "$ true\n=> 1"):
        _, (command,) = read(text)
        with pytest.raises(pytest.fail.Exception):
            _play(command, "inline", tmp_path, environ)


def test_the_runner_keeps_the_terminal_away() -> None:
    asked = subprocess.run(
        ["sh", "-c", "exec </dev/tty"], start_new_session=True, capture_output=True, check=False, env=dict(os.environ)
    )
    assert asked.returncode != 0
