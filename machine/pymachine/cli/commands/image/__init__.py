"""``image``: the images that virtual machines boot."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "build": "Make an image of Debian's packages, with the engine inside.",
    "import": "Copy a disk image, qcow2 or raw, to the shelf.",
    "ls": "List the images on this computer.",
    "pull": "Fetch a vendor's cloud image and check it against the vendor's checksums.",
    "rm": "Remove images, and their copies where machines run; not under a machine that stands on one.",
}


@group(__name__, COMMANDS)
def image() -> None:
    """Manage the images that virtual machines boot."""
