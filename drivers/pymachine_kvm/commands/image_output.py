"""Common parts of the image commands: the image cache, a step that is shown, and the description of an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.output import dump, say
from pymachine.documents import to_document
from pymachine.errors import PymachineError

if TYPE_CHECKING:
    from pymachine_kvm.images.cache import Shelf
    from pymachine_kvm.images.image import Image

ARCH = click.option("--arch", metavar="ARCH", help="x86_64 or aarch64.  [default: this computer's]")


def shelf_of(app: App) -> Shelf:
    """Return the image cache of this computer."""
    from pymachine_kvm.images.cache import Shelf

    return Shelf.default(app.environ)


@contextmanager
def showing(app: App, name: str, step: str) -> Iterator[Callable[[str], None]]:
    """Report a step on an image; the yielded function takes its progress messages."""
    app.reporter.started(name, step)
    try:
        yield lambda line: app.reporter.progressed(name, step, line)
    except PymachineError as error:
        app.reporter.failed(name, step, error.message)
        raise
    app.reporter.finished(name, step)


def tell(made: Image, as_json: bool) -> None:
    """Print an image that was added to the cache."""
    if as_json:
        dump(document(made))
        return
    engine = f", engine {made.engine}" if made.engine else ""
    say(f"image {made.name} is ready: {made.arch}, {in_words(made.size)}{engine}")
    say(f"  pymachine create -d kvm --kvm-image {made.name} node1")


def document(entry: Image) -> dict[str, Any]:
    """Return an image as JSON, with its path."""
    return {**to_document(entry), "path": str(entry.path)}


def in_words(size: int) -> str:
    """Return a number of bytes for people: 1.5G, 300M."""
    return f"{size / (1 << 30):.1f}G" if size >= 1 << 30 else f"{-(-size // (1 << 20))}M"
