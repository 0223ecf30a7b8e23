"""Runs one command on one channel: one loop reads both outputs and writes the input, within a deadline."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from pymachine.clock import Deadline
from pymachine.errors import DeadlineExceeded, SudoFailed, TransportError, Unreachable
from pymachine.transport import OnLine, Result
from pymachine.transport.carrier import Channel
from pymachine.transport.output import Output
from pymachine.transport.shell import Line

CHUNK = 65_536

# paramiko's pipe can lose a wake-up when both outputs are full at once, so poll() is never waited for longer.
_LOOK_AGAIN = 0.25
# Chunks taken of an output before the deadline is looked at again: one without an end must not defeat it.
_TURN = 64

# A closed window opens without a sign that poll() could wait for, so it is looked at this often.
_WINDOW_PAUSE = 0.01
# Data can be on its way when the far end closes; the exit status follows within this many seconds or never.
_STATUS_PATIENCE = 5.0

Password = Callable[[int, str | None], str]


class Exchange:
    """Runs one line on one channel.

    ``password`` is called each time sudo asks, with 1, 2, … and the previous wrong answer; it returns the password or
    raises. Time spent in it does not count against the deadline.
    """

    def __init__(
        self, channel: Channel, line: Line, *, deadline: Deadline, what: str, silence: float | None = None
    ) -> None:
        self._channel = channel
        self._line = line
        self._deadline = deadline
        self._silence = Deadline(silence) if silence is not None else None
        self._what = what
        self._pending = memoryview(b"")
        self._prompts = 0
        self._answer_sent: str | None = None
        self._input_open = True

    def run(self, stdin: bytes, *, on_line: OnLine | None, password: Password | None) -> Result:
        """Run to the end and return the result; the channel is closed in any case.

        Raises ``DeadlineExceeded``, ``Unreachable``, ``SudoFailed`` or another ``TransportError``.
        """
        out, err = Output(self._line.mark, on_line), Output(self._line.mark)
        try:
            self._start()
            # As root, input waits for the command: what sudo finds on its input it might take for a password.
            held = password is not None
            self._pending = memoryview(b"" if held else stdin)
            self._close_input_when_done(held)
            while self._pump(out, err):
                if password and not err.started:
                    self._answer(err, password)
                if held and out.started:
                    held, self._pending = False, memoryview(stdin)
                self._feed()
                self._close_input_when_done(held)
            return self._result(out, err, as_root=password is not None)
        except DeadlineExceeded:
            out.finish()  # what it was about to say shows where it hangs
            raise
        finally:
            self._channel.close()

    def _start(self) -> None:
        try:
            self._channel.start(self._line.text, self._deadline.left)
        except TimeoutError:
            self._check_deadline()
            raise

    def _pump(self, out: Output, err: Output) -> bool:
        """Wait for an event and read the available data; False when both outputs have ended."""
        self._check_deadline()
        self._channel.wait(min(self._deadline.left, _WINDOW_PAUSE if self._pending else _LOOK_AGAIN))
        for output, read in ((out, self._channel.read), (err, self._channel.read_error)):
            for _ in range(_TURN):
                data = read()
                if not data:
                    break
                output.feed(data)
                if self._silence is not None:
                    self._silence = Deadline(self._silence.seconds)
        return not self._channel.ended

    def _feed(self) -> None:
        while self._pending:
            try:
                sent = self._channel.write(bytes(self._pending[:CHUNK]))
            except OSError:  # the command ended without reading it all
                self._pending = memoryview(b"")
                return
            if not sent:
                return
            self._pending = self._pending[sent:]

    def _close_input_when_done(self, held: bool) -> None:
        if self._input_open and not held and not self._pending:
            self._input_open = False
            self._channel.close_input()

    def _answer(self, err: Output, password: Password) -> None:
        asked = err.noise.count(self._line.prompt)
        if asked <= self._prompts:
            return
        self._prompts = asked
        with self._deadline.paused(), self._silence.paused() if self._silence else nullcontext():
            self._answer_sent = password(asked, self._answer_sent)
        self._send_all(self._answer_sent.encode() + b"\n")

    def _send_all(self, data: bytes) -> None:
        while data:
            data = data[self._channel.write(data) :]
            if data:
                self._check_deadline()
                self._channel.wait(_WINDOW_PAUSE)

    def _result(self, out: Output, err: Output, *, as_root: bool) -> Result:
        status = self._status()
        out.finish()
        if not out.started:
            raise self._never_ran(out.noise, err.noise, status, as_root)
        if status is None:
            raise TransportError(f"{self._what}: the command was killed on the host, no exit code came back")
        return Result(status, out.content, err.content)

    def _status(self) -> int | None:
        status = self._channel.status(min(_STATUS_PATIENCE, self._deadline.left))
        if status is None and not self._channel.active:
            raise Unreachable(
                f"{self._what}: the connection was lost",
                hint="the host may be rebooting or unreachable; the command may still run there",
            )
        return status

    def _never_ran(self, out: bytes, err: bytes, status: int | None, as_root: bool) -> TransportError:
        text = " ".join((out + b"\n" + err.replace(self._line.prompt, b"")).decode(errors="replace").split())
        ended = "without a code" if status is None else f"with code {status}"
        said = text[-500:] or f"it ended {ended} without output"
        if as_root:
            return SudoFailed(f"{self._what}: cannot become root: {said}", hint=sudo_hint(text))
        return TransportError(
            f"{self._what}: the account may log in but not run commands: {said}",
            hint="give another account with --ssh-user",
        )

    def _check_deadline(self) -> None:
        if self._deadline.passed:
            raise DeadlineExceeded(
                f"{self._what} did not end within {self._deadline.seconds:g} s", hint="it may still run there"
            )
        if self._silence is not None and self._silence.passed:
            raise DeadlineExceeded(
                f"{self._what} printed nothing for {self._silence.seconds:g} s", hint="it may still run there"
            )


def sudo_hint(text: str) -> str:
    """Return a hint for a refusal by sudo's own message (requested in English)."""
    if "tty" in text:
        return "remove `requiretty` from the sudoers on the host"
    if "neither sudo" in text:
        return "install sudo on the host, or log in as root: --ssh-user root"
    if "doas" in text:
        return "doas must allow the account without a password: `permit nopass` in doas.conf"
    if "sudoers" in text or "not allowed" in text:
        return "add the account to the sudoers on the host, or give another with --ssh-user"
    if "login as" in text or "not available" in text:
        return "give another account with --ssh-user"
    return "`sudo -v` as that account on the host shows whether it may become root"
