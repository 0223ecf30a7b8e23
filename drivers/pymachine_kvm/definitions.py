"""The XML of every domain of libvirt, to find the users of a network, a MAC, a port or a volume."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from pymachine_kvm.libvirt_api import NO_DOMAIN, code_of, libvirt, translated
from pymachine_kvm.libvirt_types import Connection


def definitions(connection: Connection) -> Iterator[ET.Element]:
    """Yield the root element of each domain's XML; one that is removed meanwhile is left out."""
    with translated("looking at the domains"):
        for domain in connection.listAllDomains():
            try:
                yield ET.fromstring(domain.XMLDesc(0))
            except libvirt().libvirtError as error:
                if code_of(error) != NO_DOMAIN:
                    raise


def uuid_of(root: ET.Element) -> str:
    """Return a domain's UUID as the record writes machine ids: hex digits only."""
    return (root.findtext("uuid") or "").replace("-", "")
