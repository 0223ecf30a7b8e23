"""``image``: the images that virtual machines boot."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "build": "Build an image from Debian's packages, with the engine inside.",
    "import": "Copy a disk image, qcow2 or raw, to the image cache.",
    "ls": "List the images on this computer.",
    "pull": "Download a vendor's cloud image and verify its checksum.",
    "rm": "Remove images and libvirt's copies of them, unless a machine uses one.",
}


@group(__name__, COMMANDS)
def image() -> None:
    """Manage the images that virtual machines boot."""
