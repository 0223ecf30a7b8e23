"""``image import``: copy an existing disk image to the image cache."""

from __future__ import annotations

import platform
from pathlib import Path

import click

from pymachine.cli.app import App
from pymachine.cli.options import JSON, command, with_options
from pymachine_kvm.commands.image_output import ARCH, shelf_of, showing, tell


@command()
@click.option("--digest", metavar="sha256=HEX", help="Expected checksum of the file.")
@with_options((ARCH, JSON))
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("name")
@click.pass_obj
def import_(app: App, file: Path, name: str, digest: str | None, arch: str | None, as_json: bool) -> None:
    """Copy a disk image, qcow2 or raw, to the image cache."""
    from pymachine_kvm.images.checksums import Digest
    from pymachine_kvm.images.pull import import_file

    wanted = Digest.read(digest) if digest else None
    with showing(app, name, "importing the image") as progress:
        made = import_file(
            shelf_of(app), file, name, arch=arch or platform.machine(), digest=wanted, progress=progress
        )
    tell(made, as_json)
