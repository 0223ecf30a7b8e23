"""Processes the output of a command as it comes: separated from noise, split into lines, limited in size."""

from __future__ import annotations

from pymachine.transport import OnLine

OUTPUT_LIMIT = 16 * 1024 * 1024  # bytes kept of each output: the last ones
LINE_LIMIT = 64 * 1024  # bytes of one line that are handed on: the first ones
NOISE_LIMIT = 256 * 1024  # bytes kept of what a login shell prints before the command begins


class Output:
    """One output stream: what came before the mark (noise) and the last ``limit`` bytes after it.

    Without a mark everything is content. ``on_line`` gets each line of the content as it comes.
    """

    def __init__(self, mark: bytes, on_line: OnLine | None = None, limit: int = OUTPUT_LIMIT) -> None:
        self._mark = mark
        self._on_line = on_line
        self._limit = limit
        self._kept = bytearray()
        self._partial = bytearray()
        self.noise = b""
        self.started = not mark

    @property
    def content(self) -> bytes:
        """The output of the command itself."""
        return bytes(self._kept[-self._limit :]) if self.started else b""

    def feed(self, data: bytes) -> None:
        """Process the next bytes of the stream."""
        if not self.started:
            data = self._begin(data)
        if self.started and data:
            self._keep(data)

    def finish(self) -> None:
        """Emit a last line without its newline."""
        if self._on_line and self._partial:
            self._on_line(_text(self._partial))
            self._partial.clear()

    def _begin(self, data: bytes) -> bytes:
        before, found, after = (self.noise + data).partition(self._mark)
        self.noise = before[-NOISE_LIMIT:]
        self.started = bool(found)
        return after

    def _keep(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 2 * self._limit:
            del self._kept[: -self._limit]
        if self._on_line:
            *ended, rest = data.split(b"\n")
            for piece in ended:
                self._extend(piece)
                self._on_line(_text(self._partial))
                self._partial.clear()
            self._extend(rest)

    def _extend(self, piece: bytes) -> None:
        self._partial += piece[: max(LINE_LIMIT - len(self._partial), 0)]


def _text(line: bytes | bytearray) -> str:
    return line.decode(errors="replace").rstrip("\r")
