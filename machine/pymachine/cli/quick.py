"""What is typed all day, answered without click: plain forms of ``env``, ``config``, ``url`` and ``ip``.

Anything unusual (other options, a machine that is not ready, files that are missing) is left to the full command
line, which prints the same through ``cli.answers``. Loads sqlite3 and json and what they need.
"""

import os

from pymachine.cli import answers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

COMMANDS = ("env", "config", "url", "ip")
DEFAULT = "default"


def answer(words: "list[str]", environ: "Mapping[str, str]") -> "str | None":
    """Return what the command prints, or None where the full command line has to look at it."""
    read = _read(words)
    if read is None:
        return None
    command, name, options = read
    from pymachine.store.location import default_location
    from pymachine.store.lookup import lookup

    folder = default_location(environ)
    document = lookup(folder, name)
    if document is None or not answers.is_ready(document):
        return None
    if command in ("url", "ip"):
        return (answers.url_of(document) if command == "url" else answers.address_of(document)) + "\n"
    return _with_certificates(command, document, folder, options, environ)


def _with_certificates(
    command: str, document: "dict[str, Any]", folder: str, options: "dict[str, str]", environ: "Mapping[str, str]"
) -> "str | None":
    certificates = _certificates(document, folder)
    if certificates is None or (command == "config" and answers.has_blank(certificates)):
        return None
    if command == "config":
        return answers.config_text(document, certificates)
    from pymachine.cli import shells

    shell = options.get("--shell") or shells.detect(environ)
    if shell not in shells.NAMES:
        return None
    values = answers.variables(document, certificates)
    if "--no-proxy" in options:
        values += answers.no_proxy(answers.host_of(document), environ)
    return shells.text(shell, values, ["pymachine", "env", *answers.repeated(options), document["name"]])


def _read(words: "list[str]") -> "tuple[str, str, dict[str, str]] | None":
    """Take the words apart; None for any form that is not plain."""
    if not words or words[0] not in COMMANDS:
        return None
    names, options = [], {}
    rest = iter(words[1:])
    for word in rest:
        if not word.startswith("-"):
            names.append(word)
        elif words[0] != "env":
            return None
        elif word == "--shell":
            options[word] = next(rest, "")
        elif word == "--no-proxy":
            options[word] = ""
        else:
            return None
    return (words[0], names[0] if names else DEFAULT, options) if len(names) < 2 else None


def _certificates(document: "dict[str, Any]", folder: str) -> "str | None":
    """Return the folder of the client's files, "" for a machine without any, None where they have to be restored."""
    from pymachine.store.lookup import client_path, secret_names

    path = client_path(folder, document["name"])
    if all(os.path.exists(f"{path}/{file}") for file in answers.CLIENT_FILES):  # noqa: PTH110
        return path
    return None if secret_names(folder, document["name"]) else ""
