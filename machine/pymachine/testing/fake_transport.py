"""Transports for tests: one that answers from a script, one that runs commands on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pymachine.errors import DeadlineExceeded, RemoteCommandFailed, Unreachable
from pymachine.model import SshAddress
from pymachine.transport import OnLine, RemoteFile, Result, Tunnel
from pymachine.transport.archive import check_paths
from pymachine.transport.command import Command
from pymachine.transport.output import Output

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ADDRESS = SshAddress("192.0.2.1", 22, "root", host_key=HOST_KEY)

Matcher = str | Callable[[Command], bool]
Answer = Result | Exception | Callable[["RecordedCall"], Result]


def done(stdout: str = "", *, code: int = 0, stderr: str = "") -> Result:
    """Return a result, for scripts of answers."""
    return Result(code, stdout.encode(), stderr.encode())


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A command that was run, and how."""

    command: Command
    stdin: bytes
    root: bool
    deadline: float


@dataclass(frozen=True, slots=True)
class Upload:
    """Files that were placed."""

    files: tuple[RemoteFile, ...]
    folder: str


class _Closing:
    """What both transports share: an address, a count of trips, an end."""

    def __init__(self, address: SshAddress) -> None:
        self._address = address
        self.trips = 0
        self.closed = False

    @property
    def address(self) -> SshAddress:
        """The address given."""
        return self._address

    def close(self) -> None:
        """Refuse everything from now on."""
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _count(self) -> None:
        if self.closed:
            raise Unreachable(f"the connection to {self._address.host} was lost")
        self.trips += 1


class FakeTransport(_Closing):
    """Answers commands from a script and records them.

    ``answer`` adds a rule; of those that match, the one added last counts. A command that nothing matches fails the
    test with ``AssertionError``. ``calls``, ``uploads`` and ``tunnels`` show what was requested.
    """

    def __init__(self, address: SshAddress = ADDRESS) -> None:
        super().__init__(address)
        self.calls: list[RecordedCall] = []
        self.uploads: list[Upload] = []
        self.tunnels: dict[tuple[str, int], Tunnel] = {}
        self._rules: list[tuple[Matcher, list[Answer]]] = []
        self._upload_faults: list[Exception] = []

    def answer(self, matcher: Matcher, *answers: Answer) -> None:
        """Answer commands that hold the text, or for which the function is true.

        Several answers are given one after the other, the last one for good. An exception is raised; a function is
        called with the ``RecordedCall``.
        """
        if not answers:
            raise ValueError("a rule needs at least one answer")
        self._rules.insert(0, (matcher, list(answers)))

    def fail_upload(self, error: Exception) -> None:
        """Raise the error at the next upload."""
        self._upload_faults.append(error)

    def run(
        self,
        command: Command,
        *,
        stdin: bytes = b"",
        deadline: float = 60.0,
        root: bool = False,
        on_line: OnLine | None = None,
        silence: float | None = None,
    ) -> Result:
        """Record the command and give its answer; ``on_line`` gets the lines of the answer's output."""
        self._count()
        call = RecordedCall(command, stdin, root, deadline)
        self.calls.append(call)
        result = self._answer_to(call)
        for line in result.text.splitlines() if on_line else ():
            assert on_line is not None
            on_line(line)
        return result

    def upload(self, files: Sequence[RemoteFile], folder: str, *, deadline: float = 120.0) -> None:
        """Record the files."""
        check_paths(files, folder)
        self._count()
        if self._upload_faults:
            raise self._upload_faults.pop(0)
        self.uploads.append(Upload(tuple(files), folder))

    def tunnel(self, host: str, port: int) -> Tunnel:
        """Return the tunnel that ``tunnels`` has for the goal. Raises ``Unreachable`` for any other."""
        if (host, port) not in self.tunnels:
            raise Unreachable(f"{self._address.host} cannot reach {host}:{port}")
        return self.tunnels[host, port]

    def _answer_to(self, call: RecordedCall) -> Result:
        for matcher, answers in self._rules:
            if _matches(matcher, call.command):
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                return _given(answer, call)
        raise AssertionError(f"no answer is scripted for: {call.command.masked()}")


def _matches(matcher: Matcher, command: Command) -> bool:
    return matcher in command.shell() if isinstance(matcher, str) else matcher(command)


