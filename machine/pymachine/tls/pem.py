"""Reads PEM files, which may be damaged; converts cryptography's errors."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pymachine.errors import TlsError
from pymachine.tls.profile import SigningKey

_KINDS = (
    ec.EllipticCurvePrivateKey,
    rsa.RSAPrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
)


def read_certificates(pem: bytes, where: str) -> list[x509.Certificate]:
    """Return the certificates of a PEM file, at least one. Raises ``TlsError``; ``where`` names the file."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise TlsError(
            f"{where} is not a PEM certificate", hint="it should begin with -----BEGIN CERTIFICATE-----"
        ) from error


def read_key(pem: bytes, where: str) -> SigningKey:
    """Return the private key of a PEM file. Raises ``TlsError``, also for an encrypted one."""
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise TlsError(
            f"{where} is encrypted with a passphrase, which neither the docker client nor the engine supports",
            hint=f"`openssl pkey -in {where}` writes it without one",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TlsError(f"{where} is not a PEM private key") from error
    if not isinstance(key, _KINDS):
        raise TlsError(f"{where} is a key of an unsupported type", hint="use ECDSA, RSA or Ed25519")
    return key


def belongs(key: SigningKey, certificate: x509.Certificate) -> bool:
    """Whether the certificate was issued for this key."""
    try:
        return key.public_key() == certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether ``issuer`` signed the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
