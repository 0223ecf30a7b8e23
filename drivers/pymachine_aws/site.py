"""Where an instance can be launched: what the account offers for the options, before anything is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AmiChoice:
    """An AMI. ``arch`` is ``x86_64`` or ``arm64``, ``size`` its root volume's least size in GiB."""

    id: str
    name: str
    arch: str
    device: str
    size: int
    user: str


@dataclass(frozen=True, slots=True)
class VpcSubnet:
    """A subnet; ``public`` says whether it gives out public IPv4 addresses, ``ipv6`` whether it has a block.

    ``cidr`` and ``cidr6`` are its ranges of private and of IPv6 addresses, empty where there is none.
    """

    id: str
    zone: str
    vpc: str
    public: bool
    ipv6: bool
    cidr: str = ""
    cidr6: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One launch to try: an instance type with its image in a subnet; ``market`` is ``spot`` or empty."""

    type: str
    image: AmiChoice
    subnet: VpcSubnet
    market: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """The attempts, in the order in which they are to be made, all of one VPC; and the ids of given groups."""

    vpc: str
    attempts: tuple[Attempt, ...]
    groups: tuple[str, ...] = ()
