"""Converts paramiko's exceptions, and silences its logger; the only place that does."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko
from paramiko import auth_strategy, ber, buffered_pipe, hostkeys, packet, pkey, sftp, ssh_exception

from pymachine.errors import AuthFailed, HostKeyMismatch, NoCommonAlgorithm, TransportError, Unreachable

LOG_CHANNEL = "paramiko.transport"

# Every exception class of paramiko and what it means to us; a test fails where a new one is missing. SSHException
# itself is what paramiko raises for a session that broke or never came about, so it counts as unreachable.
VENDOR_ERRORS: dict[type[Exception], type[TransportError]] = {
    ssh_exception.SSHException: Unreachable,
    ssh_exception.AuthenticationException: AuthFailed,
    ssh_exception.PasswordRequiredException: AuthFailed,
    ssh_exception.BadAuthenticationType: AuthFailed,
    ssh_exception.PartialAuthentication: AuthFailed,
    ssh_exception.UnableToAuthenticate: AuthFailed,
    auth_strategy.AuthFailure: AuthFailed,
    ssh_exception.BadHostKeyException: HostKeyMismatch,
    ssh_exception.ChannelException: TransportError,
    ssh_exception.IncompatiblePeer: NoCommonAlgorithm,
    ssh_exception.MessageOrderError: TransportError,
    ssh_exception.ProxyCommandFailure: Unreachable,
    ssh_exception.NoValidConnectionsError: Unreachable,
    ssh_exception.CouldNotCanonicalize: Unreachable,
    ssh_exception.ConfigParseError: TransportError,
    hostkeys.InvalidHostKey: TransportError,
    packet.NeedRekeyException: TransportError,
    pkey.UnknownKeyType: TransportError,
    ber.BERException: TransportError,
    buffered_pipe.PipeTimeout: Unreachable,
    sftp.SFTPError: TransportError,
}

_HINTS: dict[type[TransportError], str] = {
    Unreachable: "the host may be booting, overloaded, or unreachable; try again",
    TransportError: "`ssh -v` to the same host shows more",
}


@contextmanager
def vendor_errors(doing: str) -> Iterator[None]:
    """Convert errors of paramiko and its sockets; ``doing`` says what was tried and where."""
    try:
        yield
    except TransportError:
        raise
    except (TimeoutError, EOFError, OSError) as error:
        reason = str(error) or "the connection was closed"
        raise Unreachable(f"{doing}: {reason}", hint=_HINTS[Unreachable]) from error
    except tuple(VENDOR_ERRORS) as error:
        kind = next(VENDOR_ERRORS[base] for base in type(error).__mro__ if base in VENDOR_ERRORS)
        raise kind(f"{doing}: {error}", hint=_HINTS.get(kind)) from error


def quieten(session: paramiko.Transport) -> None:
    """Keep paramiko's own log to itself: it prints tracebacks of errors that are reported properly anyway."""
    logger = logging.getLogger("paramiko")
    if logger.propagate:
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
    session.set_log_channel(LOG_CHANNEL)
