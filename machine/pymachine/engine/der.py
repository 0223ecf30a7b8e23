"""Reads certificates, and their validity, with the standard library alone.

``ssl`` reports the validity for a peer's certificate only, and cryptography takes too long to load for ``ls``. The
structure is RFC 5280 §4.1 in the encoding of X.690 §8.1.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_UTC_TIME = 0x17
_EXPLICIT_VERSION = 0xA0


def validity(pem: str) -> tuple[datetime, datetime]:
    """Return the begin and the end of validity of the first certificate in ``pem``. Raises ``ValueError``."""
    return next(_validities(pem))


def validity_of_authorities(pem: str, now: datetime) -> tuple[datetime, datetime]:
    """Return the begin and the end of validity of a bundle of authorities, any of which lets an engine in.

    That is of one that is valid ``now``, or else of the one that ends last. Raises ``ValueError``.
    """
    found = list(_validities(pem))
    return next((dates for dates in found if dates[0] <= now < dates[1]), max(found, key=lambda dates: dates[1]))


def certificates_in(pem: str) -> Iterator[bytes]:
    """Yield the certificates in ``pem`` as DER, at least one. Raises ``ValueError``."""
    start, count = 0, 0
    while (begin := pem.find(_BEGIN, start)) >= 0 or not count:
        start = pem.find(_END, begin) + len(_END)
        if begin < 0 or start < len(_END):
            raise ValueError("no certificate")
        count += 1
        yield ssl.PEM_cert_to_DER_cert(pem[begin:start])


def _validities(pem: str) -> Iterator[tuple[datetime, datetime]]:
    for der in certificates_in(pem):
        try:
            yield _validity(der)
        except IndexError as error:
            raise ValueError("the certificate is cut short") from error


def _validity(der: bytes) -> tuple[datetime, datetime]:
    _, certificate, _ = _element(der)
    _, rest, _ = _element(certificate)
    if rest[0] == _EXPLICIT_VERSION:
        _, _, rest = _element(rest)
    for _ in range(3):  # serial number, signature algorithm, issuer
        _, _, rest = _element(rest)
    _, dates, _ = _element(rest)
    kind, begin, rest = _element(dates)
    kind_of_end, end, _ = _element(rest)
    return _time(kind, begin), _time(kind_of_end, end)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Return tag and content of the first element, and the rest."""
    length, start = data[1], 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[2 : 2 + size], "big"), 2 + size
    return data[0], data[start : start + length], data[start + length :]


def _time(kind: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if kind == _UTC_TIME:  # two digits for the year, of 1950 to 2049
        text = ("19" if text >= "50" else "20") + text
    if len(text) != len("YYYYMMDDhhmmssZ") or not text[:-1].isdigit() or text[-1] != "Z":
        raise ValueError(f"{text!r} is not a time of a certificate")
    year, *others = (int(text[:4]), *(int(text[at : at + 2]) for at in range(4, 14, 2)))
    month, day, hour, minute, second = others
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
