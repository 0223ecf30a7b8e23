"""The default addresses that pymachine's security group allows."""

from __future__ import annotations

import ipaddress

from pymachine.errors import DriverError
from pymachine_aws.config import LaunchConfig
from pymachine_aws.public_address import public_cidrs, source_cidr
from pymachine_aws.site import VpcSubnet


def sources_of(wanted: LaunchConfig, subnet: VpcSubnet) -> tuple[str, ...]:
    """Return the ranges, of one address each: as the internet sees us, or as the instances' own network does.

    Raises ``DriverError`` where that network cannot be reached, ``Unreachable`` where nobody tells our address.
    """
    if wanted.access.allow:
        return wanted.access.allow
    if wanted.way.address == "public":
        return public_cidrs(wanted.access.checkip_url)
    there = subnet.cidr6 if wanted.way.address == "ipv6" else subnet.cidr
    source = source_cidr(_first_host(there)) if there else None
    if source is None:
        raise DriverError(
            f"this computer has no route to {there or 'addresses'} of {subnet.id}, which would show its own address",
            hint="give --aws-allow with the addresses that may reach the machine, such as 10.0.0.0/8",
        )
    return (source,)


def _first_host(cidr: str) -> str:
    return str(ipaddress.ip_network(cidr, strict=False).network_address + 1)
