"""Host names, ports and jump chains as people write them. Pure: no look-ups, no files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from pymachine.errors import UsageFault, ValueFault

SSH_PORT = 22

# Underscores are no DNS, but an alias of ~/.ssh/config may have them.
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?", re.ASCII)
_NUMERIC = re.compile(r"[0-9.]+", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
# What useradd and directory services let through; never a leading hyphen, which ssh would take for a flag.
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@\\$+-]*", re.ASCII)
NAME_LIMIT = 253  # RFC 1035 §2.3.4


@dataclass(frozen=True, slots=True)
class Hop:
    """One stop of a jump chain; None where the SSH configuration decides."""

    host: str
    user: str | None = None
    port: int | None = None

    @property
    def text(self) -> str:
        """``[user@]host[:port]``."""
        user = f"{self.user}@" if self.user else ""
        host = bracketed(self.host) if self.port else self.host
        return f"{user}{host}" + (f":{self.port}" if self.port else "")


def bracketed(host: str) -> str:
    """Return the host as it stands before a colon and a port."""
    return f"[{host}]" if ":" in host else host


def place(host: str, port: int) -> str:
    """Return ``host:port`` for messages."""
    return f"{bracketed(host)}:{port}"


def check_host(text: str) -> str:
    """Return an IPv4 or IPv6 literal (brackets taken off), a DNS name or an alias of the SSH configuration.

    Raises ``ValueFault``.
    """
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in host:
        return _checked_ipv6(host, text)
    if "@" in host:
        _refuse(text, "give the user separately: --ssh-user")
    if _NUMERIC.fullmatch(host):
        return _checked_ipv4(host, text)
    if host != text or len(host) > NAME_LIMIT or ".." in host or not _NAME.fullmatch(host):
        _refuse(text, "give an IPv4 or IPv6 address or a host name such as node1.example.org")
    return host


def check_user(text: str) -> str:
    """Return the account name. Raises ``ValueFault``."""
    if not _USER.fullmatch(text):
        raise ValueFault(text, "is not a valid user name", hint="give the account's name alone, such as admin")
    return text


def check_port(port: int, what: str = "port") -> int:
    """Return the port. Raises ``ValueFault`` outside 1–65535; ``what`` names it in the message."""
    if not 1 <= port <= 65535:
        raise ValueFault(None, f"{what} {port} is out of range", hint="give a number from 1 to 65535")
    return port


def parse_jump(text: str) -> tuple[Hop, ...]:
    """Return the hops of ``[user@]host[:port]`` or ``ssh://…``, joined by commas; none for ``none`` or nothing.

    Raises ``UsageFault``.
    """
    if text.strip().lower() in ("", "none"):
        return ()
    return tuple(_parse_hop(part.strip()) for part in text.split(","))


def _parse_hop(text: str) -> Hop:
    rest = text.removeprefix("ssh://").rstrip("/") if text.startswith("ssh://") else text
    user, at, place_ = rest.rpartition("@")
    host, port = _split_port(place_)
    if port is not None and not port.isdecimal():
        raise UsageFault(f"jump host {text!r} has no valid port", hint="write [user@]host[:port]")
    return Hop(check_host(host), check_user(user) if at else None, check_port(int(port)) if port else None)


def _split_port(text: str) -> tuple[str, str | None]:
    """Split ``host:port``; an IPv6 literal has to be in brackets to carry a port."""
    if text.startswith("["):
        host, _, port = text.partition("]")
        return host + "]", port[1:] if port.startswith(":") else None
    host, colon, port = text.partition(":")
    return (text, None) if not colon or ":" in port else (host, port)


def _checked_ipv4(host: str, text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        _refuse(text, "an IPv4 address is four numbers from 0 to 255")


def _checked_ipv6(host: str, text: str) -> str:
    import ipaddress

    bare, percent, zone = host.partition("%")
    try:
        address = str(ipaddress.IPv6Address(bare))
    except ValueError:
        _refuse(text, "an IPv6 address looks like 2001:db8::5; give the port separately: --ssh-port")
    if percent and not _ZONE.fullmatch(zone):
        _refuse(text, "write the name of a network interface after %")
    return address + percent + zone


def _refuse(text: str, hint: str) -> NoReturn:
    raise ValueFault(text, "is not a host", hint=hint)
