"""``image pull``: download and verify a vendor's image."""

from __future__ import annotations

import platform

import click

from pymachine.cli.app import App
from pymachine.cli.options import JSON, command, with_options
from pymachine_kvm.commands.image_output import ARCH, shelf_of, showing, tell


@command()
@click.option(
    "--from", "mirror", metavar="URL", help="Mirror to use instead of the vendor's host, with the same paths."
)
@click.option("--again", is_flag=True, help="Download the image even if it is present, and replace it.")
@with_options((ARCH, JSON))
@click.argument("name")
@click.pass_obj
def pull(app: App, name: str, mirror: str | None, again: bool, arch: str | None, as_json: bool) -> None:
    """Download a vendor's cloud image and verify its checksum.

    NAME is an alias such as debian-13 or ubuntu-24.04. An interrupted download continues where it stopped.
    """
    from pymachine_kvm.images import pull as image_pull

    with showing(app, name, "pulling the image") as progress:
        made = image_pull.pull(
            shelf_of(app), name, arch=arch or platform.machine(), mirror=mirror, progress=progress, again=again
        )
    tell(made, as_json)
