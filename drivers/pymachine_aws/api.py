"""Calls AWS: boto3's clients for one region, loaded at the first call, with errors explained."""

from __future__ import annotations

import difflib
import functools
import importlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import urlsplit

from pymachine import __version__
from pymachine.errors import DriverError, DriverMissing, PymachineError, Unreachable, UsageFault, refuses
from pymachine_aws import own_credentials
from pymachine_aws.errors import ApiError, AwsCall, Trouble, Unsure, authorisation_message, explain, not_authorised
from pymachine_aws.handle import Ec2
from pymachine_aws.own_credentials import Credentials

__all__ = ["ApiError", "AwsAccount", "Unsure"]

CONNECT_TIMEOUT = 5.0
DECODE_TIMEOUT = 5.0
# Tries of services that can be done without, and that closed networks often let nobody reach.
FEW_TRIES = {"ssm": 2}


class AwsAccount:
    """A region of an account: under a profile or with credentials, or at an endpoint URL; None leaves it to boto3.

    Thread-safe. ``timeout`` is the time limit in seconds of one attempt, ``retries`` the number of attempts of a
    read-only call; calls that change something get one attempt, and their callers decide.
    """

    def __init__(
        self,
        region: str | None,
        *,
        profile: str | None = None,
        endpoint_url: str | None = None,
        credentials: Credentials | None = None,
        retries: int = 8,
        timeout: float = 60.0,
    ) -> None:
        self._place = (region, profile, endpoint_url)
        self._credentials = credentials
        self._retries = retries
        self._timeout = timeout
        self._clients: dict[tuple[str, int, float], Any] = {}
        self._session: Any = None
        self._changed = False
        self._lock = threading.RLock()

    @classmethod
    def of(cls, handle: Ec2, *, retries: int = 8, timeout: float = 60.0) -> Self:
        """Return the account that an instance is in."""
        return cls(
            handle.region,
            profile=handle.profile,
            endpoint_url=handle.endpoint_url,
            credentials=own_credentials.of(handle.id),
            retries=retries,
            timeout=timeout,
        )

    @property
    def region(self) -> str:
        """The region's name. Raises ``UsageFault`` if none is given."""
        name = self._place[0] or self._loaded().region_name
        if not name:
            raise UsageFault("no AWS region is given", hint="give --aws-region, or set AWS_DEFAULT_REGION")
        return str(name)

    @property
    def is_tied(self) -> bool:
        """Whether its endpoint is one of AWS's own, which serves one region only."""
        return self._place[2] is not None and _is_amazons(self._place[2])

    def read(self, operation: str, what: str, *, service: str = "ec2", **params: Any) -> dict[str, Any]:
        """Call an operation that only reads (``describe_vpcs``); ``what`` completes "cannot …" in messages.

        Raises ``ApiError``, ``Unreachable``, and ``CheckFailed`` for credentials that are missing or do not count.
        """
        with self._translated(what):
            client = self._client(service, min(self._retries, FEW_TRIES.get(service, self._retries)))
            return dict(getattr(client, operation)(**params))

    def pages(self, operation: str, key: str, what: str, **params: Any) -> Iterator[Any]:
        """Yield what all pages of a reading operation of EC2 hold under ``key``. Raises as ``read``."""
        with self._translated(what):
            client = self._client("ec2", self._retries)
            paged = client.can_paginate(operation)
            pages = (
                client.get_paginator(operation).paginate(**params)
                if paged
                else [getattr(client, operation)(**params)]
            )
            for page in pages:
                yield from page.get(key, ())

    def change(self, operation: str, what: str, *, service: str = "ec2", **params: Any) -> dict[str, Any]:
        """Call an operation that changes something, once.

        Raises as ``read``, and ``Unsure`` where it was sent and no answer tells whether it was carried out. From the
        first change on, credentials that do not count any more are a ``DriverError``: it is too late to refuse.
        """
        with self._translated(what, changes=True):
            client = self._client(service, 1)
            answer = dict(getattr(client, operation)(**params))
            self._changed = True
            return answer

    def url(self, service: str) -> str:
        """Return the URL of a service. Raises ``UsageFault`` for an invalid region."""
        with self._translated(f"find the endpoint of {service}"):
            return str(self._client(service, self._retries).meta.endpoint_url)

    def words(self, shape: str) -> list[str]:
        """Return the values that boto3 knows of a type of EC2's API (``InstanceType``). Asks nobody."""
        with self._translated("read EC2's API model"):
            return list(self._client("ec2", self._retries).meta.service_model.shape_for(shape).enum)

    @contextmanager
    def _translated(self, what: str, *, changes: bool = False) -> Iterator[None]:
        try:
            yield
        except PymachineError:
            raise
        except _errors() as error:
            raise self._in_time(self._explained(error, self._call(what, changes))) from error

    def _in_time(self, error: PymachineError) -> PymachineError:
        return DriverError(error.message, hint=error.hint) if self._changed and refuses(error) else error

    def _call(self, what: str, changes: bool) -> AwsCall:
        region, profile, endpoint_url = self._place
        place = region or (self._session and self._session.region_name) or "the default region"
        return AwsCall(what, place, endpoint_url or f"EC2 of {place}", changes, profile)

    def _explained(self, error: Exception, call: AwsCall) -> PymachineError:
        ours = explain(error, call)
        encoded = authorisation_message(error)
        if encoded:
            return not_authorised(error, call, self._decoded(encoded))
        if type(ours) in (Unreachable, Trouble):
            return self._unknown_region(call.place) or ours
        return ours

    def _decoded(self, encoded: str) -> dict[str, Any] | None:
        """Have STS decode the reasons of a refusal; None where that is not allowed either."""
        errors: tuple[type[Exception], ...] = (*_errors(), KeyError)
        try:
            client = self._client("sts", 1, DECODE_TIMEOUT)
            answer = client.decode_authorization_message(EncodedMessage=encoded)
            decoded = json.loads(answer["DecodedMessage"])
        except errors:
            return None
        return decoded if isinstance(decoded, dict) else None

    def _unknown_region(self, name: str) -> UsageFault | None:
        """Return the fault for a region that botocore has not heard of; a new one has to answer to be believed."""
        session = self._session
        if session is None or not _is_amazons(self.url("ec2")):
            return None
        known = [
            region
            for part in session.get_available_partitions()
            for region in session.get_available_regions("ec2", part)
        ]
        if name in known:
            return None
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        meant = f"did you mean {' or '.join(near)}?" if near else f"regions: {', '.join(sorted(known))}"
        return UsageFault(f"--aws-region: no region {name!r}", hint=meant)

    def _client(self, service: str, tries: int, timeout: float | None = None) -> Any:
        """Return the client of a service that tries a call so many times."""
        timeout = timeout or self._timeout
        key = (service, tries, timeout)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._loaded().client(
                    service,
                    region_name=self.region,
                    endpoint_url=self._endpoint(service),
                    config=_settings(tries, timeout),
                )
            return self._clients[key]

    def _endpoint(self, service: str) -> str | None:
        """Return the URL for a service: one of AWS's own serves EC2 alone, any other stands for all of AWS."""
        url = self._place[2]
        return url if url is None or service == "ec2" or not _is_amazons(url) else None

    def _loaded(self) -> Any:
        """Return boto3's session, which finds credentials by its own rules."""
        with self._lock:
            if self._session is None:
                boto3 = _load("boto3")
                region, profile, _ = self._place
                # boto3 puts keys in the environment before a profile that the environment names, after a given one.
                given = None if profile == os.environ.get("AWS_PROFILE") else profile
                own = _load("botocore.session").get_session()
                own.register_component("data_loader", _models())
                self._session = boto3.Session(
                    profile_name=given, region_name=region, botocore_session=own, **_keys(self._credentials)
                )
            return self._session


