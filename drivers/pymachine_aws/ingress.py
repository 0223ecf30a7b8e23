"""Parses address ranges and ports that pymachine's security group allows. Pure."""

from __future__ import annotations

import ipaddress
import re

from pymachine.errors import UsageFault
from pymachine_aws.config import LaunchConfig, PortRange

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp))?", re.ASCII)


def read_cidr(text: str, flag: str) -> str:
    """Return a range of IPv4 or IPv6 addresses; a lone address is a range of one. Raises ``UsageFault``."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise UsageFault(
            f"{flag}: {text!r} is not a valid address range", hint="write it like 203.0.113.0/24 or 2001:db8::/32"
        ) from None
    if "/" in text and not _is_exact(text.strip()):
        raise UsageFault(
            f"{flag}: {text!r} has address bits after its prefix",
            hint=f"give {network} for the whole range, or {text.strip().partition('/')[0]}/{network.max_prefixlen}",
        )
    return str(network)


def read_ports(text: str, flag: str) -> PortRange:
    """Return ``8080``, ``53/udp`` or ``8000-8100``, TCP unless said. Raises ``UsageFault``."""
    match = _PORT.fullmatch(text.strip().lower())
    if not match:
        raise UsageFault(f"{flag}: {text!r} is not a valid port", hint="write 8080, 53/udp or 8000-8100")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= 65535 or not 1 <= last <= 65535:
        raise UsageFault(f"{flag}: {text!r} is out of range", hint="ports are 1 to 65535")
    if first > last:
        raise UsageFault(f"{flag}: {text!r} is in descending order", hint=f"write {last}-{first}")
    return PortRange(first, last, match[3] or "tcp")


def ports_of(wanted: LaunchConfig, engine_port: int) -> list[PortRange]:
    """Return all to be open: SSH's, unless Session Manager leads there, the engine's, and those asked for."""
    numbers = [engine_port] if wanted.way.via == "ssm" else [wanted.way.port, engine_port]
    return [*(PortRange(number, number) for number in numbers), *wanted.access.ports]


def _is_exact(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True
