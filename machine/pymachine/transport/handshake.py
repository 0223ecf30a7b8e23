"""Opens one SSH session: socket, greeting, key exchange, host key, login."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from pymachine.addresses import place
from pymachine.clock import Deadline
from pymachine.errors import HostKeyMismatch, NoCommonAlgorithm, TransportError, Unreachable
from pymachine.events import Asker
from pymachine.transport import keepalive
from pymachine.transport.auth import agent_keys, log_in
from pymachine.transport.dial import dial
from pymachine.transport.host_keys import Expected, KeySource, PublicKey
from pymachine.transport.keys import KeyChoice, KeyRing, public_key
from pymachine.transport.negotiation import Algorithm, NegotiatedSession, lacks_of, no_common
from pymachine.transport.paramiko_errors import quieten, vendor_errors
from pymachine.transport.proxy import ProgramSocket, program_words

_ED25519 = ("ssh-ed25519",)
_ECDSA = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_EVERYTHING = (*_ED25519, *_ECDSA, *_RSA)
# sshd's own words before it hangs up, on load (MaxStartups) and on penalties: passing states, both.
_BUSY = (b"Exceeded MaxStartups", b"Not allowed at this time")


@dataclass(frozen=True, slots=True)
class Target:
    """A host to log in to: address, user, keys, and acceptable host keys.

    ``proxy`` is the proxy program, as in ``SshAddress``.
    """

    host: str
    port: int
    user: str
    keys: KeyChoice
    expected: Expected
    proxy: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """``host:port``."""
        return place(self.host, self.port)

    @property
    def who(self) -> str:
        """``user@host:port``."""
        return f"{self.user}@{self.where}"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What opening a session needs besides its target."""

    asker: Asker
    notice: Callable[[str], None]
    ring: KeyRing
    deadline: Deadline


def open_session(target: Target, around: Circumstances, via: paramiko.Transport | None = None) -> paramiko.Transport:
    """Return a logged-in session; ``via`` carries it if the target is behind a jump host.

    Raises ``Unreachable``, ``HostKeyMismatch``, ``AuthFailed``, ``UsageFault``.
    """
    session = _with_good_key(target, around, via)
    try:
        with agent_keys(target.keys.agent) as agent, vendor_errors(f"logging in as {target.who}"):
            log_in(session, target.who, target.keys.identities(agent, around.ring, around.asker), around.deadline)
    except BaseException:
        session.close()
        raise
    session.set_keepalive(keepalive.INTERVAL)
    return session


def host_key(session: paramiko.Transport) -> PublicKey:
    """Return the host key that the session was opened with."""
    return public_key(session.get_remote_server_key())


def _with_good_key(target: Target, around: Circumstances, via: paramiko.Transport | None) -> paramiko.Transport:
    shown: list[PublicKey] = []
    for kinds in orders(target.expected):
        session = _shake_hands(target, around.deadline, via, kinds)
        if session is None:
            continue
        key = host_key(session)
        if target.expected.accepts(key):
            return session
        session.close()
        if key not in shown:
            shown.append(key)
    raise mismatch(target, shown)


def orders(expected: Expected) -> list[tuple[str, ...]]:
    """The host key algorithms to ask for, one try after the other.

    A fingerprint does not say of which type its key is. So where the host's first choice has another one, its keys
    of the other types are looked at as well, each on a connection of its own.
    """
    if expected.kinds:
        first = [name for kind in expected.kinds for name in (_RSA if kind == "ssh-rsa" else (kind,))]
        known = [name for name in first if name in _EVERYTHING]
        return [tuple(dict.fromkeys((*known, *_EVERYTHING)))]
    if expected.fingerprints:
        return [_EVERYTHING, _ECDSA, _RSA]
    return [_EVERYTHING]


def _shake_hands(
    target: Target, deadline: Deadline, via: paramiko.Transport | None, kinds: tuple[str, ...]
) -> NegotiatedSession | None:
    """Return a session with its keys exchanged; None if the host has no host key of these kinds."""
    sock = _carried(target, via, deadline) if via else _greeted(target, deadline)
    try:
        with vendor_errors(f"opening an SSH session to {target.where}"):
            session = NegotiatedSession(sock)
            quieten(session)
            session.get_security_options().key_types = kinds
            session.banner_timeout = session.handshake_timeout = session.auth_timeout = deadline.left
            _exchange_keys(session, target, deadline)
            return session
    except BaseException as error:
        sock.close()
        if isinstance(error, NoCommonAlgorithm) and set(kinds) != set(_EVERYTHING) and _lacks_host_key(session):
            return None
        raise


