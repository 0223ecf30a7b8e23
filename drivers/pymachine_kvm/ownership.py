"""The mark that tells a domain of ours from anybody else's: an element in its metadata."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from pymachine_kvm.connection import libvirt
from pymachine_kvm.handle import Vm

NAMESPACE = "urn:pymachine:kvm:1"
PREFIX = "pymachine"  # how virsh shows the namespace
_NO_METADATA = 80  # VIR_ERR_NO_DOMAIN_METADATA


def mark(vm: Vm) -> str:
    """Return the element for the domain's ``metadata``: whose it is."""
    element = ET.Element(f"{{{NAMESPACE}}}machine", {"id": vm.id, "name": vm.name})
    ET.register_namespace(PREFIX, NAMESPACE)
    return ET.tostring(element, encoding="unicode")


def is_ours(domain: Any, vm: Vm) -> bool:
    """Whether the domain carries the mark of this machine; libvirt's errors are the caller's to translate."""
    module = libvirt()
    try:
        text = domain.metadata(module.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
    except module.libvirtError as error:
        if error.get_error_code() != _NO_METADATA:
            raise
        return False
    return ET.fromstring(text).get("id") == vm.id
