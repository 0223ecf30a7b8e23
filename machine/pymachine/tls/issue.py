"""Issues certificates: all of a machine's, or one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pymachine.errors import TlsError
from pymachine.model import Certificates
from pymachine.tls import profile
from pymachine.tls.authority import CA_KEY, new_authority, stored_authority
from pymachine.tls.pem import read_certificates, read_key
from pymachine.tls.profile import Authority
from pymachine.tls.subject_names import server_names
from pymachine.tls.validity import CERTIFICATE_OF, KEY_OF, Part, needs, summary, verify_set


@dataclass(frozen=True, slots=True)
class Issued:
    """Files by name, as the store keeps them, and the record's summary of the whole set."""

    files: Mapping[str, bytes] = field(repr=False)
    certificates: Certificates


def ensure(
    name: str,
    sans: Iterable[str],
    secrets: Mapping[str, bytes],
    now: datetime,
    *,
    authority: Authority | None = None,
) -> tuple[dict[str, bytes], Certificates]:
    """Return the new files to store, and the summary of the set that they then form with ``secrets``.

    What still fits is kept. ``authority`` is a company's, to be used instead of the machine's own. Raises
    ``TlsError`` if the signing key is not on record, ``UsageFault`` for invalid names.
    """
    sans = tuple(sans)
    due = _due(name, sans, secrets, now, authority)
    fresh: dict[str, bytes] = {}
    if "ca" in due:
        fresh.update(issue(name, sans, now=now, authority=authority).files)
    else:
        if "server" in due:
            fresh.update(reissue_server(name, sans, secrets, now, authority=authority).files)
        if "client" in due:
            fresh.update(renew_client(name, secrets, now, authority=authority).files)
    whole = {**secrets, **fresh}
    return fresh, summary(whole)


def issue(name: str, sans: Iterable[str], *, now: datetime, authority: Authority | None = None) -> Issued:
    """Issue all certificates of a machine, with a new authority unless one is given.

    The key of a given authority is not among the files, because it belongs to somebody else.
    """
    signer = authority or new_authority(name, now)
    if signer.certificate.not_valid_after_utc <= now:
        raise TlsError(
            f"the authority expired on {signer.certificate.not_valid_after_utc.isoformat()}",
            hint="ask the operator of the authority for a certificate that is still valid",
        )
    files = {CERTIFICATE_OF["ca"]: signer.pem}
    if authority is None:
        files[CA_KEY] = profile.key_pem(signer.key)
    files |= _server_files(name, sans, signer, now, profile.new_key())
    files |= _client_files(name, signer, now)
    verify_set(files, now=now)
    return Issued(files, summary(files))


def reissue_server(
    name: str,
    sans: Iterable[str],
    secrets: Mapping[str, bytes],
    now: datetime,
    *,
    authority: Authority | None = None,
) -> Issued:
    """Issue a new server certificate; authority, client certificate and the server's key stay.

    The key stays so that the host never has a key and a certificate that do not match.
    """
    signer = authority or stored_authority(secrets)
    key = read_key(secrets[KEY_OF["server"]], KEY_OF["server"])
    return _completed(secrets, _server_files(name, sans, signer, now, key), now)


def renew_client(
    name: str, secrets: Mapping[str, bytes], now: datetime, *, authority: Authority | None = None
) -> Issued:
    """Issue a new client certificate with a new key; the engine accepts it without a change."""
    signer = authority or stored_authority(secrets)
    return _completed(secrets, _client_files(name, signer, now), now)


def issue_client(name: str, secrets: Mapping[str, bytes], now: datetime, life: timedelta) -> Issued:
    """Issue another client certificate with a key of its own: the files of a client, beside those on record.

    ``ca.pem`` is among them. Raises ``TlsError`` if the authority's key is not on record or the authority expired.
    """
    signer = stored_authority(secrets)
    files = {CERTIFICATE_OF["ca"]: secrets[CERTIFICATE_OF["ca"]], **_client_files(name, signer, now, life)}
    verify_set(files, now=now)
    return Issued(files, summary(files))


def issue_beside(name: str, theirs: bytes, secrets: Mapping[str, bytes], now: datetime) -> Issued:
    """Issue a client certificate of an authority of our own, for an engine that ``theirs`` issued the certificate of.

    ``secrets`` may have that authority already. ``ca.pem`` has both, ours first: a client trusts the engine by
    theirs. Raises ``TlsError``.
    """
    signer = stored_authority(secrets) if CA_KEY in secrets else new_authority(name, now)
    own = profile.cert_pem(signer.certificate)
    read_certificates(theirs, "the list of authorities on the host")
    files = {
        CERTIFICATE_OF["ca"]: own + theirs,
        CA_KEY: profile.key_pem(signer.key),
        **_client_files(name, signer, now),
    }
    verify_set(files, now=now)
    return Issued(files, summary(files))


def first_authority(pem: bytes) -> bytes:
    """Return the first certificate of a file alone. Raises ``TlsError``."""
    return profile.cert_pem(read_certificates(pem, CERTIFICATE_OF["ca"])[0])


def reissue(part: Part, name: str, sans: Iterable[str], secrets: Mapping[str, bytes], now: datetime) -> Issued:
    """Issue the certificate of ``server`` or ``client`` again with a new key, signed by the authority in ``secrets``.

    Raises ``TlsError`` if its key is not on record.
    """
    if part == "server":
        signer = stored_authority(secrets)
        return _completed(secrets, _server_files(name, sans, signer, now, profile.new_key()), now)
    return renew_client(name, secrets, now)


def _due(
    name: str, sans: tuple[str, ...], secrets: Mapping[str, bytes], now: datetime, authority: Authority | None
) -> set[Part]:
    """Return what has to be issued; a new authority means everything."""
    if any(file not in secrets for file in (*CERTIFICATE_OF.values(), KEY_OF["server"], KEY_OF["client"])):
        return {"ca"}
    if authority is not None and secrets[CERTIFICATE_OF["ca"]] != authority.pem:
        return {"ca"}
    try:
        verify_set(secrets)
    except TlsError:  # damaged by hand: nothing can be built upon it
        return {"ca"}
    found = needs(summary(secrets), (name, *sans), now, own_authority=CA_KEY in secrets)
    return {need.part for need in found}


def _completed(secrets: Mapping[str, bytes], fresh: dict[str, bytes], now: datetime) -> Issued:
    whole = {**secrets, **fresh}
    verify_set(whole)
    return Issued(fresh, summary(whole))


def _server_files(
    name: str, sans: Iterable[str], signer: Authority, now: datetime, key: profile.SigningKey
) -> dict[str, bytes]:
    certificate = profile.server_certificate(server_names(name, sans), key.public_key(), signer, now)
    return {CERTIFICATE_OF["server"]: profile.cert_pem(certificate), KEY_OF["server"]: profile.key_pem(key)}


def _client_files(
    name: str, signer: Authority, now: datetime, life: timedelta = profile.CLIENT_LIFE
) -> dict[str, bytes]:
    key = profile.new_key()
    certificate = profile.client_certificate(name, key.public_key(), signer, now, life)
    return {CERTIFICATE_OF["client"]: profile.cert_pem(certificate), KEY_OF["client"]: profile.key_pem(key)}
