"""Whether a set of certificates is consistent, and which of them have to be reissued."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from pymachine.errors import TlsError
from pymachine.model import Certificates
from pymachine.tls import profile, subject_names
from pymachine.tls.pem import belongs, issued_by, read_certificates, read_key

Part = Literal["ca", "server", "client"]

CERTIFICATE_OF: Mapping[Part, str] = {"ca": "ca.pem", "server": "server.pem", "client": "cert.pem"}
KEY_OF: Mapping[Part, str] = {"ca": "ca-key.pem", "server": "server-key.pem", "client": "key.pem"}
_LIFE_OF: Mapping[Part, timedelta] = {
    "ca": profile.CA_LIFE,
    "server": profile.SERVER_LIFE,
    "client": profile.CLIENT_LIFE,
}
_CHAIN_LIMIT = 8  # certificates between a leaf and its authority


@dataclass(frozen=True, slots=True)
class Need:
    """A reason to reissue a certificate."""

    part: Part
    reason: str


def summary(files: Mapping[str, bytes]) -> Certificates:
    """Return fingerprints, expiry times and names of a set; empty texts for missing files.

    Raises ``TlsError`` for a file that is not a certificate.
    """
    found = {part: _first(files, part) for part in CERTIFICATE_OF}
    return Certificates(
        ca=_fingerprint(found["ca"]),
        server=_fingerprint(found["server"]),
        client=_fingerprint(found["client"]),
        ca_expires=max(map(_end, _all(files, "ca")), default=""),
        server_expires=_end(found["server"]),
        client_expires=_end(found["client"]),
        sans=_names(found["server"]),
    )


def needs(
    certificates: Certificates, sans: Iterable[str], now: datetime, *, own_authority: bool = True
) -> tuple[Need, ...]:
    """Return why certificates should be reissued: missing names, expired, or a third of their lifetime or less left.

    A company's authority is not renewed: with ``own_authority`` false only its expiry is reported.
    """
    ends: Mapping[Part, str] = {
        "ca": certificates.ca_expires,
        "server": certificates.server_expires,
        "client": certificates.client_expires,
    }
    aged = [Need(part, reason) for part, end in ends.items() if (reason := _age(part, end, now, own_authority))]
    missing = [san for san in map(subject_names.normal, sans) if san not in certificates.sans]
    return (*aged, *([Need("server", f"does not name {', '.join(dict.fromkeys(missing))}")] if missing else []))


def verify_set(files: Mapping[str, bytes], *, now: datetime | None = None) -> None:
    """Check that keys fit their certificates, that ``ca.pem`` issued each of them and, given ``now``, their dates.

    Accepts whole sets and a client's three files. Raises ``TlsError`` with the file at fault.
    """
    if CERTIFICATE_OF["ca"] not in files:
        raise TlsError("ca.pem is missing", hint="without it, the engine cannot be verified")
    for part in CERTIFICATE_OF:
        _verify_pair(files, part)
        _verify_origin(files, part)
        if now is not None:
            _verify_dates(files, part, now)


def _verify_pair(files: Mapping[str, bytes], part: Part) -> None:
    where, key_where = CERTIFICATE_OF[part], KEY_OF[part]
    if key_where not in files:
        if part != "ca" and where in files:
            raise TlsError(f"{where} is there, but its key {key_where} is missing")
        return
    if where not in files:
        raise TlsError(f"{key_where} is there, but its certificate {where} is missing")
    if not belongs(read_key(files[key_where], key_where), read_certificates(files[where], where)[0]):
        raise TlsError(f"{key_where} is not the key of {where}")


def _verify_origin(files: Mapping[str, bytes], part: Part) -> None:
    """Follow the issuers from the leaf through its own file and ``ca.pem``, until an authority is reached."""
    where = CERTIFICATE_OF[part]
    authorities = read_certificates(files["ca.pem"], "ca.pem")
    if part == "ca" or where not in files:
        return
    current, *between = read_certificates(files[where], where)
    for _ in range(_CHAIN_LIMIT):
        if any(issued_by(current, authority) for authority in authorities):
            return
        above = [other for other in between if issued_by(current, other)]
        if not above:
            break
        current = above[0]
    raise TlsError(
        f"{where} was not issued by the authority in ca.pem",
        hint="the files belong to different machines or generations: take all of them from one place",
    )


def _verify_dates(files: Mapping[str, bytes], part: Part, now: datetime) -> None:
    """Check the leaf's dates; of several authorities one that is valid is enough."""
    found = _all(files, part) if part == "ca" else _all(files, part)[:1]
    if not found or any(one.not_valid_before_utc <= now < one.not_valid_after_utc for one in found):
        return
    certificate = max(found, key=lambda one: one.not_valid_after_utc)
    if certificate.not_valid_after_utc <= now:
        raise TlsError(f"{CERTIFICATE_OF[part]} expired on {_end(certificate)}")
    begin = certificate.not_valid_before_utc.isoformat()
    raise TlsError(f"{CERTIFICATE_OF[part]} is not valid before {begin}", hint="check this computer's clock")


def _age(part: Part, end: str, now: datetime, own_authority: bool) -> str | None:
    if not end:
        return None
    left = datetime.fromisoformat(end) - now
    if left <= timedelta(0):
        return f"expired on {end}"
    if left <= _LIFE_OF[part] / 3 and (part != "ca" or own_authority):
        return f"expires on {end}"
    return None


def _first(files: Mapping[str, bytes], part: Part) -> x509.Certificate | None:
    return next(iter(_all(files, part)), None)


def _all(files: Mapping[str, bytes], part: Part) -> list[x509.Certificate]:
    where = CERTIFICATE_OF[part]
    return list(read_certificates(files[where], where)) if where in files else []


def _fingerprint(certificate: x509.Certificate | None) -> str:
    return certificate.fingerprint(SHA256()).hex() if certificate else ""


def _end(certificate: x509.Certificate | None) -> str:
    return certificate.not_valid_after_utc.isoformat() if certificate else ""


def _names(certificate: x509.Certificate | None) -> tuple[str, ...]:
    if certificate is None:
        return ()
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(subject_names.text_of(name) for name in extension.value)
