"""Downloads a file over HTTP; an interrupted download is resumed and never taken for complete."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from pymachine import __version__
from pymachine.clock import REAL, Clock, Deadline, growing
from pymachine.errors import CheckFailed, PymachineError, Unreachable, UsageFault
from pymachine.strict_json import parse_json

Progress = Callable[[str], None]

SILENCE = 30.0  # seconds that a server may say nothing
STALL = 60.0  # seconds in which at least LEAST bytes must come
LEAST = 64 << 10
TRIES = 5  # in a row without a byte gained
PAUSES = (1.0, 2.0, 8.0)  # seconds: the first of them, the factor, the most
TOLD = 1.0  # seconds between two lines of progress
CHUNK = 1 << 20
TEXT_LIMIT = 4 << 20
MIB = 1 << 20

# What a broken connection looks like from here.
_BROKEN = (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException)


class _Line(Exception):
    """The connection failed; the text says how."""


def check_url(url: str) -> str:
    """Return a URL that can be downloaded. Raises ``UsageFault``."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageFault(f"{url!r} cannot be downloaded", hint="give an http:// or https:// address")
    if parts.username is not None or parts.password is not None:
        raise UsageFault(
            f"the address on {parts.hostname} contains a password, which would be kept with the image",
            hint="download the file yourself and use `pymachine image import`",
        )
    return url


def fetch(url: str, part: Path, progress: Progress, *, clock: Clock = REAL) -> None:
    """Download a file to ``part``, and continue an earlier download if the server still has the same file.

    Raises ``Unreachable`` if the transfer stops, ``CheckFailed`` if the server refuses; ``part`` then keeps what was
    received.
    """
    check_url(url)
    transfer = _Transfer(url, part, progress, clock)
    failures, pauses = 0, growing(*PAUSES)
    while True:
        before = transfer.size
        try:
            if transfer.run():
                transfer.state.unlink(missing_ok=True)
                return
            reason = "the connection ended early"
        except _Line as error:
            reason = str(error)
        if transfer.size > before:
            failures, pauses = 0, growing(*PAUSES)
        failures += 1
        if failures >= TRIES:
            raise Unreachable(f"{url} cannot be downloaded: {reason}", hint=_hint(transfer.size))
        progress(f"{reason}; trying again")
        clock.sleep(next(pauses))


def fetch_text(url: str) -> str:
    """Download a small text. Raises ``Unreachable``, or ``CheckFailed`` if the server refuses."""
    check_url(url)
    try:
        with _open(url, {}) as response:
            return response.read(TEXT_LIMIT).decode("utf-8", "replace")
    except _Line as error:
        raise Unreachable(f"{url} cannot be downloaded: {error}") from error
    except _BROKEN as error:
        raise Unreachable(f"{url} cannot be downloaded: {_reason(error)}") from error


def _hint(size: int) -> str | None:
    return f"run the command again to continue after the first {size // MIB} MiB" if size else None


@dataclass(slots=True)
class _Transfer:
    """The transfer of one file. A note beside ``part`` says to which version its bytes belong."""

    url: str
    part: Path
    progress: Progress
    clock: Clock

    @property
    def state(self) -> Path:
        """The note."""
        return self.part.with_name(f"{self.part.name}.json")

    @property
    def size(self) -> int:
        """The number of received bytes."""
        return self.part.stat().st_size if self.part.exists() else 0

    def run(self) -> bool:
        """Request what is missing and write it; return whether the file is complete. Raises ``_Line``."""
        begin, validator = self.size, self._validator()
        if not validator:
            begin = 0
        wanted = {"Range": f"bytes={begin}-", "If-Range": validator} if begin else {}
        with _open(self.url, wanted) as response:
            if response.status == 206 and _starts_at(response.headers) == begin:
                return self._receive(response, begin, "ab")
            self._note(response.headers)
            return self._receive(response, 0, "wb")

    def _validator(self) -> str:
        """Return the identifier of the version of the received bytes; empty if there is none."""
        try:
            note = parse_json(self.state.read_bytes())
            return str(note["validator"]) if note["url"] == self.url else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _note(self, headers: Message) -> None:
        tag = headers.get("ETag", "")
        validator = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
        self.state.write_text(json.dumps({"url": self.url, "validator": validator}))

    def _receive(self, response: http.client.HTTPResponse, begin: int, mode: str) -> bool:
        length = response.headers.get("Content-Length")
        total = begin + int(length) if length and length.isdigit() else None
        with self.part.open(mode) as file:
            _pour(response, file, _Meter(self.progress, begin, total, self.clock))
        return total is None or self.size == total


class _Meter:
    """Reports the progress of a transfer a few times a minute, and ends a transfer that is too slow."""

    def __init__(self, progress: Progress, begin: int, total: int | None, clock: Clock) -> None:
        self._progress = progress
        self._done, self._total = begin, total
        self._clock = clock
        self._stall, self._told = Deadline(STALL, clock), Deadline(TOLD, clock)
        self._mark = begin
        self._percent = -1

    def count(self, size: int) -> None:
        """Count received bytes. Raises ``_Line`` if the transfer is too slow."""
        self._done += size
        if self._stall.passed:
            if self._done - self._mark < LEAST:
                raise _Line(f"received less than {LEAST >> 10} KiB in {STALL:g} s")
            self._stall, self._mark = Deadline(STALL, self._clock), self._done
        if self._told.passed or self._done == self._total:
            self._told = Deadline(TOLD, self._clock)
            self._tell()

    def _tell(self) -> None:
        if self._total is None:
            self._progress(f"{self._done // MIB} MiB")
            return
        percent = 100 * self._done // self._total
        if percent != self._percent:
            self._percent = percent
            self._progress(f"{percent} % of {self._total // MIB} MiB")


def _pour(response: http.client.HTTPResponse, file: IO[bytes], meter: _Meter) -> None:
    while True:
        try:
            chunk = response.read1(CHUNK)
        except _BROKEN as error:
            raise _Line(_reason(error)) from error
        if not chunk:
            return
        file.write(chunk)
        meter.count(len(chunk))


def _starts_at(headers: Message) -> int:
    """Return the offset of a 206 answer; -1 if it is missing."""
    first = headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else -1


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from an encrypted to an unencrypted address."""

    def redirect_request(  # type: ignore[explicit-override]  # typing.override came with Python 3.12
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request to follow with."""
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise CheckFailed(
                f"{req.full_url} redirects to {newurl}, which is not encrypted", hint="use another address"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": f"pymachine/{__version__}", **headers})
    try:
        response = urllib.request.build_opener(_Redirects()).open(request, timeout=SILENCE)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(url, error.code) from error
    except _BROKEN as error:
        raise _Line(_reason(error)) from error
    assert isinstance(response, http.client.HTTPResponse)
    return response


def _refused(url: str, code: int) -> Exception:
    if code >= 500 or code in (408, 416, 429):
        return _Line(f"the server answers {code}")
    if code in (404, 410):
        return CheckFailed(
            f"{url} does not exist ({code})", hint="check the address, and that the mirror is complete"
        )
    return PymachineError(f"the server refuses {url} ({code})")


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None)
    if isinstance(inner, BaseException):
        return _reason(inner)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(inner or error).lower() or type(error).__name__
