"""Talking to AWS: boto3's clients for one place, loaded at the first call, and each of its errors in our own words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from pymachine.errors import DriverError


class ApiError(DriverError):
    """AWS refused a call. ``code`` is its own word for why, such as ``InsufficientInstanceCapacity``."""

    def __init__(self, message: str, *, code: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class Account:
    """One place of one account: a region under a profile, or at an endpoint URL; None leaves it to boto3.

    Safe for several threads. ``timeout`` is how many seconds one try of a call may take, ``retries`` how many tries a
    call that only reads gets; calls that change something get one, and their callers decide.
    """

    def __init__(
        self,
        region: str | None,
        *,
        profile: str | None = None,
        endpoint_url: str | None = None,
        retries: int = 8,
        timeout: float = 60.0,
    ) -> None:
        self._place = (region, profile, endpoint_url)
        self._retries = retries
        self._timeout = timeout
        self._clients: dict[tuple[str, bool], Any] = {}
        self._lock = threading.RLock()

    @property
    def region(self) -> str:
        """The region's name. Raises ``UsageFault`` where nothing names one."""
        raise NotImplementedError

    def read(self, operation: str, what: str, *, service: str = "ec2", **params: Any) -> dict[str, Any]:
        """Call an operation that only reads (``describe_vpcs``); ``what`` completes "cannot …" in messages.

        Raises ``ApiError``, ``Unreachable``, and ``CheckFailed`` for credentials that are missing or do not count.
        """
        raise NotImplementedError

    def pages(self, operation: str, key: str, what: str, **params: Any) -> Iterator[Any]:
        """Yield what all pages of a reading operation of EC2 hold under ``key``. Raises as ``read``."""
        raise NotImplementedError

    def change(self, operation: str, what: str, *, service: str = "ec2", **params: Any) -> dict[str, Any]:
        """Call an operation that changes something, once. Raises as ``read``."""
        raise NotImplementedError
