"""The sources of images (a vendor, a URL, a file), and the image that a word means."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pymachine.errors import CheckFailed, Unreachable, UsageFault
from pymachine_kvm.images.aliases import ALIASES, ImageVendor, check_arch, shelf_name, vendor
from pymachine_kvm.images.cache import ImageSlot, Progress, Shelf, silent
from pymachine_kvm.images.checksums import Checksum, Digest, entries
from pymachine_kvm.images.copy import copy
from pymachine_kvm.images.download import check_url, fetch, fetch_text
from pymachine_kvm.images.image import Image, ImageFacts
from pymachine_kvm.images.qcow2 import shape_of

MIRROR = "PYMACHINE_IMAGE_MIRROR"
# An image of ours stands in for its alias: it is the same system, and what a pull would bring lacks the engine.
BUILT = "{alias}-docker"
_BAKED = "baked from "  # in an image's origin, before the SHA-256 of the image that it was baked from


def resolve(shelf: Shelf, reference: str, *, arch: str, progress: Progress = silent) -> Image:
    """Return the image of a user's word, for machines of ``arch``.

    The word is, in this order: a URL (with ``#sha256=HEX``, if the digest is known), the name of a cached image, an
    alias (of an image that was built here, else it is pulled), a file. A baked image replaces the one from which it
    was baked. Raises ``UsageFault`` for an unknown word, ``CheckFailed`` for an image that cannot be used,
    ``Unreachable``.
    """
    image = _resolve(shelf, reference, check_arch(arch), progress)
    return _baked_from(shelf, image) or image


def look_up(shelf: Shelf, reference: str, *, arch: str) -> Image | None:
    """Return the image that ``resolve`` would return, without downloading or copying.

    None if it has to be downloaded.

    A file that is not cached yet is described as it is, without a digest. The image may be for another architecture
    than ``arch``. Raises ``UsageFault`` for an unknown word, ``CheckFailed`` for what is not an image, or a damaged
    one.
    """
    image = _seen(shelf, reference, check_arch(arch))
    if image is None or not image.digest:
        return image
    return _baked_from(shelf, image) or image


def _seen(shelf: Shelf, reference: str, arch: str) -> Image | None:
    if re.match(r"[a-z]+://", reference):
        address = reference.partition("#")[0]
        check_url(address)
        return shelf.find(_name_of_url(address))
    found = shelf.find(reference) or _standing_for(shelf, reference, arch)
    if found is not None or reference in ALIASES:
        return found
    if "/" in reference or Path(reference).is_file():
        return _file_as_it_is(shelf, Path(reference).absolute(), arch)
    vendor(reference)
    return None


def _file_as_it_is(shelf: Shelf, file: Path, arch: str) -> Image:
    shape = shape_of(file)
    name = _name_of_file(file)
    size = file.stat().st_size
    return shelf.find(name) or Image(name, file, "", shape.format, size, shape.virtual_size, arch)


def baked_name(image: Image) -> str:
    """Return the name of the image that is baked from an image."""
    return BUILT.format(alias=image.name)


def baked_origin(digest: str) -> str:
    """Return the origin of the image that is baked from the one with this SHA-256."""
    return f"{_BAKED}{digest[:16]}"


def is_baked(image: Image) -> bool:
    """Whether an image was baked, from any image."""
    return image.origin.startswith(_BAKED)


def _baked_from(shelf: Shelf, image: Image) -> Image | None:
    found = shelf.find(baked_name(image))
    return found if found is not None and found.origin == baked_origin(image.digest) else None


def _resolve(shelf: Shelf, reference: str, arch: str, progress: Progress) -> Image:
    if re.match(r"[a-z]+://", reference):
        return take_url(shelf, reference, arch=arch, progress=progress)
    found = shelf.find(reference) or _standing_for(shelf, reference, arch)
    if found is not None:
        return _fitting(found, arch)
    if reference in ALIASES:
        return pull(shelf, reference, arch=arch, mirror=None, progress=progress)
    if "/" in reference or Path(reference).is_file():
        return take_file(shelf, Path(reference), arch=arch, progress=progress)
    vendor(reference)
    raise UsageFault(f"no image {reference!r}")


def pull(
    shelf: Shelf, alias: str, *, arch: str, mirror: str | None, progress: Progress = silent, again: bool = False
) -> Image:
    """Download a vendor's image, verify it and add it to the cache.

    An existing image stays; with ``again`` it is replaced when the new one is complete. ``mirror`` replaces the
    vendor's host; None means the environment's. Raises as ``resolve``.
    """
    arch = check_arch(arch)
    wanted = vendor(alias)
    mirror = mirror or shelf.environ.get(MIRROR) or None
    with shelf.place(shelf_name(alias, arch), progress, resume=True, reuse=True) as place:
        if place.there is not None and not again:
            progress("it is already in the cache")
            return place.there
        try:
            return _pulled(place, wanted, arch, mirror, progress)
        except Unreachable as error:
            raise Unreachable(error.message, hint=_without_vendor(alias, error)) from error


def take_url(shelf: Shelf, url: str, *, arch: str, progress: Progress = silent) -> Image:
    """Download an image from a URL and add it to the cache under a name made from the URL; at most once."""
    address, _, fragment = url.partition("#")
    check_url(address)
    digest = Digest.read(fragment) if fragment else None
    name = _name_of_url(address)
    with shelf.place(name, progress, resume=True, reuse=True) as place:
        if place.there is not None:
            return _unchanged(place.there, digest)
        progress(f"fetching {address}")
        fetch(address, place.part, progress)
        _check(place, digest, address)
        if digest is None:
            progress("not verified: the URL has no #sha256=…")
        return place.settle(ImageFacts(arch=arch, origin=address), address)


def take_file(shelf: Shelf, file: Path, *, arch: str, progress: Progress = silent) -> Image:
    """Copy an image file to the cache under a name made from its path; again only if it changed."""
    file = file.absolute()
    shape_of(file)
    name = _name_of_file(file)
    with shelf.place(name, progress, reuse=True) as place:
        if place.there is not None:
            return place.there
        progress(f"copying {file}")
        copy(file, place.part)
        return place.settle(ImageFacts(arch=arch, origin=str(file)), str(file))


def import_file(
    shelf: Shelf, file: Path, name: str, *, arch: str, digest: Digest | None, progress: Progress = silent
) -> Image:
    """Copy an image file to the cache under a given name. Raises ``CheckFailed`` if the name is in use."""
    arch = check_arch(arch)
    if name in ALIASES:
        progress(f"note: {name} now refers to this image")
    file = file.absolute()
    shape_of(file)
    with shelf.place(name, progress) as place:
        progress(f"copying {file}")
        copy(file, place.part)
        _check(place, digest, str(file))
        return place.settle(ImageFacts(arch=arch, origin=str(file)), str(file))


def _pulled(place: ImageSlot, wanted: ImageVendor, arch: str, mirror: str | None, progress: Progress) -> Image:
    list_url = wanted.checksums_url(arch, mirror)
    progress(f"fetching {list_url}")
    entry = _newest(entries(fetch_text(list_url), wanted.algorithm), wanted.file_name(arch), list_url)
    url = wanted.url(arch, mirror, entry.file)
    progress(f"fetching {url}")
    fetch(url, place.part, progress)
    progress("checking it against the vendor's checksum")
    _check(place, entry.digest, url)
    return place.settle(ImageFacts(arch=arch, os_release=wanted.os_release, origin=url), url)


def _newest(found: Mapping[str, Digest], pattern: str, where: str) -> Checksum:
    """Return the entry of the image; of several that match a pattern, the last by name."""
    names = [name for name in sorted(found) if fnmatch.fnmatchcase(name, pattern)]
    if not names:
        raise CheckFailed(f"{where} lists no checksum of {pattern}", hint="check that the mirror is complete")
    return Checksum(names[-1], found[names[-1]])


def _check(place: ImageSlot, digest: Digest | None, what: str) -> None:
    """Compare the downloaded file with its digest; a wrong one is deleted and not resumed."""
    try:
        if digest is not None:
            digest.check(place.part, what)
    except CheckFailed:
        place.part.unlink(missing_ok=True)
        raise


def _unchanged(image: Image, digest: Digest | None) -> Image:
    if digest is not None:
        digest.check(image.path, f"image {image.name}, fetched before,")
    return image


def _standing_for(shelf: Shelf, alias: str, arch: str) -> Image | None:
    """Return the image that an alias means here, if any."""
    if alias not in ALIASES:
        return None
    names = (shelf_name(alias, arch), BUILT.format(alias=alias))
    found = (shelf.find(name) for name in names)
    return next((image for image in found if image is not None and image.arch == arch), None)


def _fitting(image: Image, arch: str) -> Image:
    if image.arch != arch:
        raise CheckFailed(
            f"image {image.name} is for {image.arch}, but the machine is {arch}",
            hint=f"choose another image, or --kvm-arch {image.arch}",
        )
    return image


def _name_of_url(address: str) -> str:
    return _name_for(Path(unquote(urlsplit(address).path)), address)


def _name_of_file(file: Path) -> str:
    """Return a name that changes when the file changes."""
    state = file.stat()
    return _name_for(file, f"{file}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ino}")


def _name_for(path: Path, whole: str) -> str:
    """Return a name for an unnamed image: the file's, made valid, and a part that makes it unique."""
    stem = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._") or "image"
    return f"{stem[:60]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _without_vendor(alias: str, error: Unreachable) -> str:
    words = [error.hint] if error.hint else []
    if alias.startswith("debian-"):
        release = alias if alias in ("debian-12", "debian-13") else "debian-13"
        words.append(f"`pymachine image build {release} --with-engine` builds one from Debian's packages")
    words.append(f"a mirror can be given with --from or {MIRROR}")
    return "; ".join(words)
