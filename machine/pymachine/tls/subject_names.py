"""The names and addresses in a server certificate. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from cryptography import x509

from pymachine.errors import UsageFault

LOCAL = ("localhost", "127.0.0.1", "::1")
NAME_LIMIT = 253  # RFC 1035 §2.3.4

# Underscores are not for host names by RFC 1123, but Compose and Windows use them, and Go's verifier takes them.
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_LIKE_IPV4 = re.compile(r"[0-9]+(\.[0-9]+){3}", re.ASCII)


def server_names(name: str, sans: Iterable[str]) -> list[x509.GeneralName]:
    """Return the names of a server certificate: the machine's name, ``sans``, and the host's own names.

    Each is included once, in the given order. Raises ``UsageFault`` for a text that cannot be in a certificate.
    """
    return list(dict.fromkeys(general_name(text) for text in (name, *sans, *LOCAL)))


def general_name(text: str) -> x509.GeneralName:
    """Return an address or a DNS name in X.509's form; international names in their ASCII form.

    ``*`` may replace the first label of three or more. Raises ``UsageFault``.
    """
    address = _address(text)
    return x509.IPAddress(address) if address is not None else x509.DNSName(_dns_name(text))


def text_of(name: x509.GeneralName) -> str:
    """Return a name of a certificate as text."""
    return str(name.value)


def normal(text: str) -> str:
    """Return ``text`` in the form that a certificate has. Raises ``UsageFault``."""
    return text_of(general_name(text))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        # A zone (fe80::1%eth0) means something on one host only, so certificates have none.
        return ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None


def _dns_name(text: str) -> str:
    ascii_name = _to_ascii(text.removesuffix(".")).lower()
    labels = ascii_name.split(".")
    if labels[0] == "*" and len(labels) > 2:
        labels = labels[1:]
    fits = len(ascii_name) <= NAME_LIMIT and all(_LABEL.fullmatch(label) for label in labels)
    if not fits or _LIKE_IPV4.fullmatch(ascii_name):
        raise _refused(text)
    return ascii_name


def _to_ascii(text: str) -> str:
    if text.isascii():
        return text
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise _refused(text) from error


def _refused(text: str) -> UsageFault:
    return UsageFault(
        f"{text!r} is not a valid name for a certificate",
        hint="give a DNS name (node1.example.org, *.example.org) or an address, without scheme, port or path",
    )
