"""Engines that somebody else set up: remembered, nothing more."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NoReturn
from urllib.parse import SplitResult, urlsplit

from pymachine.addresses import check_host, check_port
from pymachine.driver import API, Handle, Instance, RecordedInstance, Remember, Request, Status, option
from pymachine.engine.der import validity
from pymachine.errors import DriverError, Unreachable, UsageFault
from pymachine.model import ENGINE_PORT, Endpoint, State
from pymachine.transport.dial import dial
from pymachine.user_path import user_path

__all__ = ["NoneDriver", "NoneOptions"]

_SIZE_LIMIT = 1_048_576
_HINTS = {
    "ssh": "for a host reached over SSH: pymachine create -d ssh --ssh-host HOST NAME",
    "unix": "a local engine needs no machine: unset DOCKER_HOST, or use a docker context",
    "http": "an engine without TLS gives root to every client; set up TLS and give tcp://HOST:2376",
}


@dataclass(frozen=True, slots=True)
class NoneOptions:
    """Where the engine answers, and the client files it wants."""

    url: str = field(default="", metadata=option("URL of the engine", metavar="tcp://HOST:PORT", required=True))
    tls_ca_cert: str | None = field(
        default=None,
        metadata=option("CA certificate to trust", metavar="FILE", env="MACHINE_TLS_CA_CERT"),
    )
    tls_client_cert: str | None = field(
        default=None, metadata=option("client certificate", metavar="FILE", env="MACHINE_TLS_CLIENT_CERT")
    )
    tls_client_key: str | None = field(
        default=None,
        metadata=option("client key, without passphrase", metavar="FILE", env="MACHINE_TLS_CLIENT_KEY"),
    )


class NoneDriver:
    """Remembers an endpoint and its client certificates."""

    api: ClassVar[int] = API
    options: ClassVar[type] = NoneOptions
    preexisting: ClassVar[bool] = True
    takes_over: ClassVar[frozenset[str]] = frozenset({"none"})

    def check(self, request: Request) -> None:
        """Refuse a URL or certificate files that cannot work; no network. Raises ``UsageFault``."""
        _endpoint(request.options.url)
        _certificates(request.options)

    def create(self, request: Request, remember: Remember) -> Instance:
        """Take the endpoint as it is."""
        endpoint = _endpoint(request.options.url)
        certificates = _certificates(request.options)
        handle = {"host": endpoint.host, "port": endpoint.port}
        remember(handle)
        return Instance(handle, endpoint=endpoint, certificates=certificates)

    def recorded(self, recorded: RecordedInstance) -> tuple[Any, Instance]:
        """Take the URL on record."""
        options = NoneOptions(url=recorded.text("URL"))
        endpoint = _endpoint(options.url)
        return options, Instance({"host": endpoint.host, "port": endpoint.port}, endpoint=endpoint)

    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """Dial the engine's port."""
        try:
            dial(*_read(handle), deadline=deadline).close()
        except Unreachable as error:
            return Status(State.UNREACHABLE, detail=error.message)
        return Status(State.RUNNING)

    def destroy(self, handle: Handle) -> None:
        """Do nothing: nothing was made."""


def _endpoint(text: str) -> Endpoint:
    if not text:
        raise UsageFault("no URL given", hint="give --url tcp://HOST:2376")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise UsageFault(f"{text!r} is not a valid URL: {error}", hint="give tcp://HOST:PORT") from error
    if url.scheme not in ("tcp", "https"):
        hint = _HINTS.get(url.scheme, "give tcp://HOST:PORT")
        raise UsageFault(f"{text!r} is not an address of an engine over TLS", hint=hint)
    if _has_more(url):
        raise UsageFault(f"{text!r} has more than a host and a port", hint="give tcp://HOST:PORT")
    return Endpoint(check_host(url.hostname or ""), ENGINE_PORT if port is None else check_port(port))


def _has_more(url: SplitResult) -> bool:
    return url.path not in ("", "/") or any((url.query, url.fragment, url.username, url.password))


