"""The checked values of the options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pymachine_aws.own_credentials import Credentials


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports to open; ``protocol`` is ``tcp`` or ``udp``."""

    first: int
    last: int
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Volume:
    """The root volume: ``size`` in GiB, ``throughput`` in MiB/s, ``device`` None for the image's own."""

    size: int
    kind: str
    iops: int | None = None
    throughput: int | None = None
    encrypted: bool = True
    kms_key: str | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class SshAccess:
    """How the host is reached: ``user`` None for the image's, ``via`` and ``host_key`` as the options say.

    ``address`` is ``public``, ``private`` or ``ipv6``; ``public`` says whether there is to be a public IPv4 at all,
    None for what the subnet does.
    """

    user: str | None
    port: int
    via: str
    host_key: str
    address: str
    public: bool | None
    ipv6: bool


@dataclass(frozen=True, slots=True)
class Access:
    """Who gets in: ids or names of given groups, else ``allow`` (CIDRs; empty: where we come from) for our own.

    ``ports`` are opened besides SSH's and the engine's. ``key_path`` is a private key of the user's.
    """

    groups: tuple[str, ...]
    allow: tuple[str, ...]
    ports: tuple[PortRange, ...]
    checkip_url: str
    key_pair: str | None
    import_key: bool
    key_path: str | None


@dataclass(frozen=True, slots=True)
class LaunchConfig:
    """The options, read. ``zones`` are letters or whole names, ``user_data`` is the file's text, ``market`` orders
    what to try: ``("spot",)``, ``("spot", "")``, or ``("",)``; ``spot_price`` is dollars an hour.
    ``metadata_tokens`` is ``required`` or ``optional``.
    """

    region: str | None
    profile: str | None
    endpoint_url: str | None
    credentials: Credentials | None
    zones: tuple[str, ...]
    vpc: str | None
    subnets: tuple[str, ...]
    image: str
    types: tuple[str, ...]
    volume: Volume
    access: Access
    way: SshAccess
    markets: tuple[str, ...]
    spot_price: str | None
    instance_profile: str | None
    tags: Mapping[str, str]
    user_data: str | None = field(repr=False)
    metadata_hops: int
    metadata_tokens: str
    monitoring: bool
    ebs_optimized: bool
    retries: int
