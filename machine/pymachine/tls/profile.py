"""The profile of certificates: P-256 and the extensions that Go, OpenSSL's strict mode and pyca require."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=397)  # the longest that browsers and their verifiers take
CLIENT_LIFE = timedelta(days=365)
BACKDATE = timedelta(hours=1)  # for hosts whose clock is somewhat behind

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey

_COMMON_NAME_LIMIT = 64  # RFC 5280, ub-common-name
_NAME_ROOM = 45  # what "pymachine " and a fingerprint leave of it


@dataclass(frozen=True, slots=True)
class Authority:
    """A signing certificate, its key, and the text that clients and engine trust (``ca.pem``)."""

    certificate: x509.Certificate
    pem: bytes
    key: SigningKey = field(repr=False)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: SigningKey) -> bytes:
    """Return the key as PKCS#8 in PEM, unencrypted, because the docker client cannot read it otherwise."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def cert_pem(certificate: x509.Certificate) -> bytes:
    """Return the certificate in PEM."""
    return certificate.public_bytes(Encoding.PEM)


def ca_certificate(machine: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """Return the self-signed certificate of a machine's authority.

    Its subject is unique to the key: of two authorities with one name, verifiers may try the wrong one and report a
    bad signature.
    """
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    subject = _common_name(f"pymachine {machine[:_NAME_ROOM]} {hashlib.sha256(der).hexdigest()[:8]}")
    builder = _begun(subject, key.public_key(), now - BACKDATE, now - BACKDATE + CA_LIFE)
    builder = builder.issuer_name(subject)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return builder.sign(key, SHA256())


def server_certificate(
    names: Sequence[x509.GeneralName], public_key: PublicKey, authority: Authority, now: datetime
) -> x509.Certificate:
    """Return a server certificate for ``names``; the first one is also its subject."""
    builder = _leaf(str(names[0].value), public_key, authority, (now, SERVER_LIFE))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _signed(builder, ExtendedKeyUsageOID.SERVER_AUTH, authority)


def client_certificate(
    machine: str, public_key: PublicKey, authority: Authority, now: datetime, life: timedelta = CLIENT_LIFE
) -> x509.Certificate:
    """Return a client certificate. It has a name in its SAN, because pyca refuses clients without one."""
    # .invalid never resolves (RFC 6761 §6.4).
    name = f"admin.{machine.lower()}.pymachine.invalid"
    builder = _leaf(f"admin.{machine}", public_key, authority, (now, life))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return _signed(builder, ExtendedKeyUsageOID.CLIENT_AUTH, authority)


def _leaf(
    subject: str, public_key: PublicKey, authority: Authority, begin_and_life: tuple[datetime, timedelta]
) -> x509.CertificateBuilder:
    now, life = begin_and_life
    end = min(now - BACKDATE + life, authority.certificate.not_valid_after_utc)
    builder = _begun(_common_name(subject), public_key, now - BACKDATE, end)
    return builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)


def _signed(
    builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier, authority: Authority
) -> x509.Certificate:
    builder = builder.issuer_name(authority.certificate.subject)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    builder = builder.add_extension(_identifier_of(authority.certificate), critical=False)
    return builder.sign(authority.key, _hash_for(authority.key))


def _begun(
    subject: x509.Name, public_key: PublicKey, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _identifier_of(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:  # a company's authority of old
        key = issuer.public_key()
        assert isinstance(key, PublicKey)
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _hash_for(key: SigningKey) -> SHA256 | None:
    """Return the hash for a key's signatures; None for Edwards curves, which hash themselves."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else SHA256()


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_COMMON_NAME_LIMIT])])