def _lacks_host_key(session: NegotiatedSession) -> bool:
    return [lack.kind for lack in lacks_of(session)] == [Algorithm.HOST_KEY]


def _exchange_keys(session: NegotiatedSession, target: Target, deadline: Deadline) -> None:
    # Not start_client's own wait: past its timeout it returns as if all were well.
    done = threading.Event()
    session.start_client(event=done)
    finished = done.wait(deadline.left)
    if session.is_active() and finished:
        return
    error = session.get_exception()
    session.close()
    if isinstance(error, IncompatiblePeer):
        raise no_common(target.where, lacks_of(session)) from error
    if error is not None and not isinstance(error, EOFError):
        raise error
    raise Unreachable(
        f"{target.where} did not complete the SSH handshake" + ("" if finished else " in time"),
        hint="the host may be booting or overloaded; try again",
    )


def _greeted(target: Target, deadline: Deadline) -> socket.socket:
    """Return a socket on which an SSH server is waiting; its greeting is only looked at, not taken."""
    sock = _opened(target, deadline)
    try:
        _check_greeting(_peek(sock, deadline), target.where)
        return sock
    except BaseException as error:
        with sock:
            if isinstance(sock, ProgramSocket) and isinstance(error, Unreachable):
                raise sock.fault(target.where) from error
            raise


def _opened(target: Target, deadline: Deadline) -> socket.socket:
    if target.proxy:
        return ProgramSocket(program_words(target.proxy, target.host, target.port))
    return dial(target.host, target.port, deadline=deadline.left)


def _peek(sock: socket.socket, deadline: Deadline) -> bytes | None:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    if not poll.poll(1000 * deadline.left):
        return None
    try:
        return sock.recv(255, socket.MSG_PEEK)
    except OSError:  # reset by a peer that has no room for us yet
        return b""


def _check_greeting(greeting: bytes | None, where: str) -> None:
    if greeting is None:
        raise Unreachable(
            f"{where} accepts connections but sent no SSH greeting in time",
            hint="check the port; the host may also be booting",
        )
    if not greeting or greeting.startswith(_BUSY):
        raise Unreachable(
            f"{where} closed the connection before its SSH greeting",
            hint="the host may be booting, or have too many logins at once; try again",
        )
    if not b"SSH-".startswith(greeting[:4]) and b"SSH-" not in greeting:
        said = greeting.splitlines()[0][:60].decode(errors="replace")
        raise TransportError(f"{where} is not an SSH server: it says {said!r}", hint="check the port: --ssh-port")


def _carried(target: Target, via: paramiko.Transport, deadline: Deadline) -> paramiko.Channel:
    try:
        return via.open_channel("direct-tcpip", (target.host, target.port), ("127.0.0.1", 0), timeout=deadline.left)
    except paramiko.ChannelException as error:
        raise Unreachable(
            f"the jump host cannot reach {target.where}: {error.text}",
            hint="check the address as seen from the jump host, and AllowTcpForwarding there",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise Unreachable(f"the jump host cannot reach {target.where}: {error}") from error


def mismatch(target: Target, shown: list[PublicKey]) -> HostKeyMismatch:
    """Return the error for a host that showed these keys, none of which is acceptable."""
    with suppress(StopIteration):
        revoked = next(key for key in shown if key.fingerprint in target.expected.revoked)
        return HostKeyMismatch(
            f"{target.where} shows host key {revoked.fingerprint}, which is revoked {target.expected.source}",
            hint="do not log in: give the host a new key first",
        )
    seen = ", ".join(f"{key.fingerprint} ({key.kind})" for key in shown)
    if not target.expected.fingerprints:
        return HostKeyMismatch(
            f"{target.where} shows host key {seen}, which no known_hosts file has, and the SSH configuration "
            "refuses unknown keys (StrictHostKeyChecking)",
            hint=f"if that is its key, give it: --ssh-host-key {shown[0].fingerprint}",
        )
    wanted = ", ".join(sorted(target.expected.fingerprints))
    return HostKeyMismatch(
        f"{target.where} shows host key {seen}, but {target.expected.source} is {wanted}",
        hint=_way_out(target, shown[0]),
    )


def _way_out(target: Target, shown: PublicKey) -> str:
    warning = "the connection may be intercepted; if the host was reinstalled"
    if target.expected.source is KeySource.KNOWN_HOSTS:
        name = target.host if target.port == 22 else f"[{target.host}]:{target.port}"
        return f"{warning}: ssh-keygen -R '{name}'"
    return f"{warning}, give the new key: --ssh-host-key {shown.fingerprint}"
