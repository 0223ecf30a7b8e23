"""The one edge where the docker SDK's errors, and those of the HTTP library below it, become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import requests.exceptions

from pymachine.errors import EngineError, PymachineError, QuorumLost, TlsError, Unreachable

# What managers without a majority say: moby's daemon/cluster and swarmkit's raft.
_LEADERLESS = ("does not have a leader", "too few managers", "context deadline exceeded", "deadlineexceeded")
_HINTS = (
    ("needs to be unlocked", "`pymachine swarm unlock NAME` unlocks it with the key in the store"),
    ("not a swarm manager", "`pymachine swarm status` shows which machines are managers"),
    ("live-restore", "it is incompatible with a Swarm: `pymachine provision NAME --engine-opt live-restore=false`"),
    ("remote ca", "check that it reaches TCP port 2377 of the managers"),
    (
        "firewall-backend",
        "the engine's nftables backend is incompatible with a Swarm: take it out of its daemon.json",
    ),
    ("invalid join token", "the tokens were changed in the meantime: run the command again"),
)


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn the vendors' errors into ``Unreachable``, ``TlsError``, ``QuorumLost`` or ``EngineError``."""
    try:
        yield
    except docker.errors.APIError as error:
        raise _answered(url, error) from error
    except requests.exceptions.SSLError as error:
        raise TlsError(f"{url} and its certificates on record do not match: {_reason(error)}") from error
    except requests.exceptions.Timeout as error:
        raise Unreachable(f"{url} did not answer in time", hint="the host may be overloaded or cut off") from error
    except requests.exceptions.ConnectionError as error:
        raise Unreachable(f"nothing answers at {url}: {_reason(error)}", hint="does the engine run?") from error
    except (requests.exceptions.RequestException, docker.errors.DockerException, ValueError, KeyError) as error:
        raise EngineError(f"{url} did not answer like an engine: {_reason(error)}") from error


def said(error: docker.errors.APIError) -> str:
    """Return what the engine said, on one line, without what gRPC puts before it."""
    text = " ".join(str(error.explanation or error.response.reason).split())
    return text.rpartition("desc = ")[2]


def _answered(url: str, error: docker.errors.APIError) -> PymachineError:
    text = said(error)
    lower = str(error.explanation).lower()
    if any(sign in lower for sign in _LEADERLESS):
        return QuorumLost(
            f"the managers of the Swarm have no majority, according to {url} ({text.partition('. ')[0].lower()})",
            hint="start the managers that are off; `pymachine swarm recover` helps if they are permanently lost",
        )
    hint = next((hint for sign, hint in _HINTS if sign in lower), None)
    return EngineError(f"{url} answered {error.response.status_code}: {text}", hint=hint)


def _reason(error: BaseException) -> str:
    """The innermost cause: the layers above wrap it in their own names."""
    reason: BaseException = error
    while (inner := _within(reason)) is not None:
        reason = inner
    return str(reason)[:300] or type(reason).__name__


def _within(error: BaseException) -> BaseException | None:
    candidates = (getattr(error, "reason", None), *error.args)
    return next((found for found in candidates if isinstance(found, BaseException) and found is not error), None)
