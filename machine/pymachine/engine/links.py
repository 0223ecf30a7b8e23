"""The network interfaces of a host as ``ip`` shows them: the host's own addresses, and the engine's networks.

The name of a bridge does not tell its owner. The engine names its own bridges; a bridge with a port that leads out,
or with the default route, belongs to the host.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymachine.documents import from_document

# What other managers of containers and virtual machines call the interfaces that lead to their guests, as a whole.
_GUESTS = re.compile(
    r"(virbr|lxcbr|lxdbr|incusbr|mpqemubr|cni|podman|cni-podman|vboxnet|vmnet|kube-ipvs|flannel[.-]?|tunl)[0-9]+(-nic)?"
    r"|flannel\.v4|weave|kube-bridge|nodelocaldns|cilium_(host|net|vxlan)|(cali|lxc|vnet|tap|veth)[0-9a-f]{2,}|veth[0-9]+"
    r"|antrea-gw[0-9]+|ovn-k8s-mp[0-9]+"
)
# The engine's, where it cannot be asked.
_ENGINES = re.compile(r"docker[0-9]|docker_gwbridge|br-[0-9a-f]{12}")
_TO_GUESTS = frozenset({"veth", "tun"})
_PASSING = frozenset({"temporary", "deprecated", "tentative"})
_BRIDGE_NAME = "com.docker.network.bridge.name"


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """The kind of an interface (``bridge``, ``veth``, ``bond``, …), as ``ip -d`` calls it."""

    info_kind: str = ""


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """One address of an interface. The flags are those of temporary addresses."""

    family: str = ""
    local: str = ""
    prefixlen: int = 0
    scope: str = ""
    temporary: bool = False
    deprecated: bool = False
    tentative: bool = False

    @property
    def lasting(self) -> bool:
        """Whether the address can be advertised."""
        return not (self.temporary or self.deprecated or self.tentative)


@dataclass(frozen=True, slots=True)
class Link:
    """One interface, with the names of ``ip -json``; ``linkinfo`` is None for hardware, and if unknown."""

    ifname: str
    addr_info: tuple[LinkAddress, ...] = ()
    linkinfo: LinkInfo | None = None
    master: str | None = None

    @property
    def kind(self) -> str:
        """The kind, empty for hardware and if ``ip`` cannot tell."""
        return self.linkinfo.info_kind if self.linkinfo else ""

    @property
    def addresses(self) -> tuple[LinkAddress, ...]:
        """The addresses that are valid beyond this host."""
        families = ("inet", "inet6")
        return tuple(one for one in self.addr_info if one.scope == "global" and one.family in families and one.local)


def links_of(document: Any, lines: Sequence[str]) -> tuple[Link, ...]:
    """Return the interfaces from the JSON of ``ip -json -d addr show``, or from the lines of ``ip -o addr``.

    Raises ``TypeError`` or ``ValueError`` for a wrong shape.
    """
    if document is None:
        return _by_lines(lines)
    if not isinstance(document, list):
        raise TypeError("interfaces are a list")
    return tuple(from_document(Link, one) for one in document if one)


def _by_lines(lines: Sequence[str]) -> tuple[Link, ...]:
    found: dict[str, list[LinkAddress]] = {}
    for words in map(str.split, lines):
        if len(words) > 3 and words[2] in ("inet", "inet6"):
            local, _, bits = words[3].partition("/")
            flags = {flag: flag in words for flag in _PASSING}
            size = int(bits) if bits.isdigit() and len(bits) < 4 else 0
            found.setdefault(words[1].partition("@")[0], []).append(
                LinkAddress(words[2], local, size, "global", **flags)
            )
    return tuple(Link(name, tuple(addresses)) for name, addresses in found.items())


@dataclass(frozen=True, slots=True)
class _Network:
    Id: str
    Driver: str = "bridge"
    Options: Mapping[str, str] | None = None

    @property
    def bridge(self) -> str:
        return (self.Options or {}).get(_BRIDGE_NAME) or f"br-{self.Id[:12]}"


def bridge_names(networks: Any) -> frozenset[str] | None:
    """Return the bridges of an engine from its list of networks, None if it gave none.

    Raises ``TypeError`` or ``ValueError`` for a wrong shape.
    """
    if networks is None:
        return None
    if not isinstance(networks, list):
        raise TypeError("networks are a list")
    read = [from_document(_Network, one) for one in networks]
    return frozenset(
        (one.Options or {}).get(_BRIDGE_NAME) or f"br-{one.Id[:12]}" for one in read if one.Driver == "bridge"
    )


def own_addresses(links: Sequence[Link], bridges: Collection[str] | None, routes: Collection[str]) -> tuple[str, ...]:
    """Return the host's own lasting addresses.

    ``bridges`` are the engine's, None if it could not be asked; ``routes`` are the interfaces of default routes.
    """
    found = [
        address.local
        for link in links
        if _leads_out(link, links, routes) or not (_is_engines(link, bridges) or _GUESTS.fullmatch(link.ifname))
        for address in link.addresses
        if address.lasting
    ]
    return tuple(dict.fromkeys(found))


def engine_networks(links: Sequence[Link], bridges: Collection[str] | None) -> tuple[str, ...]:
    """Return the networks of the engine's own bridges, as ``ADDRESS/BITS`` of the bridge in them."""
    found = [f"{one.local}/{one.prefixlen}" for link in links if _is_engines(link, bridges) for one in link.addresses]
    return tuple(dict.fromkeys(found))


def _is_engines(link: Link, bridges: Collection[str] | None) -> bool:
    return link.ifname in bridges if bridges is not None else bool(_ENGINES.fullmatch(link.ifname))


def _leads_out(link: Link, links: Sequence[Link], routes: Collection[str]) -> bool:
    ports = [one for one in links if one.master == link.ifname]
    return link.ifname in routes or any(port.kind not in _TO_GUESTS for port in ports)