def _given(answer: Answer, call: RecordedCall) -> Result:
    if isinstance(answer, Exception):
        raise answer
    return answer if isinstance(answer, Result) else answer(call)


class LocalTransport(_Closing):
    """Runs commands with this machine's sh in a scratch ``folder``, as the user who runs the tests.

    ``root`` changes nothing. Uploads go below ``folder`` as well when their own folder is within it; anything else
    is refused, so that a test cannot write to the machine it runs on.
    """

    def __init__(self, folder: Path, address: SshAddress = ADDRESS) -> None:
        super().__init__(address)
        self._folder = folder

    def run(
        self,
        command: Command,
        *,
        stdin: bytes = b"",
        deadline: float = 60.0,
        root: bool = False,
        on_line: OnLine | None = None,
        silence: float | None = None,
    ) -> Result:
        """Run the command here. Raises ``DeadlineExceeded``, and kills it, when its time is up."""
        self._count()
        out, err = Output(b"", on_line), Output(b"")
        with subprocess.Popen(
            ["sh", "-c", command.shell()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            env={"PATH": _PATH, "LC_ALL": "C"},
            start_new_session=True,
        ) as process:
            try:
                code = _await(process, stdin, (out, err), (deadline, silence), command)
            finally:
                out.finish()
        return Result(code, out.content, err.content)

    def upload(self, files: Sequence[RemoteFile], folder: str, *, deadline: float = 120.0) -> None:
        """Write the files. Raises ``ValueError`` for a folder outside the scratch folder."""
        check_paths(files, folder)
        self._count()
        home = Path(folder)
        if not home.is_relative_to(self._folder):
            raise ValueError(f"{folder} is outside {self._folder}")
        try:
            _write(files, home)
        except OSError as error:
            raise RemoteCommandFailed(f"unpack files in {folder}", 1, (str(error),)) from error

    def tunnel(self, host: str, port: int) -> Tunnel:
        """Connect from here. Raises ``Unreachable``."""
        try:
            return socket.create_connection((host, port), timeout=10.0)
        except OSError as error:
            raise Unreachable(f"{self._address.host} cannot reach {host}:{port}: {error}") from error


def _await(
    process: subprocess.Popen[bytes],
    stdin: bytes,
    outputs: tuple[Output, Output],
    limits: tuple[float, float | None],
    command: Command,
) -> int:
    """Feed and read all three streams at once and return the exit code; kill the command when its time is up."""
    heard = [time.monotonic()]
    jobs = [threading.Thread(target=_feed, args=(process, stdin))]
    for stream, output in zip((process.stdout, process.stderr), outputs, strict=True):
        jobs.append(threading.Thread(target=_drain, args=(stream, output, heard)))
    for job in jobs:
        job.start()
    try:
        return _ended(process, *limits, heard)
    except subprocess.TimeoutExpired as late:
        os.killpg(process.pid, signal.SIGKILL)
        raise DeadlineExceeded(f"`{command.masked()}` did not end within {late.timeout:g} s") from None
    finally:
        for job in jobs:
            job.join()


def _feed(process: subprocess.Popen[bytes], stdin: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # a command need not read it all
        process.stdin.write(stdin)
    with suppress(BrokenPipeError):
        process.stdin.close()


def _ended(process: subprocess.Popen[bytes], deadline: float, silence: float | None, heard: list[float]) -> int:
    """Wait for the exit code. Raises ``TimeoutExpired`` at the deadline, or so long after what was heard last."""
    if silence is None:
        return process.wait(deadline)
    end = time.monotonic() + deadline
    while process.poll() is None:
        if time.monotonic() > min(end, heard[0] + silence):
            raise subprocess.TimeoutExpired([], min(deadline, silence))
        time.sleep(0.02)
    return process.wait()


def _drain(stream: IO[bytes], output: Output, heard: list[float]) -> None:
    while data := os.read(stream.fileno(), 65_536):
        heard[0] = time.monotonic()
        output.feed(data)


def _write(files: Sequence[RemoteFile], home: Path) -> None:
    if not home.exists():
        home.mkdir(parents=True, mode=0o700)
    for file in files:
        path = home / file.path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(file.content)
        path.chmod(file.mode)
