"""The output of ``env``, ``config``, ``url`` and ``ip``, made from a machine's document. Pure, and fast to import.

``certificates`` is the folder of the client's files; it is empty for an engine that is recorded without certificates.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Document = Mapping[str, Any]
    Values = list[tuple[str, str | None]]

PROGRAM = "pymachine"
DEFAULT = "default"  # the machine of a command without a name, if no other one suggests itself
ONLY, NAMED_DEFAULT, ACTIVE = "the only machine", "the machine called default", "the active machine"
RENEWAL = "renewal"  # in the record, while a renewal of certificates is not complete
CLIENT_FILES = ("ca.pem", "cert.pem", "key.pem")
PARTS = {"client": "client certificate", "ca": "authority", "server": "server certificate"}
VARIABLES = ("DOCKER_TLS_VERIFY", "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_MACHINE_NAME")


def is_ready(document: "Document") -> bool:
    """Whether the create of the machine is complete and it has an engine."""
    return document.get("phase") == "ready" and bool(document.get("endpoint"))


def host_of(document: "Document") -> str:
    """The host part of the engine's address."""
    return str(document["endpoint"]["host"])


def url_of(document: "Document") -> str:
    """The value for DOCKER_HOST; IPv6 literals are bracketed."""
    host = host_of(document)
    bracketed = f"[{host}]" if ":" in host else host
    return f"tcp://{bracketed}:{document['endpoint']['port']}"


def address_of(document: "Document") -> str:
    """The address of the machine; a name stays a name, because clients use it."""
    for place in (document.get("endpoint"), document.get("ssh")):
        if place:
            return str(place["host"])
    return next(iter(document.get("addresses") or ()), "")


def variables(document: "Document", certificates: str) -> "Values":
    """Return the environment variables for the docker client; None means to unset a variable.

    DOCKER_CONTEXT is unset, because clients do not agree whether it overrides DOCKER_HOST. Any value of
    DOCKER_TLS_VERIFY, "0" too, enables TLS, so it is unset for an engine without certificates.
    """
    return [
        ("DOCKER_TLS_VERIFY", "1" if certificates else None),
        ("DOCKER_HOST", url_of(document)),
        ("DOCKER_CERT_PATH", certificates or None),
        ("DOCKER_MACHINE_NAME", document["name"]),
        ("DOCKER_CONTEXT", None),
    ]


def config_text(document: "Document", certificates: str) -> str:
    """Return the docker client's flags, one per line, without quotes: for ``docker $(pymachine config NAME) ps``.

    docker 29 no longer accepts the quotes that docker-machine put around paths.
    """
    return "".join(f"{word}\n" for word in config_words(document, certificates))


def config_words(document: "Document", certificates: str) -> "list[str]":
    """Return the docker client's flags as the words of a command line, each with its value in one word.

    fish and bash's mapfile make one argument of each line, and sh of each text between blanks; this form works for
    all of them.
    """
    flags = zip(("--tlscacert", "--tlscert", "--tlskey"), CLIENT_FILES, strict=True)
    paths = [f"{flag}={certificates}/{file}" for flag, file in flags]
    return [*(("--tlsverify", *paths) if certificates else ()), f"-H={url_of(document)}"]


def is_refused(document: "Document", certificates: str, now: float) -> bool:
    """Whether a certificate has expired or is not valid yet, so that client or engine refuses the other.

    The record has the dates of certificates that pymachine issued, the client's files those that came with the
    engine. A clock that is earlier than the machine's creation also counts. ``now`` is in seconds since the epoch.
    """
    if document.get("certificates"):
        return has_expired(document, now) or str(document.get("created") or "")[:19] > _moment(now)
    return bool(certificates) and bool(file_faults(certificates, document["name"], now))


def is_in_renewal(document: "Document") -> bool:
    """Whether the engine may have either of two sets of certificates: it has to be asked which."""
    return bool(document.get(RENEWAL))


def has_expired(document: "Document", now: float) -> bool:
    """Whether a certificate on record has expired: the client's, the engine's, or the authority's.

    ``now`` is in seconds since the epoch. All dates are texts in UTC, ISO 8601, so they sort as texts.
    """
    certificates = document.get("certificates") or {}
    ends = [certificates.get(f"{part}_expires") for part in PARTS]
    return any(str(end)[:19] <= _moment(now) for end in ends if end)


def _moment(now: float) -> str:
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))


def file_faults(certificates: str, name: str, now: float) -> "list[str]":
    """Return messages about the dates of a machine's client files."""
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


def assumption(name: str, why: str) -> str:
    """Return what is printed where no machine is named."""
    return f"note: no name given: using {why}" + ("" if why == NAMED_DEFAULT else f", {name}")


def has_blank(path: str) -> bool:
    """Whether a shell would split an unquoted path."""
    return any(char.isspace() for char in path)


def repeated(options: "Mapping[str, str]") -> "list[str]":
    """Return the options of ``env`` as words, for the line that shows the command."""
    return [word for name, value in options.items() for word in (name, value) if word]


def program(environ: "Mapping[str, str]", started: str, python: str) -> "list[str]":
    """Return the words that start this program: its name if it is in PATH, else its path.

    ``started`` is ``sys.argv[0]`` and ``python`` the interpreter. For ``python -m pymachine`` the words are those of
    the interpreter, since only that one may have the module. If pymachine runs inside another program, its plain name
    is returned.
    """
    import os

    folder, _, file = started.rpartition("/")
    if file == "__main__.py" and folder.endswith(f"/{PROGRAM}") and python:
        return [python, "-m", PROGRAM]
    if not folder or PROGRAM not in (file, os.path.basename(os.path.realpath(started))):  # noqa: PTH119
        return [PROGRAM]
    return [file] if is_on_path(started, file, environ) else [os.path.abspath(started)]  # noqa: PTH100


def is_on_path(started: str, name: str, environ: "Mapping[str, str]") -> bool:
    """Whether a shell finds this very file under the name."""
    import os

    for folder in environ.get("PATH", os.defpath).split(":"):
        path = f"{folder or '.'}/{name}"
        if os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            return os.path.isfile(started) and os.path.samefile(path, started)  # noqa: PTH113, PTH121
    return False
