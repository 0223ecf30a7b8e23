from __future__ import annotations

import importlib
import logging
import pkgutil
import socket

import paramiko
import pytest

from pymachine.errors import AuthFailed, HostKeyMismatch, TransportError, Unreachable
from pymachine.transport.paramiko_errors import LOG_CHANNEL, VENDOR_ERRORS, quieten, vendor_errors


def exceptions_of_paramiko() -> set[type[Exception]]:
    found: set[type[Exception]] = set()
    for module in pkgutil.iter_modules(paramiko.__path__, "paramiko."):
        if "win" in module.name:  # only importable there
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Exception) and value.__module__.startswith("paramiko"):
                found.add(value)
    return found


def test_every_exception_of_paramiko_has_a_translation() -> None:
    found = exceptions_of_paramiko()
    assert paramiko.SSHException in found
    assert found - set(VENDOR_ERRORS) == set()


def test_the_table_has_no_dead_entries() -> None:
    assert set(VENDOR_ERRORS) - exceptions_of_paramiko() == set()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (paramiko.SSHException("Error reading SSH protocol banner"), Unreachable),
        (paramiko.AuthenticationException("no"), AuthFailed),
        (paramiko.BadAuthenticationType("no", ["password"]), AuthFailed),
        (paramiko.ChannelException(2, "Connect failed"), TransportError),
        (EOFError(), Unreachable),
        (TimeoutError(), Unreachable),
        (ConnectionResetError(104, "Connection reset by peer"), Unreachable),
    ],
)
def test_the_nearest_class_decides_and_the_message_says_what_was_done(error: Exception, kind: type) -> None:
    with pytest.raises(TransportError, match="saying hello: ") as fault, vendor_errors("saying hello"):
        raise error
    assert type(fault.value) is kind
    assert fault.value.__cause__ is error


def test_a_class_derived_from_a_known_one_is_translated_like_it() -> None:
    class Newer(paramiko.BadHostKeyException):
        def __init__(self) -> None:
            Exception.__init__(self)

        __str__ = Exception.__str__

    with pytest.raises(HostKeyMismatch), vendor_errors("x"):
        raise Newer


def test_our_own_errors_pass_unchanged() -> None:
    own = AuthFailed("mine")
    with pytest.raises(AuthFailed) as fault, vendor_errors("x"):
        raise own
    assert fault.value is own


def test_paramiko_prints_nothing_on_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    left, right = socket.socketpair()
    session = paramiko.Transport(left)
    quieten(session)
    logging.getLogger(LOG_CHANNEL).error("a traceback")
    session.close()
    left.close()
    right.close()
    assert capfd.readouterr() == ("", "")
