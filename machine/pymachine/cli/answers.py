"""What ``env``, ``config``, ``url`` and ``ip`` say of a machine's document. Pure, and light to import.

``certificates`` is the folder of the client's files, empty for an engine that is remembered without any.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Document = Mapping[str, Any]
    Values = list[tuple[str, str | None]]

CLIENT_FILES = ("ca.pem", "cert.pem", "key.pem")
VARIABLES = ("DOCKER_TLS_VERIFY", "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_MACHINE_NAME")


def is_ready(document: "Document") -> bool:
    """Whether the machine came to the end of its create and has an engine to speak to."""
    return document.get("phase") == "ready" and bool(document.get("endpoint"))


def host_of(document: "Document") -> str:
    """The host that the engine is spoken to at."""
    return str(document["endpoint"]["host"])


def url_of(document: "Document") -> str:
    """The value for DOCKER_HOST; IPv6 literals are bracketed."""
    host = host_of(document)
    bracketed = f"[{host}]" if ":" in host else host
    return f"tcp://{bracketed}:{document['endpoint']['port']}"


def address_of(document: "Document") -> str:
    """The address the machine is reached at. A name stays a name: it is what clients go by."""
    for place in (document.get("endpoint"), document.get("ssh")):
        if place:
            return str(place["host"])
    return next(iter(document.get("addresses") or ()), "")


def variables(document: "Document", certificates: str) -> "Values":
    """Return what the docker client wants in its environment; None unsets.

    DOCKER_CONTEXT goes: clients do not agree whether it beats DOCKER_HOST. Any value of DOCKER_TLS_VERIFY, "0" too,
    switches TLS on, so without certificates it has to be unset.
    """
    return [
        ("DOCKER_TLS_VERIFY", "1" if certificates else None),
        ("DOCKER_HOST", url_of(document)),
        ("DOCKER_CERT_PATH", certificates or None),
        ("DOCKER_MACHINE_NAME", document["name"]),
        ("DOCKER_CONTEXT", None),
    ]


def config_text(document: "Document", certificates: str) -> str:
    """Return the docker client's flags, one a line, without quotes: for ``docker $(pymachine config NAME) ps``.

    docker 29 no longer takes the quotes that docker-machine put around paths.
    """
    return "".join(f"{word}\n" for word in config_words(document, certificates))


def config_words(document: "Document", certificates: str) -> "list[str]":
    """Return the docker client's flags as the words of a command line, each with its value in one word.

    fish and bash's mapfile make one argument of a line, sh one of what stands between blanks: this serves them all.
    """
    flags = zip(("--tlscacert", "--tlscert", "--tlskey"), CLIENT_FILES, strict=True)
    paths = [f"{flag}={certificates}/{file}" for flag, file in flags]
    return [*(("--tlsverify", *paths) if certificates else ()), f"-H={url_of(document)}"]


def has_expired(document: "Document", now: float) -> bool:
    """Whether the client's certificate or its authority has ended: the engine then refuses this client.

    ``now`` is in seconds since the epoch. Both are texts in UTC, ISO 8601, so the earlier one sorts first.
    """
    import time

    certificates = document.get("certificates") or {}
    ends = [certificates.get("client_expires"), certificates.get("ca_expires")]
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return any(str(end)[:19] <= moment for end in ends if end)


def has_blank(path: str) -> bool:
    """Whether a shell would take an unquoted path apart."""
    return any(char.isspace() for char in path)


def repeated(options: "Mapping[str, str]") -> "list[str]":
    """Return the options of ``env`` as words, for the line that repeats the command."""
    return [word for name, value in options.items() for word in (name, value) if word]
