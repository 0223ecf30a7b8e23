"""``image ls``, ``pull``, ``build``, ``import``, ``rm``: what virtual machines boot."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from pymachine.cli.app import App
from pymachine.cli.options import JSON, command, with_options
from pymachine.cli.output import columns, dump, note, say
from pymachine.cli.parallel import one_by_one
from pymachine.documents import to_document
from pymachine.errors import CheckFailed, DriverError, DriverMissing, PymachineError

if TYPE_CHECKING:
    from pymachine.driver import Handle, KeepsImages
    from pymachine.images.cache import Shelf
    from pymachine.images.image import Image

HEADERS = ("NAME", "ARCH", "SIZE", "DISK", "ENGINE", "AGE", "ORIGIN")
MIRROR_OPTION = click.option(
    "--mirror", metavar="URL", help="Archive of Debian packages.  [default: the one that apt uses here]"
)
ARCH = click.option("--arch", metavar="ARCH", help="x86_64 or aarch64.  [default: this computer's]")


def _complete_images(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names on the shelf."""
    try:
        found = _shelf(ctx.ensure_object(App)).list()
    except PymachineError:
        return []
    return [CompletionItem(image.name) for image in found if image.name.startswith(incomplete)]


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def image(ctx: click.Context) -> None:
    """Manage the images that virtual machines boot."""
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


@command()
@JSON
@click.pass_obj
def ls(app: App, as_json: bool) -> None:
    """List the images on this computer."""
    found = _shelf(app).list()
    if as_json:
        dump([_document(entry) for entry in found])
        return
    columns(HEADERS, [_cells(entry, app.wiring.now()) for entry in found])


@command()
@click.option(
    "--from", "mirror", metavar="URL", help="Mirror to use instead of the vendor's host, with the same paths."
)
@click.option("--again", is_flag=True, help="Fetch the image even if it is present, and replace it.")
@with_options((ARCH, JSON))
@click.argument("name")
@click.pass_obj
def pull(app: App, name: str, mirror: str | None, again: bool, arch: str | None, as_json: bool) -> None:
    """Fetch a vendor's cloud image and check it against the vendor's checksums.

    NAME is an alias such as debian-13 or ubuntu-24.04. A download that was cut off goes on where it stopped.
    """
    from pymachine.images import pull as image_pull

    with _showing(app, name, "pulling the image") as progress:
        made = image_pull.pull(
            _shelf(app), name, arch=arch or platform.machine(), mirror=mirror, progress=progress, again=again
        )
    _tell(made, as_json)


@command()
@click.option("--with-engine/--without-engine", default=True, show_default=True, help="Include the Docker engine.")
@click.option(
    "--name", metavar="NAME", help="[default: NAME-docker of the release; without an engine, the release's name]"
)
@click.option(
    "--size", metavar="SIZE", default="3G", show_default=True, help="Size of the disk; machines can enlarge it."
)
@with_options((MIRROR_OPTION, ARCH, JSON))
@click.argument("release", default="debian-13")
@click.pass_obj
def build(app: App, /, release: str, **given: Any) -> None:
    """Make an image of Debian's packages, with the engine inside.

    RELEASE is debian-13 or debian-12. It takes about a minute and needs nothing but the archive that apt uses.
    """
    from pymachine.images.aliases import check_arch
    from pymachine.images.debian import build as make
    from pymachine.images.debian import recipe
    from pymachine.sizes import parse_size

    arch = check_arch(given["arch"] or platform.machine())
    wanted = recipe.Recipe(
        recipe.release(release, arch),
        str(uuid.uuid4()),
        with_engine=given["with_engine"],
        size=recipe.check_size(parse_size(given["size"], "--size")),
        mirror=given["mirror"],
    )
    name = given["name"] or wanted.default_name
    with _showing(app, name, "building the image") as progress:
        made = make(wanted, _shelf(app), name, app.environ, progress)
    _tell(made, given["as_json"])


@command()
@click.option("--digest", metavar="sha256=HEX", help="Expected checksum of the file.")
@with_options((ARCH, JSON))
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("name")
@click.pass_obj
def import_(app: App, file: Path, name: str, digest: str | None, arch: str | None, as_json: bool) -> None:
    """Copy a disk image, qcow2 or raw, to the shelf."""
    from pymachine.images.checksums import Digest
    from pymachine.images.pull import import_file

    wanted = Digest.read(digest) if digest else None
    with _showing(app, name, "importing the image") as progress:
        made = import_file(_shelf(app), file, name, arch=arch or platform.machine(), digest=wanted, progress=progress)
    _tell(made, as_json)


@command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=_complete_images)
@click.pass_obj
def rm(app: App, names: tuple[str, ...]) -> None:
    """Remove images, and their copies where machines run; not under a machine that stands on one."""
    shelf = _shelf(app)

    def work(name: str) -> None:
        found = shelf.entry(name)
        if found is not None:
            _drop_copies(app, found)
        shelf.remove(name)

    one_by_one(list(dict.fromkeys(names)), work, lambda name, _: say(f"image {name} is removed"))


import_.name = "import"
for _command in (ls, pull, build, import_, rm):
    image.add_command(_command)


def _shelf(app: App) -> Shelf:
    from pymachine.images.cache import Shelf

    return Shelf.default(app.environ)


@contextmanager
def _showing(app: App, name: str, step: str) -> Iterator[Callable[[str], None]]:
    """Report a step on an image; what is yielded takes its lines of progress."""
    app.reporter.started(name, step)
    try:
        yield lambda line: app.reporter.progressed(name, step, line)
    except PymachineError as error:
        app.reporter.failed(name, step, error.message)
        raise
    app.reporter.finished(name, step)


def _tell(made: Image, as_json: bool) -> None:
    if as_json:
        dump(_document(made))
        return
    engine = f", engine {made.engine}" if made.engine else ""
    say(f"image {made.name} is ready: {made.arch}, {_in_words(made.size)}{engine}")
    say(f"  pymachine create -d kvm --kvm-image {made.name} node1")


def _drop_copies(app: App, found: Image) -> None:
    """Remove what drivers keep of an image. Raises ``CheckFailed`` while machines stand on it."""
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
                f"image {found.name} is under {', '.join(standing)}",
                hint=f"remove {'it' if len(standing) == 1 else 'them'} first: pymachine rm {' '.join(standing)}",
            )


def _keepers(app: App) -> list[tuple[KeepsImages, Sequence[Handle]]]:
    """Return the drivers that keep images, kvm in any case, with the handles of their machines."""
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


def _document(entry: Image) -> dict[str, Any]:
    return {**to_document(entry), "path": str(entry.path)}


def _cells(entry: Image, now: float) -> tuple[str, ...]:
    return (
        entry.name,
        entry.arch,
        _in_words(entry.size),
        _in_words(entry.virtual_size),
        entry.engine or "-",
        _age(entry.created, now),
        entry.origin,
    )


def _in_words(size: int) -> str:
    return f"{size / (1 << 30):.1f}G" if size >= 1 << 30 else f"{-(-size // (1 << 20))}M"


def _age(created: str, now: float) -> str:
    try:
        seconds = max(0.0, now - datetime.fromisoformat(created).timestamp())
    except ValueError:
        return "?"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return "now"
