"""Asking on a terminal, showing steps on one, and doing without."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.console import Console
from typing_extensions import override

from patience import LIMIT, until
from pymachine.cli.progress import JsonReporter, PlainReporter, choose_reporter
from pymachine.cli.progress_live import LiveReporter
from pymachine.events import Reporter, Silent

ASK = """
import sys
from pymachine.cli.prompt import TerminalAsker
from pymachine.errors import PymachineError
from pymachine.events import Silent
asker = TerminalAsker(Silent())
try:
    print("got", {question}, flush=True)
except PymachineError as error:
    print("refused:", error.message, "/", error.hint, flush=True)
"""


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _on_a_terminal(question: str, answer: str) -> str:
    """Ask on a terminal of its own, with standard input from elsewhere, and return the screen."""
    parent, child = pty.openpty()
    words = ["sh", "-c", 'exec "$@" </dev/null', "sh", sys.executable, "-c", ASK.format(question=question)]
    process = subprocess.Popen(
        words, stdin=child, stdout=child, stderr=child, start_new_session=True, preexec_fn=_take_terminal
    )
    os.close(child)
    screen = b""
    answered = False
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if not select.select([parent], [], [], 0.2)[0]:
            if not answered and screen.endswith((b": ", b"] ")):
                os.write(parent, answer.encode())
                answered = True
            continue
        try:
            data = os.read(parent, 4096)
        except OSError:  # the last process closed the terminal
            break
        screen += data
    os.close(parent)
    process.wait(LIMIT)
    return screen.decode()


def _without_terminal(question: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(question=question)], input="y\n", capture_output=True, text=True,
        start_new_session=True, timeout=LIMIT, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_secret_is_asked_for_on_the_terminal_and_not_shown() -> None:
    screen = _on_a_terminal('asker.secret("passphrase of k", instead="").upper()', "hush hush\n")
    assert "passphrase of k: " in screen
    assert "hush hush" not in screen
    assert "got HUSH HUSH" in screen


def test_what_a_terminal_would_obey_is_written_out_before_a_secret() -> None:
    screen = _on_a_terminal(r'asker.secret("passphrase of \x1b]0;k\x07", instead="")', "hush\n")
    assert r"passphrase of \x1b]0;k\x07: " in screen
    assert "\x1b]0;" not in screen


@pytest.mark.parametrize(
    ("answer", "meant"),
    [("y", True), ("YES", True), (" yes ", True), ("", False), ("n", False), ("sure", False), ("you what?", False)],
)
def test_only_y_is_a_yes(answer: str, meant: bool) -> None:
    assert f"got {meant}" in _on_a_terminal('asker.confirm("remove?", instead="")', f"{answer}\n")


EARLY = """
import sys
from pymachine.cli.prompt import TerminalAsker
from pymachine.events import Silent
print("busy", flush=True)
sys.stdin.readline()  # the test has typed more by then: a line, and the beginning of another
asker = TerminalAsker(Silent())
for number in range(2):
    print("got", {question}, flush=True)
