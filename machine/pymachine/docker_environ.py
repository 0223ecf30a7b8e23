"""The environment for this computer's docker client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pymachine.proxies import no_proxy, proxied


def docker_environ(
    environ: Mapping[str, str], values: Iterable[tuple[str, str | None]], *, host: str | None = None
) -> dict[str, str]:
    """Return the environment for the docker client, with these variables set, or unset if None.

    ``host`` is the machine's host, for which no proxy of the environment is used.
    """
    changes = {**dict(no_proxy(host, environ) if host and proxied(environ) else ()), **dict(values)}
    return {
        **{name: value for name, value in environ.items() if name not in changes},
        **{name: value for name, value in changes.items() if value is not None},
    }
