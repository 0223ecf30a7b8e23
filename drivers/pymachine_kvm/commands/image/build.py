"""``image build``: build an image from Debian's packages."""

from __future__ import annotations

import platform
import uuid
from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.options import JSON, command, with_options
from pymachine_kvm.commands.image_output import ARCH, shelf_of, showing, tell

MIRROR_OPTION = click.option(
    "--mirror", metavar="URL", help="Archive of Debian packages.  [default: the one that apt uses here]"
)


@command()
@click.option("--with-engine/--without-engine", default=True, show_default=True, help="Include the Docker engine.")
@click.option(
    "--name", metavar="NAME", help="Name of the image. [default: RELEASE-docker; without an engine, RELEASE]"
)
@click.option(
    "--size", metavar="SIZE", default="3G", show_default=True, help="Size of the disk; machines can enlarge it."
)
@with_options((MIRROR_OPTION, ARCH, JSON))
@click.argument("release", default="debian-13")
@click.pass_obj
def build(app: App, /, release: str, **given: Any) -> None:
    """Build an image from Debian's packages, with the engine inside.

    RELEASE is debian-13 or debian-12. A build takes about a minute and needs only the archive that apt uses.
    """
    from pymachine.sizes import parse_size
    from pymachine_kvm.images.aliases import check_arch
    from pymachine_kvm.images.debian import build as make
    from pymachine_kvm.images.debian import recipe

    arch = check_arch(given["arch"] or platform.machine())
    wanted = recipe.Recipe(
        recipe.release(release, arch),
        str(uuid.uuid4()),
        with_engine=given["with_engine"],
        size=recipe.check_size(parse_size(given["size"], "--size")),
        mirror=given["mirror"],
    )
    name = given["name"] or wanted.default_name
    with showing(app, name, "building the image") as progress:
        made = make(wanted, shelf_of(app), name, app.environ, progress)
    tell(made, given["as_json"])
