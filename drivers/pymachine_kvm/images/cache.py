"""The image cache: a folder of verified images, each a read-only file with a JSON document beside it.

An image gets its name only when it is complete: files are written as ``NAME.part`` and renamed. A lock ``NAME.lock``
ensures that two processes that want the same image make it once.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pymachine.documents import from_document, to_document
from pymachine.errors import CheckFailed, UsageFault
from pymachine.parallel import Call
from pymachine.strict_json import parse_json
from pymachine_kvm.images.durable import full_disk, sync_folder
from pymachine_kvm.images.image import Image, ImageFacts
from pymachine_kvm.images.lock import held
from pymachine_kvm.images.qcow2 import shape_of

Progress = Callable[[str], None]

VARIABLE = "PYMACHINE_IMAGES"
CHUNK = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}", re.ASCII)


def silent(text: str) -> None:
    """Discard progress."""


def check_name(name: str) -> str:
    """Return a valid image name. Raises ``UsageFault``."""
    if not _NAME.fullmatch(name):
        raise UsageFault(
            f"{name!r} is not a valid image name",
            hint="use lower-case letters, digits, dots, hyphens, underscores",
        )
    return name


@dataclass(frozen=True, slots=True)
class CachedImage:
    """The document of an image: the image, and the state of its file when it was last verified (ns)."""

    image: Image
    mtime: int

    @classmethod
    def read(cls, document: Path) -> CachedImage:
        """Read a document. Raises ``OSError`` or ``ValueError`` for a missing or damaged one."""
        found: Mapping[str, Any] = parse_json(document.read_bytes())
        try:
            image = from_document(Image, {**found, "path": document.with_name(f"{found['name']}.img")})
            return cls(image, int(found["mtime"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an image's document: {error}") from error

    def write(self, document: Path) -> None:
        """Write the document, completely or not at all."""
        fields = to_document(self.image)
        del fields["path"]
        draft = document.with_suffix(".json.new")
        with draft.open("w") as file:
            json.dump({**fields, "mtime": self.mtime}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(document)


@dataclass(frozen=True, slots=True)
class ImageSlot:
    """A reserved name in the cache: the holder writes ``part``, then settles it.

    ``there`` is an existing image of that name that can be used instead.
    """

    name: str
    part: Path
    there: Image | None = None

    def settle(self, known: ImageFacts, what: str) -> Image:
        """Check the file and add it to the cache.

        Raises ``CheckFailed`` for a file that is not a disk image, which ``what`` names; the file is deleted.
        """
        try:
            shape = shape_of(self.part, what)
        except CheckFailed:
            self.part.unlink()
            raise
        path, document = self.part.with_suffix(".img"), self.part.with_suffix(".json")
        # The disk writes while the processor reckons: each takes seconds for an image.
        written = Call(partial(_write_through, self.part)).begin()
        digest = digest_of(self.part)
        written.result()
        self.part.chmod(0o444)
        state = self.part.stat()
        image = Image(
            name=self.name,
            path=path,
            digest=digest,
            format=shape.format,
            size=state.st_size,
            virtual_size=shape.virtual_size,
            arch=known.arch,
            os_release=known.os_release,
            engine=known.engine,
            origin=known.origin,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        # A file without its document is not an image: an old document must not describe a new file.
        document.unlink(missing_ok=True)
        self.part.replace(path)
        CachedImage(image, state.st_mtime_ns).write(document)
        sync_folder(path.parent)
        return image


class Shelf:
    """The images on this computer."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.environ = os.environ if environ is None else environ

    @classmethod
    def default(cls, environ: Mapping[str, str]) -> Shelf:
        """Return the cache of the environment: ``PYMACHINE_IMAGES``, else in the user's cache folder."""
        own, cache = environ.get(VARIABLE, ""), environ.get("XDG_CACHE_HOME", "")
        if own:
            return cls(Path(own).absolute(), environ)
        home = environ.get("HOME", "")
        if not Path(cache).is_absolute() and not Path(home).is_absolute():
            raise UsageFault(
                "no folder for images: HOME is not set",
                hint=f"set HOME, or {VARIABLE} to a folder",
            )
        base = Path(cache) if Path(cache).is_absolute() else Path(home) / ".cache"
        return cls(base / "pymachine" / "images", environ)

    def list(self) -> list[Image]:
        """Return all images, by name; unreadable documents are left out."""
        found = []
        for document in sorted(self.folder.glob("*.json")):
            try:
                image = CachedImage.read(document).image
            except (OSError, ValueError):
                continue
            if image.path.exists():
                found.append(image)
        return found

    def find(self, name: str) -> Image | None:
        """Return the image of that name, or None.

        If size or modification time of its file differ from the record, the whole file is verified. Raises
        ``CheckFailed`` for a damaged one.
        """
        if not _NAME.fullmatch(name):
            return None
        try:
            entry = CachedImage.read(self._document(name))
            state = entry.image.path.stat()
        except (OSError, ValueError):
            return None
        if (state.st_size, state.st_mtime_ns) != (entry.image.size, entry.mtime):
            self.verify(entry.image)
        return entry.image

    def entry(self, name: str) -> Image | None:
        """Return the record of that name, intact or damaged; None if there is none."""
        try:
            return CachedImage.read(self._document(check_name(name))).image
        except (OSError, ValueError):
            return None

    def verify(self, image: Image) -> None:
        """Compare the whole file with its digest. Raises ``CheckFailed`` if it differs."""
        with self._working():
            state = image.path.stat()
            if digest_of(image.path) != image.digest:
                raise CheckFailed(
                    f"image {image.name} was changed after it was stored: {image.path}",
                    hint=f"`pymachine image rm {image.name}`, then pull, build or import it again",
                )
            CachedImage(image, state.st_mtime_ns).write(self._document(image.name))

    @contextmanager
    def place(
        self, name: str, progress: Progress = silent, *, resume: bool = False, reuse: bool = False
    ) -> Iterator[ImageSlot]:
        """Reserve a name for a new image; waits for another process that makes it.

        A file that was written and not settled is deleted, unless it can be resumed. Raises ``CheckFailed`` if the
        name is in use and not to be reused, ``PymachineError`` if the folder cannot be written.
        """
        with self._working(), self.locked(check_name(name), progress):
            there = self.find(name)
            if there is not None and not reuse:
                hint = f"choose another name, or `pymachine image rm {name}` first"
                raise CheckFailed(f"an image {name} already exists", hint=hint)
            place = ImageSlot(name, self.folder / f"{name}.part", there)
            try:
                yield place
            finally:
                if not resume:
                    place.part.unlink(missing_ok=True)

    @contextmanager
    def locked(self, name: str, progress: Progress = silent) -> Iterator[None]:
        """Hold the lock of a name; its file exists only meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.lock"
        with held(path, waiting=lambda: progress(f"waiting for another process that makes {name}")):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove an image from the cache, with partial files. Raises ``CheckFailed`` if it is unknown."""
        check_name(name)
        files = [self.folder / f"{name}{ending}" for ending in (".json", ".img", ".part", ".part.json")]
        if not any(path.exists() for path in files):
            raise CheckFailed(f"there is no image {name}", hint="`pymachine image ls` lists them")
        with self._working(), self.locked(name):
            for path in files:
                path.unlink(missing_ok=True)

    def _document(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Translate errors of the folder."""
        try:
            yield
        except OSError as error:
            raise full_disk(error, self.folder) from error


def _write_through(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
