"""The system's ssh as a carrier of commands, for hosts whose algorithms paramiko lacks: a master of our own."""

from __future__ import annotations

import math
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pymachine.clock import Deadline
from pymachine.errors import AuthFailed, HostKeyMismatch, NoCommonAlgorithm, TransportError, Unreachable
from pymachine.transport.carrier import SessionRefused, TunnelRefused
from pymachine.transport.handshake import Target, mismatch, orders
from pymachine.transport.host_keys import Expected, KeySource, PublicKey, keys_in
from pymachine.transport.mux import MuxClient, MuxFault, readable
from pymachine.transport.openssh_config import KEY_NAME, Files, JumpHost, KeyRules, config_text, program_text
from pymachine.transport.openssh_process import (
    awaited,
    cut,
    end_softly,
    last_words,
    server_key,
    short_folder,
    started,
)

CHUNK = 65_536
_DYING = 0.3  # seconds
OPEN_PATIENCE = 10.0  # seconds for the master to answer on its socket


def available() -> bool:
    """Whether ssh is installed on this computer."""
    return shutil.which("ssh") is not None


class OpenSsh:
    """A master that is logged in, or will be."""

    def __init__(self, word: str, target: Target, hops: Sequence[JumpHost], rules: KeyRules | None = None) -> None:
        self._target = target
        self._rules = rules
        self._word = word
        self._files = Files(Path(tempfile.mkdtemp(prefix="pymachine-", dir=short_folder())))
        self._master: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the master
        try:
            self._files.program.write_text(program_text(target))
            self._files.config.write_text(config_text(word, target, hops, self._files))
            if rules is not None:
                self._files.judged.write_text(config_text(word, target, hops, self._files, rules))
        except BaseException:
            self.close()
            raise

    def log_in(self, deadline: Deadline) -> PublicKey:
        """Look at the host key, log in to the host that has it, and return it; with ``rules`` ssh decides on it.

        Raises ``Unreachable``, ``AuthFailed``, ``HostKeyMismatch``, ``NoCommonAlgorithm``, ``UsageFault``.
        """
        try:
            if self._rules is not None:
                self._start(self._files.judged, (), deadline)
                return self._used_key(deadline)
            key = self._expected_key(self._target.expected, deadline)
            self._files.pinned.write_text(f"{KEY_NAME} {key.line}\n")
            pinned = ("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={self._files.pinned}")
            self._start(self._files.config, pinned, deadline)
            return key
        except BaseException:
            self.close()
            raise

    @property
    def hop_keys(self) -> tuple[tuple[str, PublicKey], ...]:
        """The keys of jump hosts that were taken at first contact, with the hosts' names."""
        return keys_in(self._files.hops)

    @property
    def active(self) -> bool:
        """Whether the master runs."""
        return self._master is not None and self._master.poll() is None and self._files.socket.exists()

    def await_end(self, seconds: float) -> None:
        """Give a master that may be dying time to be dead: the kernel closes its sockets before its end shows."""
        if self._master is not None:
            with suppress(subprocess.TimeoutExpired):
                self._master.wait(seconds)

    def open_channel(self, seconds: float) -> MuxChannel:
        """Return a new session. Raises as ``Carrier.open_channel``."""
        return MuxChannel(self, self._client(min(seconds, OPEN_PATIENCE)))

    def tunnel(self, host: str, port: int, seconds: float) -> MuxTunnel:
        """Open a TCP connection from the host. Raises as ``Carrier.tunnel``."""
        client = self._client(seconds)
        try:
            return MuxTunnel(client, host, port, seconds)
        except SessionRefused as error:
            raise TunnelRefused(str(error)) from error

    def close(self) -> None:
        """End the master and take its files away; safe to call twice, from any thread."""
        master, self._master = self._master, None
        if master is not None:
            end_softly(master)
        shutil.rmtree(self._files.folder, ignore_errors=True)
        with suppress(OSError):
            self._errors.close()

    def _client(self, seconds: float) -> MuxClient:
        if not self.active:
            raise MuxFault("the connection was lost")
        return MuxClient(self._files.socket, seconds)

    def _used_key(self, deadline: Deadline) -> PublicKey:
        """Return the key of the host that ssh logged in to.

        It is looked at once more, plain and whole: the log has its fingerprint, and ssh keeps none that a certificate
        vouches for.
        """
        used = server_key(self._errors.fileno())
        if used is None:
            raise Unreachable(f"`ssh` did not say which host key {self._target.where} has")
        kind, fingerprint = used
        return self._expected_key(Expected(frozenset({fingerprint}), (kind,), source=KeySource.OPENSSH), deadline)

    def _expected_key(self, expected: Expected, deadline: Deadline) -> PublicKey:
        """Return the host's key if it is one of those that are expected, seen in a handshake that goes no further."""
        shown: list[PublicKey] = []
        for kinds in orders(expected):
            key = self._shown_key(kinds, deadline, alone=bool(shown))
            if key is None:
                continue
            if expected.accepts(key):
                return key
            if key not in shown:
                shown.append(key)
        raise mismatch(replace(self._target, expected=expected), shown)

    def _shown_key(self, kinds: Iterable[str], deadline: Deadline, *, alone: bool) -> PublicKey | None:
        """Return the host key that is shown where these types are asked for.

        None where the host has none of them, if others were asked for before: they ``alone`` are then looked for.
        """
        self._files.seen.unlink(missing_ok=True)
        asked = f"HostKeyAlgorithms={','.join(kinds)}"
        words = ["-o", "PreferredAuthentications=none", "-o", "StrictHostKeyChecking=accept-new", "-o", asked]
        words = self._words([*words, "-o", f"UserKnownHostsFile={self._files.seen}"], deadline)
        with tempfile.TemporaryFile() as errors:
            process = started(self._files, words, errors.fileno())
            try:
                # Not until it ends: a host may let anybody in.
                code = awaited(process, lambda: bool(keys_in(self._files.seen)), deadline)
            finally:
                cut(process)
            keys = keys_in(self._files.seen)
            if keys or alone:
                return keys[-1][1] if keys else None
            raise self._failed(code, last_words(errors.fileno()), deadline)

    def _start(self, config: Path, options: Sequence[str], deadline: Deadline) -> None:
        words = self._words(["-M", "-S", str(self._files.socket), *options], deadline, config)
        self._master = started(self._files, words, self._errors.fileno())
        # It listens there when it has logged in, and not before.
        code = awaited(self._master, self._files.socket.exists, deadline)
        if not self._files.socket.exists():
            raise self._failed(code, last_words(self._errors.fileno()), deadline)

    def _words(self, options: Sequence[str], deadline: Deadline, config: Path | None = None) -> list[str]:
        limit = ["-o", f"ConnectTimeout={max(math.ceil(deadline.left), 1)}"]
        return ["ssh", "-F", str(config or self._files.config), *options, *limit, "-N", "-T", "--", self._word]

    def _failed(self, code: int | None, said: str, deadline: Deadline) -> TransportError:
        """Return what to raise for an ssh that did not log in.

        It ends with 255 whatever the reason, so that its words are all there is to tell a refused key by.
        """
        where = self._target.where
        if code is None:
            return Unreachable(f"{where} did not accept `ssh` within {deadline.seconds:g} s: {said or 'no answer'}")
        if "Host key verification failed" in said:
            return HostKeyMismatch(
                f"`ssh` does not accept the host key of {where}: {said}", hint=f"`ssh {self._word}` shows more"
            )
        if "Permission denied" in said or "Too many authentication failures" in said:
            return AuthFailed(
                f"{self._target.who} accepted none of the keys that `ssh` has: {said}",
                hint="check --ssh-user and --ssh-key; add a key with a passphrase to an agent: ssh-add",
            )
        if "Unable to negotiate" in said or "no matching" in said:
            return NoCommonAlgorithm(
                f"{where} and `ssh` have no common algorithm: {said}", hint="`ssh -v` shows more"
            )
        return Unreachable(f"cannot reach {where} by `ssh`: {said or f'it ended with code {code}'}")


