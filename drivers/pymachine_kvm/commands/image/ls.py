"""``image ls``: the images on this computer."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from pymachine.cli.app import App
from pymachine.cli.options import JSON, command
from pymachine.cli.output import columns, dump
from pymachine_kvm.commands.image_output import document, in_words, shelf_of

if TYPE_CHECKING:
    from pymachine_kvm.images.image import Image

HEADERS = ("NAME", "ARCH", "SIZE", "DISK", "ENGINE", "AGE", "ORIGIN")


@command()
@JSON
@click.pass_obj
def ls(app: App, as_json: bool) -> None:
    """List the images on this computer."""
    found = shelf_of(app).list()
    if as_json:
        dump([document(entry) for entry in found])
        return
    columns(HEADERS, [_cells(entry, app.wiring.now()) for entry in found])


def _cells(entry: Image, now: float) -> tuple[str, ...]:
    return (
        entry.name,
        entry.arch,
        in_words(entry.size),
        in_words(entry.virtual_size),
        entry.engine or "-",
        _age(entry.created, now),
        entry.origin,
    )


def _age(created: str, now: float) -> str:
    try:
        seconds = max(0.0, now - datetime.fromisoformat(created).timestamp())
    except ValueError:
        return "?"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return "now"
