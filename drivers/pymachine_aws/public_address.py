"""Which address others see us come from: what our own security group is opened to where nobody says otherwise."""

from __future__ import annotations

import ipaddress
import socket
import urllib.error
import urllib.request
from contextlib import closing

from pymachine.errors import DriverError, Unreachable

DEADLINE = 5.0
_LONGEST = 256  # characters of an answer that are looked at


def public_cidrs(url: str, *, deadline: float = DEADLINE) -> tuple[str, ...]:
    """Return the address that a page (``https://checkip.amazonaws.com``) sees us come from, as a range of one.

    ``deadline`` is in seconds. Raises ``Unreachable`` where the page does not answer, ``DriverError`` where it says
    something else than one address.
    """
    return (cidr_of(_fetched(url, deadline), url),)


def source_cidr(peer: str, port: int = 443) -> str | None:
    """Return the address from which this computer would talk to ``peer``, as a range of one; None without a route.

    Sends nothing: connecting a datagram socket only asks the kernel's routing table.
    """
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect((peer, port))
        except OSError:
            return None
        return _range(ipaddress.ip_address(str(probe.getsockname()[0]).partition("%")[0]))


def cidr_of(answer: str, where: str) -> str:
    """Return the one address that ``answer`` holds as ``192.0.2.1/32`` or ``2001:db8::1/128``.

    Raises ``DriverError``, with ``where`` it came from, for anything else and for addresses that nobody comes from.
    """
    text = answer.strip()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise DriverError(f"{where} does not answer with an address: {text[:40]!r}", hint=_GIVE) from None
    if address.is_unspecified or address.is_multicast:
        raise DriverError(f"{where} answers with {address}, which is not a public address", hint=_GIVE)
    return _range(address)


_GIVE = "give --aws-allow with the addresses that may reach the machine, such as 203.0.113.5/32"


def _range(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"{address}/{address.max_prefixlen}"


def _fetched(url: str, deadline: float) -> str:
    try:
        with urllib.request.urlopen(url, timeout=deadline) as answer:
            return str(answer.read(_LONGEST).decode("ascii", "replace"))
    except urllib.error.HTTPError as error:
        with error:
            raise DriverError(f"{url} does not return your public address: HTTP {error.code}", hint=_GIVE) from None
    except (OSError, ValueError) as error:  # URLError is an OSError; a cut-off answer is one, too
        raise Unreachable(f"{url} does not return your public address: {error}", hint=_GIVE) from error