class MuxChannel:
    """One session of a master."""

    def __init__(self, master: OpenSsh, client: MuxClient) -> None:
        self._master = master
        self._client = client
        self._input: int | None = None
        self._output: int | None = None
        self._error: int | None = None
        self._told = True  # whether the client's socket may say more

    @property
    def active(self) -> bool:
        """Whether the master runs."""
        return self._master.active

    @property
    def ended(self) -> bool:
        """Whether both outputs have ended."""
        return self._output is None and self._error is None

    def start(self, line: str, seconds: float) -> None:
        """Run the line."""
        (theirs_in, self._input), (self._output, theirs_out), (self._error, theirs_err) = (os.pipe() for _ in "ioe")
        theirs = (theirs_in, theirs_out, theirs_err)
        try:
            for mine in (self._input, self._output, self._error):
                os.set_blocking(mine, False)
            self._client.open_session(line, theirs, seconds)
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    def wait(self, seconds: float) -> None:
        """Wait for output."""
        readable([descriptor for descriptor in (self._output, self._error) if descriptor is not None], seconds)

    def read(self) -> bytes:
        """Return what is there of standard output."""
        data, self._output = _read(self._output)
        return data

    def read_error(self) -> bytes:
        """Return what is there of standard error."""
        data, self._error = _read(self._error)
        return data

    def write(self, data: bytes) -> int:
        """Take what the pipe has room for."""
        if self._input is None:
            raise BrokenPipeError
        try:
            return os.write(self._input, data)
        except BlockingIOError:
            return 0

    def close_input(self) -> None:
        """End standard input."""
        if self._input is not None:
            os.close(self._input)
            self._input = None

    def status(self, seconds: float) -> int | None:
        """Return the exit code; a command that a signal ended has none."""
        limit = Deadline(seconds)
        while self._client.exit_code is None and self._client.take():
            if limit.passed:
                break
            readable([self._client.fileno()], limit.left)
        if self._client.exit_code is None:
            self._master.await_end(min(_DYING, limit.left))
        return self._client.exit_code

    def close(self) -> None:
        """End it."""
        self._client.close()
        self.close_input()
        for descriptor in (self._output, self._error):
            if descriptor is not None:
                os.close(descriptor)
        self._output = self._error = None


