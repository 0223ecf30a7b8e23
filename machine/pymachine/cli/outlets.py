"""Standard output and error that tolerate the loss of their readers: output ends then, and the work continues."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from pymachine.override import override

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Outlet(io.RawIOBase):
    """Writes to a descriptor, which the caller owns, until a write fails for the first time.

    ``fault`` is that error.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.fault: OSError | None = None

    @override
    def writable(self) -> bool:
        """Always true."""
        return True

    @override
    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    @override
    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    @override
    def write(self, data: Buffer, /) -> int | None:
        """Write what can be written; all of it counts as written once nobody reads it."""
        if self.fault is None:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                return None  # what the buffer above takes for "not now"
            except OSError as error:
                self.fault = error
        return memoryview(data).nbytes


@contextmanager
def outlets() -> Iterator[None]:
    """Replace ``sys.stdout`` and ``sys.stderr`` by outlets in the block, if they are files."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _outlet(sys.stdout), _outlet(sys.stderr)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def fault() -> OSError | None:
    """Return the error that ended standard output, None while it can be written; call it within ``outlets``."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.fault if isinstance(raw, Outlet) else None


def _outlet(stream: TextIO) -> TextIO:
    """Return an outlet for the stream's descriptor; the stream itself if it is not a file or replaced by a test."""
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(_raw(stream), io.FileIO):
        return stream
    with suppress(OSError, ValueError):
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(Outlet(stream.fileno())),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _raw(stream: io.TextIOWrapper) -> object:
    return getattr(stream.buffer, "raw", stream.buffer)
