"""Virtual machines under libvirt, on this host or another."""

from __future__ import annotations

from pymachine_kvm.options import KvmOptions

__all__ = ["KvmOptions"]
