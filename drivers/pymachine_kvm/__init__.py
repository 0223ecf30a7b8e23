"""Virtual machines under libvirt, on this host or another."""

from __future__ import annotations

from pymachine_kvm.driver import KvmDriver
from pymachine_kvm.options import KvmOptions

__all__ = ["KvmDriver", "KvmOptions"]