class MuxTunnel:
    """A TCP connection from the host, one socket for each direction: the end of one does not end the other."""

    def __init__(self, client: MuxClient, host: str, port: int, seconds: float) -> None:
        self._client = client
        self._out, theirs_in = socket.socketpair()
        self._in, theirs_out = socket.socketpair()
        try:
            with theirs_in, theirs_out:
                client.open_tunnel(host, port, (theirs_in.fileno(), theirs_out.fileno()), seconds)
        except BaseException:
            self.close()
            raise

    def sendall(self, data: bytes) -> None:
        """Send all of ``data``."""
        self._out.sendall(data)

    def recv(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, none at the end."""
        return self._in.recv(limit)

    def settimeout(self, seconds: float | None) -> None:
        """Bound each later call."""
        self._out.settimeout(seconds)
        self._in.settimeout(seconds)

    def close(self) -> None:
        """End it."""
        for end in (self._out, self._in, self._client):
            end.close()


def _read(descriptor: int | None) -> tuple[bytes, int | None]:
    """Return what is there, and the descriptor unless it has ended."""
    if descriptor is None:
        return b"", None
    try:
        data = os.read(descriptor, CHUNK)
    except BlockingIOError:
        return b"", descriptor
    if data:
        return data, descriptor
    os.close(descriptor)
    return b"", None
