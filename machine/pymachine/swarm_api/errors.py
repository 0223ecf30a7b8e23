"""The one edge where the docker SDK's errors, and those of the HTTP library below it, become ours.

What an engine says in English is shown and not compared. Which of several reasons an error has is asked of the
engine's ``/info``: whether it is locked, a manager, and one that has a leader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import docker.errors
import requests.exceptions

from pymachine.errors import EngineError, PymachineError, QuorumLost, TlsError, Unreachable
from pymachine.swarm_api.protocol import ACTIVE, LOCKED, NodeStatus

LONGEST = 1000  # characters of what an engine says
_UNLOCK = "`pymachine swarm unlock NAME` unlocks it with the key in the store"
_NO_MANAGER = "`pymachine swarm status` shows which machines are managers"
_LIVE_RESTORE = "it is incompatible with a Swarm: `pymachine provision NAME --engine-opt live-restore=false`"
_FIREWALL = "the engine's nftables backend is incompatible with a Swarm: remove it from its daemon.json"
_REMOTE = "check that it reaches TCP port 2377 of the managers; if the tokens were changed meanwhile, run it again"

Place = Callable[[], NodeStatus | None]  # the engine's place, None where it could not be asked


@contextmanager
def explained(url: str, hint_for: Callable[[], str | None] = lambda: None) -> Iterator[None]:
    """Turn the vendors' errors into ``Unreachable``, ``TlsError`` or ``EngineError``, the last with a hint."""
    try:
        yield
    except docker.errors.APIError as error:
        raise EngineError(f"{url} answered {error.status_code}: {said(error)}", hint=hint_for()) from error
    except requests.exceptions.SSLError as error:
        raise TlsError(f"{url} and its certificates on record do not match: {_reason(error)}") from error
    except requests.exceptions.Timeout as error:
        raise Unreachable(
            f"{url} did not answer in time", hint="the host may be overloaded or unreachable"
        ) from error
    except requests.exceptions.ConnectionError as error:
        raise Unreachable(f"nothing answers at {url}: {_reason(error)}", hint="check that the engine runs") from error
    except (requests.exceptions.RequestException, docker.errors.DockerException, ValueError, KeyError) as error:
        raise EngineError(f"{url} did not answer like an engine: {_reason(error)}") from error


@contextmanager
def managing(url: str, place: Place, has_quorum: Callable[[], bool]) -> Iterator[None]:
    """Do the same for what managers alone can do: ``QuorumLost`` where they have no majority.

    An engine without a leader says so with the same status as of many other things, so that it is asked.
    """
    try:
        with explained(url):
            yield
    except EngineError as error:
        cause = error.__cause__
        if not isinstance(cause, docker.errors.APIError) or cause.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        raise _of_manager(error, url, place(), said(cause), has_quorum) from cause


def hint_of_member(place: Place, *, joins: bool) -> str | None:
    """Return what to do about an engine that could not begin a Swarm or join one."""
    status = place()
    if status is None or status.state == ACTIVE:
        return None
    if status.live_restore:
        return _LIVE_RESTORE
    if status.firewall.startswith("nftables"):
        return _FIREWALL
    return _REMOTE if joins else None


def said(error: docker.errors.APIError) -> str:
    """Return what the engine said, on one line, without what gRPC puts before it."""
    text = " ".join(str(error.explanation or error.response.reason)[: 2 * LONGEST].split())
    return text.rpartition("desc = ")[2][:LONGEST]


def _of_manager(
    error: EngineError, url: str, status: NodeStatus | None, text: str, has_quorum: Callable[[], bool]
) -> PymachineError:
    if status is None:
        return error
    if status.state == LOCKED:
        error.hint = _UNLOCK
    elif status.state == ACTIVE and not status.control:
        error.hint = _NO_MANAGER
    elif status.control and not (status.cluster and has_quorum()):
        return QuorumLost(
            f"the managers of the Swarm have no majority, according to {url} ({text.partition('. ')[0].lower()})",
            hint="start the managers that are off; `pymachine swarm recover` helps if they are permanently lost",
        )
    return error


def _reason(error: BaseException) -> str:
    """The innermost cause: the layers above wrap it in their own names."""
    reason: BaseException = error
    while (inner := _within(reason)) is not None:
        reason = inner
    return str(reason)[:300] or type(reason).__name__


def _within(error: BaseException) -> BaseException | None:
    candidates = (getattr(error, "reason", None), *error.args)
    return next((found for found in candidates if isinstance(found, BaseException) and found is not error), None)
