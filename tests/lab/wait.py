"""Wait for something to answer, with a deadline."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable

from lab.sh import LabError


def open_direct(url: str, timeout: float = 10) -> bytes:
    """Read a URL of the lab without any proxy of this machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout) as answer:
        return bytes(answer.read())


def wait_http(url: str, log: Callable[[], str], seconds: float = 15) -> None:
    """Wait until a URL answers; LabError with the server's log when it does not."""
    end = time.monotonic() + seconds
    while True:
        try:
            open_direct(url, timeout=2)
            return
        except OSError as error:
            if time.monotonic() > end:
                raise LabError(f"{url} does not answer: {error}\n{log()[-2000:]}") from error
            time.sleep(0.05)
