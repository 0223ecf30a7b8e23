"""The signing authority: a machine's own, or a company's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from cryptography import x509

from pymachine.errors import TlsError
from pymachine.tls import profile
from pymachine.tls.pem import belongs, read_certificates, read_key
from pymachine.tls.profile import Authority
from pymachine.user_path import read_whole

CA = "ca.pem"
CA_KEY = "ca-key.pem"


def new_authority(machine: str, now: datetime) -> Authority:
    """Return a new authority for one machine."""
    key = profile.new_key()
    certificate = profile.ca_certificate(machine, key, now)
    return Authority(certificate, profile.cert_pem(certificate), key)


def stored_authority(secrets: Mapping[str, bytes]) -> Authority:
    """Return the machine's own authority. Raises ``TlsError`` if its key is not on record."""
    if CA not in secrets or CA_KEY not in secrets:
        raise TlsError(
            "the key of the authority that signed this machine's certificates is not on record",
            hint="run `pymachine rm`, then `create` again, to get a new authority",
        )
    return _authority(secrets[CA], secrets[CA_KEY], CA, CA_KEY)


def read_authority(certificate: Path, key: Path) -> Authority:
    """Return a company's authority from two PEM files; the first certificate is the one that signs.

    Raises ``TlsError`` for files that cannot be read or used.
    """
    try:
        return _authority(read_whole(certificate), read_whole(key), str(certificate), str(key))
    except OSError as error:
        raise TlsError(f"{error.filename} cannot be read: {(error.strerror or str(error)).lower()}") from error


def _authority(pem: bytes, key_pem: bytes, where: str, key_where: str) -> Authority:
    certificate = read_certificates(pem, where)[0]
    key = read_key(key_pem, key_where)
    if not belongs(key, certificate):
        raise TlsError(
            f"{key_where} is not the key of {where}", hint="give the key that this certificate was made for"
        )
    if not _may_sign(certificate):
        raise TlsError(
            f"{where} is not a certificate authority: it may not sign certificates",
            hint="give a CA certificate (basicConstraints CA:TRUE, keyUsage keyCertSign)",
        )
    return Authority(certificate, pem, key)


def _may_sign(certificate: x509.Certificate) -> bool:
    extensions = certificate.extensions
    try:
        is_ca = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        return is_ca and extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid and is_ca