"""


@pytest.mark.parametrize(
    ("question", "prompt", "meant"),
    [
        ('asker.confirm("remove?", instead="")', b"] ", (b"got False", b"got True")),
        ('asker.secret("passphrase", instead="")', b": ", (b"got later", b"got y")),
    ],
)
def test_what_was_typed_before_a_question_is_not_its_answer(
    question: str, prompt: bytes, meant: tuple[bytes, bytes]
) -> None:
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", EARLY.format(question=question)], stdin=child, stdout=child, stderr=child,
        start_new_session=True, preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(child)
    with os.fdopen(parent, "r+b", buffering=0) as terminal:
        _read_until(terminal, b"busy")
        terminal.write(b"go on\ny\ny\nye")
        _read_until(terminal, prompt)
        terminal.write(b"later\ny\nyes\n")  # the first line is the answer, the rest comes before the next question
        _read_until(terminal, meant[0], prompt)
        terminal.write(b"y\n")
        _read_until(terminal, meant[1])
        assert process.wait(LIMIT) == 0


def _read_until(terminal: io.FileIO, *wanted: bytes) -> None:
    """Read the screen until these stand on it, one behind the other."""
    seen = b""
    while not re.search(b".*".join(map(re.escape, wanted)), seen, re.DOTALL):
        assert select.select([terminal], [], [], LIMIT)[0], seen
        seen += terminal.read(4096)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ('asker.secret("sudo password of x", instead="give a key")', "password of x"),
        ('asker.confirm("Remove\\n  x\\n?", instead="give a key")', "to continue"),
    ],
)
def test_without_a_terminal_nobody_is_asked_and_standard_input_is_left_alone(question: str, said: str) -> None:
    told = _without_terminal(question)
    assert told.startswith("refused: ")
    assert told.endswith(f"{said} / give a key\n")


def test_a_job_in_the_background_is_not_stopped_by_a_question(tmp_path: Path) -> None:
    program = tmp_path / "ask.py"
    program.write_text(ASK.format(question='asker.confirm("sure?", instead="give -y")'))
    # set -m gives each job a process group of its own, as an interactive shell does.
    script = f"set -m; {sys.executable} {program} & wait; echo ended: $?"
    parent, child = pty.openpty()
    with subprocess.Popen(
        ["bash", "-c", script], stdin=child, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, preexec_fn=_take_terminal,
    ) as job:  # fmt: skip
        os.close(child)
        output, _ = job.communicate(timeout=LIMIT)
    os.close(parent)
    assert "refused: " in output


def _tell(reporter: Reporter) -> None:
    reporter.started("a", "installing")
    reporter.progressed("a", "installing", "fetching packages")
    reporter.progressed("a", "installing", "installing")
    reporter.notice("a", "pinned a key")
    reporter.finished("a", "installing", "engine 26")
    reporter.started("a", "asking")
    reporter.failed("a", "asking", "no answer")


def test_plain_lines() -> None:
    stream = io.StringIO()
    _tell(PlainReporter(stream))
    assert stream.getvalue().splitlines() == [
        "a: installing…",
        "a:   fetching packages",
        "a: note: pinned a key",
        "a: installing: engine 26",
        "a: asking…",
    ]


def test_json_lines() -> None:
    stream = io.StringIO()
    _tell(JsonReporter(stream))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "started", "progressed", "progressed", "notice", "finished", "started", "failed",
    ]  # fmt: skip
    assert lines[1]["message"] == "fetching packages"
    assert all(line["machine"] == "a" and line["time"].endswith("+00:00") for line in lines)
    assert lines[-1] == {**lines[-1], "step": "asking", "message": "no answer"}


def test_a_terminal_shows_what_is_done_and_what_runs() -> None:
    stream = io.StringIO()
    reporter = LiveReporter(Console(file=stream, force_terminal=True, width=100, color_system=None))
    _tell(reporter)
    reporter.close()
    reporter.close()
    shown = stream.getvalue()
    assert "✓ a: installing 0 s engine 26" in shown
    assert "• a: pinned a key" in shown
    assert "✗ a: asking 0 s" in shown
    assert shown.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in shown, "the cursor comes back"


def test_a_question_finds_the_terminal_at_rest() -> None:
    stream = io.StringIO()
    reporter = LiveReporter(Console(file=stream, force_terminal=True, width=100, color_system=None))
    reporter.started("a", "installing")
    with reporter.paused():
        before = stream.getvalue()
        time.sleep(0.35)
        assert stream.getvalue() == before, "nothing moves while a question is open"
    until(lambda: stream.getvalue() != before, "it goes on after the question")
    reporter.close()


class _Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("wanted", "stream", "environ", "kind"),
    [
        ("auto", io.StringIO(), {"TERM": "xterm"}, PlainReporter),
        ("auto", _Terminal(), {"TERM": "dumb"}, PlainReporter),
        ("auto", _Terminal(), {}, PlainReporter),
        ("auto", _Terminal(), {"TERM": "xterm"}, LiveReporter),
        ("plain", _Terminal(), {"TERM": "xterm"}, PlainReporter),
        ("json", _Terminal(), {"TERM": "xterm"}, JsonReporter),
        ("none", _Terminal(), {"TERM": "xterm"}, Silent),
    ],
)
def test_the_reporter_fits_where_it_writes(
    wanted: str, stream: io.StringIO, environ: dict[str, str], kind: type[Reporter]
) -> None:
    assert isinstance(choose_reporter(wanted, stream, environ), kind)
