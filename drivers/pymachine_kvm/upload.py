"""Bytes into volumes: libvirt's streams, fed from memory or from an image's file with its holes.

A stream has no deadline of its own; keep-alive ends it when the daemon or the way to it dies (``connection``).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from pymachine.errors import DriverError
from pymachine_kvm.images.image import Image
from pymachine_kvm.libvirt_api import libvirt, translated
from pymachine_kvm.libvirt_types import Connection, StorageVolume, Stream

CHUNK = 262120  # what one message of libvirt's protocol carries
Piece = bytes | int  # bytes, or the length of a hole
Passed = Callable[[int, int], None]  # bytes of the file done with, and bytes of them that travelled

_ZEROS = bytes(1 << 20)


def upload(connection: Connection, volume: StorageVolume, pieces: Iterable[Piece], *, size: int) -> None:
    """Write the pieces, ``size`` bytes in all, into the volume from its beginning.

    Raises ``DriverError``, also when the pool fills up on the way; what was written till then stays.
    """
    with translated(f"uploading to volume {volume.name()!r}"):
        stream = connection.newStream(0)
        volume.upload(stream, 0, size, libvirt().VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
        try:
            for piece in pieces:
                _send(stream, piece)
        except BaseException:
            _abort(stream)
            raise
        stream.finish()


def pieces_of(content: bytes) -> Iterator[Piece]:
    """Cut bytes into pieces that travel."""
    return (content[start : start + CHUNK] for start in range(0, len(content), CHUNK))


def pieces_of_image(image: Image, passed: Passed) -> Iterator[Piece]:
    """Read an image's file in pieces, telling ``passed`` after each.

    It is hashed on the way: ``DriverError`` is raised at its end unless it is still what was verified.
    """
    digest, travelled = hashlib.sha256(), 0
    with image.path.open("rb") as file:
        for piece in _with_holes(file):
            _hash(digest.update, piece)
            travelled += len(piece) if isinstance(piece, bytes) else 0
            passed(file.tell(), travelled)
            yield piece
    if digest.hexdigest() != image.digest:
        raise DriverError(
            f"image {image.name!r} is no longer what was verified ({image.path})",
            hint=f"`pymachine image rm {image.name}`, then pull, build or import it again",
        )


def _with_holes(file: BinaryIO) -> Iterator[Piece]:
    """Read a file by the map that its file system has of it (lseek(2), SEEK_DATA and SEEK_HOLE)."""
    size, here = os.fstat(file.fileno()).st_size, 0
    while here < size:
        data = _next(file, here, os.SEEK_DATA, size)
        if data > here:
            file.seek(data)
            yield data - here
        here = _next(file, data, os.SEEK_HOLE, size) if data < size else size
        file.seek(data)
        yield from _chunks(file, here - data)


def _chunks(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0 and (chunk := file.read(min(CHUNK, length))):
        yield chunk
        length -= len(chunk)


def _next(file: BinaryIO, start: int, what: int, size: int) -> int:
    try:
        return os.lseek(file.fileno(), start, what)
    except OSError:  # ENXIO: a hole up to the end
        return size


def _hash(update: Callable[[bytes], None], piece: Piece) -> None:
    if isinstance(piece, bytes):
        update(piece)
        return
    for start in range(0, piece, len(_ZEROS)):
        update(_ZEROS[: piece - start])


def _send(stream: Stream, piece: Piece) -> None:
    if isinstance(piece, int):
        stream.sendHole(piece)
        return
    sent = 0
    while sent < len(piece):
        sent += stream.send(piece[sent:])


def _abort(stream: Stream) -> None:
    try:
        stream.abort()
    except libvirt().libvirtError:  # it has ended by itself: that is what is reported
        return
