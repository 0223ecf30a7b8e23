"""The images of the test EC2: names, owners and devices as AWS shows them, and the parameters that point at them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from typing_extensions import override

CANONICAL = "099720109477"
DEBIAN = "136693071363"
AMAZON = "137112412989"


@dataclass(frozen=True)
class Image:
    """One image: its name, whose it is, when it was made, and the size of its snapshot in GiB."""

    name: str
    owner: str
    made: datetime
    architecture: str
    device: str
    size: int = 8
    alias: str = ""
    parameters: tuple[str, ...] = ()

    def id(self, region: str) -> str:
        """Each region has its own copy with its own id."""
        return f"ami-{hashlib.sha256(f'{region} {self.name}'.encode()).hexdigest()[:17]}"


def _ubuntu() -> Iterator[Image]:
    for release, code, disk, serials in (
        ("24.04", "noble", "gp3", ("20250305", "20250610")),
        ("22.04", "jammy", "gp2", ("20250112", "20250530")),
    ):
        folder = "hvm-ssd-gp3" if disk == "gp3" else "hvm-ssd"
        for word in ("amd64", "arm64"):
            for serial in serials:
                name = f"ubuntu/images/{folder}/ubuntu-{code}-{release}-{word}-server-{serial}"
                path = f"/aws/service/canonical/ubuntu/server/{release}/stable/current/{word}/hvm/ebs-{disk}/ami-id"
                newest = (path,) if serial == serials[-1] else ()
                yield Image(name, CANONICAL, _day(serial), _architecture(word), "/dev/sda1", parameters=newest)


def _debian() -> Iterator[Image]:
    for release, serials in (("12", ("20250316-2053", "20250814-2204")), ("13", ("20250808-2198", "20250814-2204"))):
        for word in ("amd64", "arm64"):
            for serial in serials:
                path = f"/aws/service/debian/release/{release}/latest/{word}"
                newest = (path,) if serial == serials[-1] else ()
                name = f"debian-{release}-{word}-{serial}"
                yield Image(name, DEBIAN, _day(serial), _architecture(word), "/dev/xvda", parameters=newest)


def _amazon() -> Iterator[Image]:
    stem = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel"
    for word in ("x86_64", "arm64"):
        for version, serial in (("2023.7.20250512.0", "20250512"), ("2023.8.20250707.0", "20250707")):
            paths = (f"{stem}-default-{word}", f"{stem}-6.1-{word}") if serial == "20250707" else ()
            name = f"al2023-ami-{version}-kernel-6.1-{word}"
            yield Image(name, AMAZON, _day(serial), word, "/dev/xvda", alias="amazon", parameters=paths)


def _day(serial: str) -> datetime:
    return datetime.strptime(serial[:8], "%Y%m%d").replace(tzinfo=UTC)


def _architecture(word: str) -> str:
    return "x86_64" if word == "amd64" else word


IMAGES = (*_ubuntu(), *_debian(), *_amazon())


def parameter(name: str, region: str) -> str | None:
    """The image id that a public parameter holds in a region; None when there is no such parameter."""
    return next((image.id(region) for image in IMAGES if name in image.parameters), None)


class ListedImage(Ami):
    """moto's image with the mappings that its makers gave it."""

    def __init__(self, backend: EC2Backend, image: Image) -> None:
        super().__init__(
            backend,
            image.id(backend.region_name),
            name=image.name,
            description=image.name,
            owner_id=image.owner,
            owner_alias=image.alias or None,
            public=True,
            virtualization_type="hvm",
            architecture=image.architecture,
            creation_date=image.made,
            hypervisor="xen",
            image_location=f"{image.owner}/{image.name}",
            root_device_type="ebs",
            root_device_name=image.device,
            region_name=f"{backend.region_name}a",
            boot_mode="uefi-preferred",
        )
        self.size = image.size
        self.ephemeral = image.owner == CANONICAL
        self.ebs_snapshot.volume.size = image.size

    @property
    @override
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """The root from its snapshot, and for Ubuntu the two instance store devices that hardly any type has."""
        disk = {
            "SnapshotId": self.ebs_snapshot.id,
            "VolumeSize": self.size,
            "DeleteOnTermination": True,
            "VolumeType": "gp3",
            "Encrypted": False,
        }
        found: list[dict[str, Any]] = [{"DeviceName": self.root_device_name, "Ebs": disk}]
        if self.ephemeral:
            found += [{"DeviceName": f"/dev/sd{c}", "VirtualName": f"ephemeral{n}"} for n, c in enumerate("bc")]
        return found


def fill(backend: EC2Backend) -> None:
    """Give a region its images, once after every reset."""
    if not backend.amis:
        for image in IMAGES:
            listed = ListedImage(backend, image)
            backend.amis[listed.id] = listed