def _certificates(options: Any) -> dict[str, bytes]:
    """Return the client files by the names the docker client wants; none if none was given."""
    given = {
        "ca.pem": ("--tls-ca-cert", options.tls_ca_cert),
        "cert.pem": ("--tls-client-cert", options.tls_client_cert),
        "key.pem": ("--tls-client-key", options.tls_client_key),
    }
    missing = [flag for flag, path in given.values() if path is None]
    if len(missing) == len(given):
        return {}
    if missing:
        raise UsageFault(f"{' and '.join(missing)} missing", hint="the docker client needs all three files or none")
    files = {name: _read_pem(user_path(path)) for name, (_, path) in given.items()}
    _check_authority(files["ca.pem"], options.tls_ca_cert)
    _check_pair(options)
    _check_client(files["cert.pem"], options.tls_client_cert)
    return files


def _read_pem(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_SIZE_LIMIT)
    except OSError as error:
        raise UsageFault(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}", hint="check the path and its mode"
        ) from None
    if b"-----BEGIN " not in data:
        _refuse(path, "is not in PEM format", "convert it: openssl x509 -inform der -in FILE, or openssl pkey")
    if b"ENCRYPTED" in data:
        _refuse(
            path,
            "has a passphrase, which the docker client cannot prompt for",
            "remove it: openssl pkey -in FILE -out NEW",
        )
    return data


def _check_authority(data: bytes, path: str) -> None:
    try:
        ssl.create_default_context(cadata=data.decode("ascii"))
    except (ssl.SSLError, ValueError):
        _refuse(path, "holds no certificate that can be read", "give the ca.pem that goes with the engine")
    # An authority that has ended verifies no server; the docker client would only say so at its first use.
    lives = [_life(block, path) for block in _CERTIFICATE.findall(data.decode("ascii"))]
    faults = [_fault(life) for life in lives]
    if faults and all(faults):
        _refuse(path, faults[-1], _mend(faults[-1], "renew it where it was made"))


def _check_client(data: bytes, path: str) -> None:
    fault = _fault(_life(data.decode("ascii", "replace"), path))
    if fault:
        _refuse(path, fault, _mend(fault, "have the authority of the engine issue a new one"))


def _life(pem: str, path: str) -> tuple[datetime, datetime]:
    try:
        return validity(pem)
    except ValueError as error:
        _refuse(path, f"holds no certificate that can be read: {error}", "give the files that go with the engine")


def _fault(life: tuple[datetime, datetime]) -> str:
    """Return why a certificate does not count now, empty where it does."""
    begin, end = life
    now = datetime.now(UTC)
    if end <= now:
        return f"expired on {end:%Y-%m-%d}"
    return f"{_EARLY} {begin:%Y-%m-%d %H:%M} UTC" if begin > now else ""


def _mend(fault: str, otherwise: str) -> str:
    if not fault.startswith(_EARLY):
        return otherwise
    return f"this computer's clock says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC: check it"


_EARLY = "is not valid before"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def _check_pair(options: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # An answer for the passphrase, so that OpenSSL never asks for one on the terminal.
        context.load_cert_chain(
            user_path(options.tls_client_cert), user_path(options.tls_client_key), password=lambda: ""
        )
    except (ssl.SSLError, OSError, ValueError):
        _refuse(
            options.tls_client_cert,
            f"and {options.tls_client_key} are not a certificate and its key",
            "give the cert.pem and key.pem of one client",
        )


def _refuse(path: object, what: str, hint: str) -> NoReturn:
    raise UsageFault(f"{path} {what}", hint=hint)


def _read(handle: Mapping[str, Any]) -> tuple[str, int]:
    try:
        return str(handle["host"]), int(handle["port"])
    except (KeyError, TypeError, ValueError) as error:
        raise DriverError(
            f"the record of this engine is damaged: {dict(handle)!r}", hint="remove the machine and create it again"
        ) from error
