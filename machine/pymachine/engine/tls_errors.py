"""Explains TLS errors. This is the only place where errors of ``ssl`` are converted to pymachine's."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymachine.engine.der import validity, validity_of_authorities
from pymachine.errors import EngineError, PymachineError, TlsError
from pymachine.model import Endpoint
from pymachine.transport.dial import dial

FILES = ("ca.pem", "cert.pem", "key.pem")

# OpenSSL's verify codes: openssl-verification-options(1), x509_vfy.h.
_NOT_YET_VALID = 9
_EXPIRED = 10
_UNKNOWN_AUTHORITY = frozenset({2, 7, 18, 19, 20, 21, 30})
_WRONG_NAME = frozenset({62, 64})

# OpenSSL reads chains of at most 100 KiB (SSL_CTX_set_max_cert_list(3)) and verifies 100 certificates (depth).
_TOO_MUCH = frozenset({"EXCESSIVE_MESSAGE_SIZE", "CERTIFICATE_CHAIN_TOO_LONG"})

_REFUSALS = ("CERT", "UNKNOWN_CA", "ACCESS_DENIED", "DECRYPT_ERROR")


def client_context(folder: Path) -> ssl.SSLContext:
    """Return a context that trusts only ``ca.pem`` and presents ``cert.pem``. Raises ``TlsError`` for bad files."""
    _refuse_missing(folder)
    _refuse_expired(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A company's intermediate authority may stand in ca.pem without its root; the docker client takes it as well.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(folder / "ca.pem")
        # The password is never asked for on the terminal: an encrypted key fails.
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem", password=b"")
    except OSError as error:  # ssl.SSLError is one
        raise TlsError(
            f"the client files in {folder} cannot be used: {_reason(error)}", hint=_again(folder.name)
        ) from error
    return context


def server_name(endpoint: Endpoint) -> str:
    """Return the name or address that the server's certificate must have, without the zone of IPv6."""
    return endpoint.host.partition("%")[0]


@contextmanager
def explained(endpoint: Endpoint, folder: Path, context: ssl.SSLContext, left: Callable[[], float]) -> Iterator[None]:
    """Convert errors of ``ssl`` to ``TlsError`` or ``EngineError``; timeouts pass.

    ``left`` returns the seconds for a second connection that reads the names of a wrong certificate.
    """
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _WRONG_NAME:
            raise _wrong_name(endpoint, folder, _names_shown(endpoint, context, left)) from error
        raise _untrusted(endpoint, folder, error) from error
    except ssl.SSLError as error:
        raise _refused(endpoint, folder, error) from error
    except ConnectionError as error:
        raise _hung_up(endpoint, error) from error


def _refuse_missing(folder: Path) -> None:
    missing = [file for file in FILES if not os.path.isfile(f"{folder}/{file}")]  # noqa: PTH113 - of many machines
    if missing:
        raise TlsError(f"{folder} lacks {', '.join(missing)}", hint=_again(folder.name))


def _refuse_expired(folder: Path) -> None:
    """Refuse an expired client certificate, because the server would only say "bad certificate"."""
    for file, what in (("cert.pem", "client certificate"), ("ca.pem", "authority")):
        now = datetime.now(UTC)
        try:
            text = (folder / file).read_text()
            begin, end = validity_of_authorities(text, now) if file == "ca.pem" else validity(text)
        except (ValueError, OSError) as error:
            raise TlsError(
                f"{folder / file} is not a valid certificate: {_reason(error)}", hint=_again(folder.name)
            ) from error
        if end <= now:
            raise TlsError(
                f"the {what} of {folder.name} expired on {end:%Y-%m-%d %H:%M} UTC", hint=_again(folder.name)
            )
        if begin > now:
            raise TlsError(
                f"the {what} of {folder.name} is not valid before {begin:%Y-%m-%d %H:%M} UTC",
                hint=f"this computer's clock says {now:%Y-%m-%d %H:%M} UTC: correct it",
            )


def _untrusted(endpoint: Endpoint, folder: Path, error: ssl.SSLCertVerificationError) -> TlsError:
    code, url = error.verify_code, endpoint.url
    if code == _EXPIRED:
        return TlsError(f"the server certificate of {url} has expired", hint=_again(folder.name))
    if code == _NOT_YET_VALID:
        return TlsError(
            f"the server certificate of {url} is not valid yet", hint="compare this computer's clock with the host's"
        )
    if code in _UNKNOWN_AUTHORITY:
        return TlsError(
            f"another engine answers at {url}: its certificate is not from the authority of {folder.name}",
            hint=f"if the host was set up again, {_again(folder.name)}; else see which host has that address now",
        )
    return TlsError(f"the server certificate of {url} cannot be trusted: {error.verify_message}")


def _wrong_name(endpoint: Endpoint, folder: Path, names: tuple[str, ...]) -> TlsError:
    shown = f", only {', '.join(names)}" if names else ""
    return TlsError(
        f"the server certificate of {endpoint.url} does not name {server_name(endpoint)}{shown}",
        hint=f"{_again(folder.name)}, with --tls-san {server_name(endpoint)} if that is a further name of the host",
    )


def _refused(endpoint: Endpoint, folder: Path, error: ssl.SSLError) -> PymachineError:
    reason = error.reason or ""
    if "ALERT" in reason and any(word in reason for word in _REFUSALS):
        return TlsError(
            f"{endpoint.url} refused the client certificate of {folder.name}: {_words(reason)}",
            hint=f"the engine trusts another authority, or its clock is wrong; {_again(folder.name)}",
        )
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return _hung_up(endpoint, error)
    if "ALERT" in reason:
        return TlsError(f"TLS with {endpoint.url} failed: {_words(reason)}")
    if reason in _TOO_MUCH:
        return TlsError(
            f"TLS with {endpoint.url} failed: its certificates are larger than 100 KiB",
            hint="an engine shows one certificate, or two with its authority; something else listens there",
        )
    return TlsError(
        f"{endpoint.url} does not speak TLS ({_words(reason) or error})",
        hint="an engine without TLS accepts every client; or something else listens on that port",
    )


def _hung_up(endpoint: Endpoint, error: OSError) -> EngineError:
    return EngineError(
        f"{endpoint.url} closed the connection without an answer: {_reason(error)}",
        hint="the engine may just be starting; if this persists, check its log on the host",
    )


def _names_shown(endpoint: Endpoint, context: ssl.SSLContext, left: Callable[[], float]) -> tuple[str, ...]:
    """Return the names of the certificate by a second connection that checks only the authority; nothing is sent."""
    context.check_hostname = False
    with suppress(PymachineError, OSError):
        with dial(endpoint.host, endpoint.port, deadline=left()) as plain:
            plain.settimeout(left())
            with context.wrap_socket(plain) as secured:
                certificate: dict[str, Any] = dict(secured.getpeercert() or {})
        return tuple(str(value) for _, value in certificate.get("subjectAltName", ()))
    return ()


def _again(name: str) -> str:
    return f"`pymachine provision {name}` creates and installs new certificates"


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return _words(reason) if reason else str(error)


def _words(reason: str) -> str:
    return reason.replace("_", " ").lower()
