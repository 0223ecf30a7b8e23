"""Transports for tests: one that answers from a script, one that runs commands on this machine."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pymachine.errors import DeadlineExceeded, RemoteCommandFailed, Unreachable
from pymachine.model import SshAddress
from pymachine.transport import OnLine, RemoteFile, Result, Tunnel
from pymachine.transport.archive import check_paths
from pymachine.transport.command import Command

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
ADDRESS = SshAddress("192.0.2.1", 22, "root", host_key=HOST_KEY)

Matcher = str | Callable[[Command], bool]
Answer = Result | Exception | Callable[["Call"], Result]


def done(stdout: str = "", *, code: int = 0, stderr: str = "") -> Result:
    """Return a result, for scripts of answers."""
    return Result(code, stdout.encode(), stderr.encode())


@dataclass(frozen=True, slots=True)
class Call:
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
    test with ``AssertionError``. ``calls``, ``uploads`` and ``tunnels`` show what was asked for.
    """

    def __init__(self, address: SshAddress = ADDRESS) -> None:
        super().__init__(address)
        self.calls: list[Call] = []
        self.uploads: list[Upload] = []
        self.tunnels: dict[tuple[str, int], Tunnel] = {}
        self._rules: list[tuple[Matcher, list[Answer]]] = []
        self._upload_faults: list[Exception] = []

    def answer(self, matcher: Matcher, *answers: Answer) -> None:
        """Answer commands that hold the text, or for which the function is true.

        Several answers are given one after the other, the last one for good. An exception is raised; a function is
        called with the ``Call``.
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
    ) -> Result:
        """Record the command and give its answer; ``on_line`` gets the lines of the answer's output."""
        self._count()
        call = Call(command, stdin, root, deadline)
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

    def _answer_to(self, call: Call) -> Result:
        for matcher, answers in self._rules:
            if _matches(matcher, call.command):
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                return _given(answer, call)
        raise AssertionError(f"no answer is scripted for: {call.command.masked()}")


def _matches(matcher: Matcher, command: Command) -> bool:
    return matcher in command.shell() if isinstance(matcher, str) else matcher(command)


def _given(answer: Answer, call: Call) -> Result:
    if isinstance(answer, Exception):
        raise answer
    return answer if isinstance(answer, Result) else answer(call)


@dataclass
class _Streams:
    """The outputs of a local process, in files: neither can fill up and stop it."""

    out: IO[bytes]
    err: IO[bytes]
    on_line: OnLine | None
    _partial: bytes = field(default=b"")

    def drain(self) -> None:
        """Hand over the whole lines that were written since the last call."""
        if self.on_line is None:
            return
        *lines, self._partial = (self._partial + self.out.read()).split(b"\n")
        for line in lines:
            self.on_line(line.decode(errors="replace").rstrip("\r"))

    def finish(self) -> None:
        """Hand over a last line without its newline."""
        self.drain()
        if self.on_line and self._partial:
            self.on_line(self._partial.decode(errors="replace"))


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
    ) -> Result:
        """Run the command here. Raises ``DeadlineExceeded``, and kills it, when its time is up."""
        self._count()
        number = self.trips
        given = self._scratch(f"{number}.in")
        given.write_bytes(stdin)
        out, err = self._scratch(f"{number}.out"), self._scratch(f"{number}.err")
        with given.open("rb") as source, out.open("wb") as to_out, err.open("wb") as to_err:
            process = subprocess.Popen(
                ["sh", "-c", command.shell()],
                stdin=source,
                stdout=to_out,
                stderr=to_err,
                cwd=self._folder,
                env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            )
            with out.open("rb") as reading, err.open("rb") as failing:
                code = _await(process, _Streams(reading, failing, on_line), deadline, command)
        return Result(code, out.read_bytes(), err.read_bytes())

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

    def _scratch(self, name: str) -> Path:
        (self._folder / ".transport").mkdir(exist_ok=True)
        return self._folder / ".transport" / name


def _await(process: subprocess.Popen[bytes], streams: _Streams, deadline: float, command: Command) -> int:
    end = time.monotonic() + deadline
    try:
        while process.poll() is None:
            streams.drain()
            if time.monotonic() > end:
                raise DeadlineExceeded(f"`{command.masked()}` did not end within {deadline:g} s")
            time.sleep(0.005)
        streams.finish()
        return process.returncode
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


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
