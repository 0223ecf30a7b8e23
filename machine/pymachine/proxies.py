"""Proxies of the environment, which clients must not use for machines. Pure, and fast to import."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Values = list[tuple[str, str | None]]

# As Go's net/http and golang.org/x/net/proxy, and so the docker client, look for them.
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def proxied(environ: "Mapping[str, str]") -> bool:
    """Whether the environment sets a proxy."""
    return any(environ.get(name) for name in PROXIES)


def no_proxy(host: str, environ: "Mapping[str, str]", *, remove: bool = False) -> "Values":
    """Return NO_PROXY and no_proxy, those that are set, with the host among their entries (or without it)."""
    names = [name for name in ("NO_PROXY", "no_proxy") if environ.get(name)] or ([] if remove else ["NO_PROXY"])
    values: Values = []
    for name in names:
        entries = [entry.strip() for entry in environ.get(name, "").split(",") if entry.strip()]
        if remove:
            entries = [entry for entry in entries if entry != host]
        elif host not in entries:
            entries.append(host)
        values.append((name, ",".join(entries) or None))
    return values
