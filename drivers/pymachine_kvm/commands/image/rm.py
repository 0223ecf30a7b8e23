"""``image rm``: remove images, and libvirt's copies of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from pymachine.cli.app import App
from pymachine.cli.options import command
from pymachine.cli.output import note, say
from pymachine.cli.parallel import one_by_one
from pymachine.errors import CheckFailed, DriverError, DriverMissing, PymachineError
from pymachine_kvm.commands.image_output import shelf_of

if TYPE_CHECKING:
    from pymachine.driver import Handle, KeepsImages
    from pymachine_kvm.images.image import Image


def _complete_images(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of cached images."""
    try:
        found = shelf_of(ctx.ensure_object(App)).list()
    except PymachineError:
        return []
    return [CompletionItem(image.name) for image in found if image.name.startswith(incomplete)]


@command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=_complete_images)
@click.pass_obj
def rm(app: App, names: tuple[str, ...]) -> None:
    """Remove images and libvirt's copies of them, unless a machine uses one."""
    shelf = shelf_of(app)

    def work(name: str) -> None:
        found = shelf.entry(name)
        if found is not None:
            _drop_copies(app, found)
        shelf.remove(name)

    one_by_one(list(dict.fromkeys(names)), work, lambda name, _: say(f"image {name} is removed"))


def _drop_copies(app: App, found: Image) -> None:
    """Remove the copies of an image that drivers keep. Raises ``CheckFailed`` while machines use it."""
    for driver, handles in _keepers(app):
        try:
            standing = driver.drop_image(found.digest, handles)
        except (CheckFailed, DriverError) as error:
            if handles:
                raise
            note(f"note: copies of {found.name} were not looked for: {error.message}")
            continue
        if standing:
            raise CheckFailed(
                f"image {found.name} is in use by {', '.join(standing)}",
                hint=f"remove {'it' if len(standing) == 1 else 'them'} first: pymachine rm {' '.join(standing)}",
            )


def _keepers(app: App) -> list[tuple[KeepsImages, Sequence[Handle]]]:
    """Return the drivers that keep images, always including kvm, with the handles of their machines."""
    from pymachine.driver import KeepsImages
    from pymachine.model import Machine

    handles: dict[str, list[Handle]] = {"kvm": []}
    for record in app.store.records():
        if isinstance(record, Machine):
            handles.setdefault(record.driver, []).extend([record.handle] if record.handle else [])
    found: list[tuple[KeepsImages, Sequence[Handle]]] = []
    for name, some in handles.items():
        try:
            driver = app.wiring.load_driver(name)()
        except DriverMissing:
            if some:
                raise
            continue
        if isinstance(driver, KeepsImages):
            found.append((driver, some))
    return found
