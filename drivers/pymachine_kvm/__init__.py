"""Virtual machines under libvirt, on this host or another, and the images that they boot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymachine_kvm.driver import KvmDriver
    from pymachine_kvm.options import KvmOptions

__all__ = ["KvmDriver", "KvmOptions"]


def __getattr__(name: str) -> Any:
    """Import the driver when it is asked for: the commands of images do without it."""
    if name == "KvmDriver":
        from pymachine_kvm.driver import KvmDriver

        return KvmDriver
    if name == "KvmOptions":
        from pymachine_kvm.options import KvmOptions

        return KvmOptions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
