"""The mark that tells a domain of ours from anybody else's: an element in its metadata."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import libvirt
from pymachine_kvm.libvirt_types import Domain

NAMESPACE = "urn:pymachine:kvm:1"
PREFIX = "pymachine"  # how virsh shows the namespace
_NO_METADATA = 80  # VIR_ERR_NO_DOMAIN_METADATA
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Keeper:
    """The store that has a machine on record: its identity, and where it was then. Empty where nobody said."""

    store: str = ""
    home: str = ""


NOBODY = Keeper()


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a domain is: the machine's id (32 hex digits) and name, and its keeper."""

    id: str
    name: str
    keeper: Keeper = NOBODY


def mark(vm: Vm, keeper: Keeper = NOBODY) -> str:
    """Return the element for the domain's ``metadata``: whose it is."""
    kept = {name: value for name, value in (("store", keeper.store), ("home", keeper.home)) if value}
    element = ET.Element(f"{{{NAMESPACE}}}machine", {"id": vm.id, "name": vm.name, **kept})
    ET.register_namespace(PREFIX, NAMESPACE)
    return ET.tostring(element, encoding="unicode")


def mark_of(domain: Domain) -> Mark | None:
    """Return the mark of a domain, None where it has none; libvirt's errors are the caller's to translate."""
    module = libvirt()
    try:
        element = ET.fromstring(domain.metadata(module.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE))
    except module.libvirtError as error:
        if error.get_error_code() != _NO_METADATA:
            raise
        return None
    keeper = Keeper(element.get("store", ""), element.get("home", ""))
    found = Mark(element.get("id", ""), element.get("name", ""), keeper)
    return found if is_id(found.id) else None


def is_id(text: str) -> bool:
    """Whether a text is a machine's id: 32 hex digits."""
    return _ID.fullmatch(text) is not None


def is_ours(domain: Domain, vm: Vm) -> bool:
    """Whether the domain carries the mark of this machine; libvirt's errors are the caller's to translate."""
    found = mark_of(domain)
    return found is not None and found.id == vm.id
