"""What ``env``, ``config``, ``url`` and ``ip`` say of a machine's document. Pure, and light to import.

``certificates`` is the folder of the client's files, empty for an engine that is remembered without any.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Document = Mapping[str, Any]
    Values = list[tuple[str, str | None]]

PROGRAM = "pymachine"
CLIENT_FILES = ("ca.pem", "cert.pem", "key.pem")
PARTS = {"client": "client certificate", "ca": "authority", "server": "server certificate"}
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


def is_refused(document: "Document", certificates: str, now: float) -> bool:
    """Whether a certificate has ended, or has yet to begin: client or engine then refuses the other.

    The record tells of those that we made, the client's files of those that came with the engine. A clock that is
    behind the machine's create counts as well. ``now`` is in seconds since the epoch.
    """
    if document.get("certificates"):
        return has_expired(document, now) or str(document.get("created") or "")[:19] > _moment(now)
    return bool(certificates) and bool(file_faults(certificates, document["name"], now))


def has_expired(document: "Document", now: float) -> bool:
    """Whether a certificate on record has ended: the client's, the engine's, or their authority.

    ``now`` is in seconds since the epoch. All are texts in UTC, ISO 8601, so the earlier one sorts first.
    """
    certificates = document.get("certificates") or {}
    ends = [certificates.get(f"{part}_expires") for part in PARTS]
    return any(str(end)[:19] <= _moment(now) for end in ends if end)


def _moment(now: float) -> str:
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))


def file_faults(certificates: str, name: str, now: float) -> "list[str]":
    """Return what is wrong with the dates of a machine's client files, in words."""
    from datetime import UTC, datetime

    from pymachine.engine.der import validity, validity_of_authorities

    moment, found = datetime.fromtimestamp(now, UTC), []
    for part, file in (("client", "cert.pem"), ("ca", "ca.pem")):
        try:
            with open(f"{certificates}/{file}", encoding="ascii", errors="replace") as text:  # noqa: PTH123
                content = text.read(1 << 20)
            begin, end = validity_of_authorities(content, moment) if part == "ca" else validity(content)
        except (OSError, ValueError):  # the docker client has words of its own for it
            continue
        if end <= moment:
            found.append(f"the {PARTS[part]} of {name} expired on {end:%Y-%m-%d}")
        elif begin > moment:
            found.append(f"the {PARTS[part]} of {name} is not valid before {begin:%Y-%m-%d %H:%M} UTC")
    return found


def has_blank(path: str) -> bool:
    """Whether a shell would take an unquoted path apart."""
    return any(char.isspace() for char in path)


def repeated(options: "Mapping[str, str]") -> "list[str]":
    """Return the options of ``env`` as words, for the line that repeats the command."""
    return [word for name, value in options.items() for word in (name, value) if word]


def program(environ: "Mapping[str, str]", started: str, python: str) -> "list[str]":
    """Return the words that start this program again: its name where PATH leads to it, else its path.

    ``started`` is ``sys.argv[0]``, ``python`` the interpreter. For ``python -m pymachine`` the words are the
    interpreter's, since only that one may have the module. Part of another program it has its name alone.
    """
    import os

    folder, _, file = started.rpartition("/")
    if file == "__main__.py" and folder.endswith(f"/{PROGRAM}") and python:
        return [python, "-m", PROGRAM]
    if not folder or PROGRAM not in (file, os.path.basename(os.path.realpath(started))):  # noqa: PTH119
        return [PROGRAM]
    return [file] if _is_on_path(started, file, environ) else [os.path.abspath(started)]  # noqa: PTH100


def _is_on_path(started: str, name: str, environ: "Mapping[str, str]") -> bool:
    """Whether a shell that looks for a name finds this very file."""
    import os

    for folder in environ.get("PATH", os.defpath).split(":"):
        path = f"{folder or '.'}/{name}"
        if os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            return os.path.isfile(started) and os.path.samefile(path, started)  # noqa: PTH113, PTH121
    return False
