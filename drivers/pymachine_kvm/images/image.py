"""One image of the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Image:
    """A verified disk image. Sizes are in bytes.

    ``digest`` is the SHA-256 (hex) of the file; ``format`` is ``qcow2`` or ``raw``; ``virtual_size`` is the disk size
    that the guest sees. ``arch`` is ``x86_64`` or ``aarch64``. ``os_release`` is the text of the image's
    /etc/os-release, empty if unknown. ``engine`` is the version of the engine inside, empty without one. ``origin``
    says where it came from, ``created`` when (ISO 8601, UTC).
    """

    name: str
    path: Path
    digest: str
    format: str
    size: int
    virtual_size: int
    arch: str = "x86_64"
    os_release: str = ""
    engine: str = ""
    origin: str = ""
    created: str = ""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Facts about an image that its source knows; the fields are those of ``Image``."""

    arch: str = "x86_64"
    os_release: str = ""
    engine: str = ""
    origin: str = ""