def _keys(credentials: Credentials | None) -> dict[str, str | None]:
    """Return the arguments of a session that has credentials of its own."""
    if credentials is None:
        return {}
    return {
        "aws_access_key_id": credentials.access_key,
        "aws_secret_access_key": credentials.secret_key,
        "aws_session_token": credentials.session_token,
    }


def _is_amazons(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"))


def _settings(tries: int, timeout: float) -> Any:
    return _load("botocore.config").Config(
        retries={"mode": "standard", "total_max_attempts": tries},
        connect_timeout=min(timeout, CONNECT_TIMEOUT),
        read_timeout=timeout,
        user_agent_extra=f"pymachine/{__version__}",
    )


@functools.cache
def _models() -> Any:
    """Return what reads botocore's models of services.

    Each session that is made apart parses them again, 0.2 to 0.5 s of processor for EC2's; a fleet has many.
    """
    return _load("botocore.session").get_session().get_component("data_loader")


def _load(name: str) -> Any:
    """Import a part of boto3, and keep it from logging requests: they carry user-data.

    Raises ``DriverMissing`` where it is not installed.
    """
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise DriverMissing(
            f"the aws driver needs boto3: {error}", hint="pip install 'pymachine-docker[aws]'"
        ) from error
    logging.getLogger("botocore").setLevel(logging.INFO)
    return module


def _errors() -> tuple[type[Exception], ...]:
    """Return what boto3 raises; an invalid endpoint is a plain ``ValueError``."""
    exceptions, parsers = _load("botocore.exceptions"), _load("botocore.parsers")
    return exceptions.BotoCoreError, exceptions.ClientError, parsers.ResponseParserError, ValueError
