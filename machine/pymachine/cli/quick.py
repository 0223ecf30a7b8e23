"""Answers frequent commands without click, in their simple forms.

These are ``env``, ``config``, ``url``, ``ip``, ``ls -q``, ``--version``, ``--help`` and ``status``.

The global options are supported, before or after the command. Everything else (other options, a machine that is not
ready, missing files) is left to the full command line, which prints the same (``cli.client_env``). Loads only
sqlite3, json and their dependencies.
"""

import os
import sys
import time

from pymachine.cli import client_env

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from pymachine.cli.quick_status import Silence

COMPLETION = "_PYMACHINE_COMPLETE"  # set by the shell that asks what can come next
METADATA = (".dist-info", "egg-info")  # how folders of packages' metadata end
DISTRIBUTION = "pymachine_docker-"  # how ours begins, whose commands are in help.txt
HELP_WIDTH = 80  # columns; click writes help no wider, and help.txt is what it writes
PROGRESS = ("auto", "plain", "json", "none")
# Options by what they are kept as: those of every command, and those that a command answers here by itself.
GLOBAL_VALUES = {"-s": "-s", "--storage-path": "-s", "--progress": "--progress"}
GLOBAL_FLAGS = {"-D": "-D", "--debug": "-D"}
OWN_VALUES: "Mapping[str, Mapping[str, str]]" = {"env": {"--shell": "--shell"}}
OWN_FLAGS: "Mapping[str, Mapping[str, str]]" = {
    "": {"-v": "--version", "--version": "--version", "-h": "--help", "--help": "--help"},
    "env": {"--no-proxy": "--no-proxy"},
    "ls": {"-q": "-q", "--quiet": "-q"},
}
COMMANDS = ("", "env", "config", "url", "ip", "ls", "status")


class AssumedAnswer(str):
    """An output, and the line about the machine that was assumed, for standard error; empty if one was named."""

    __slots__ = ("note",)
    note: str


def answer(words: "list[str]", environ: "Mapping[str, str]") -> "str | Silence | None":
    """Return the output of the command, or None if the full command line has to run.

    ``Silence`` has what ``status`` found out, for the full command line to continue with.
    """
    read = None if environ.get(COMPLETION) else _read(words)
    if read is None:
        return None
    command, name, options = read
    if not command:
        return _about(options, environ)
    folder = _folder(options, environ)
    if command == "ls":
        return _listed(folder) if "-q" in options and name is None else None
    if name is None:
        return None if command == "status" else _assumed(command, folder, options, environ)
    return _of_machine(command, name, name, folder, options, environ)


def _assumed(
    command: str, folder: str, options: "Mapping[str, str]", environ: "Mapping[str, str]"
) -> "str | Silence | None":
    """Return the answer for the machine that is assumed where none is named: the only one, or the default.

    Whether one is active is left to the full command line.
    """
    from pymachine.store.lookup import has_contexts, names

    if environ.get("DOCKER_HOST") or has_contexts(folder):
        return None
    known = names(folder)
    name = known[0] if len(known) == 1 else client_env.DEFAULT
    output = _of_machine(command, name, None, folder, options, environ)
    if not isinstance(output, str):
        return output
    found = AssumedAnswer(output)
    found.note = client_env.assumption(name, client_env.ONLY if len(known) == 1 else client_env.NAMED_DEFAULT)
    return found


def _of_machine(
    command: str,
    name: str,
    given: "str | None",
    folder: str,
    options: "Mapping[str, str]",
    environ: "Mapping[str, str]",
) -> "str | Silence | None":
    """Return the answer for a machine; ``given`` is the name as it was typed, None for one that is assumed."""
    from pymachine.store.lookup import lookup

    document = lookup(folder, name)
    if document is None or not client_env.is_ready(document):
        return None
    if command in ("url", "ip"):
        return (client_env.url_of(document) if command == "url" else client_env.address_of(document)) + "\n"
    certificates = _certificates(document, folder)
    if certificates is None or (certificates and client_env.is_refused(document, certificates, time.time())):
        return None
    if command == "env":
        return _environment(given, document, certificates, options, environ)
    return _configuration(document, certificates) if command == "config" else _state(document, certificates)


def _about(options: "Mapping[str, str]", environ: "Mapping[str, str]") -> "str | None":
    """Return the version, or the help, for a line without a command."""
    if "--version" in options:
        from pymachine import __version__

        return None if "--help" in options else f"pymachine {__version__}\n"
    if _columns(environ) < HELP_WIDTH or _may_have_added_commands(sys.path):
        return None
    with open(f"{os.path.dirname(__file__)}/help.txt", encoding="utf-8") as file:  # noqa: PTH120, PTH123
        return file.read()


def _columns(environ: "Mapping[str, str]") -> int:
    """Return the terminal's width as ``shutil.get_terminal_size`` does, without its slow imports."""
    try:
        columns = int(environ.get("COLUMNS", ""))
    except ValueError:
        columns = 0
    if columns <= 0:
        try:
            assert sys.__stdout__ is not None
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns
        except (AssertionError, ValueError, OSError):
            columns = 0
    return columns or HELP_WIDTH


def _may_have_added_commands(path: "list[str]") -> bool:
    """Whether a package besides ours may add commands, which help.txt does not have.

    ``importlib.metadata`` knows, and costs more than the answer. This looks for the group's name in the files that it
    would read, so the full command line is asked too often rather than not at all.
    """
    for folder in path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208
        except FileNotFoundError:
            continue
        except OSError:  # an archive, say
            return True
        if any(_names_group(f"{folder or '.'}/{name}") for name in names if name.lower().endswith(METADATA)):
            return True
    return False


def _names_group(folder: str) -> bool:
    """Whether the metadata of another distribution name the group of entry points for commands."""
    if folder.rpartition("/")[2].startswith(DISTRIBUTION):
        return False
    try:
        with open(f"{folder}/entry_points.txt", "rb") as file:  # noqa: PTH123
            return b"pymachine.commands" in file.read()
    except OSError:
        return False


def _folder(options: "Mapping[str, str]", environ: "Mapping[str, str]") -> str:
    from pymachine.store.location import default_location

    return os.path.abspath(options["-s"]) if options.get("-s") else default_location(environ)  # noqa: PTH100


def _listed(folder: str) -> "str | None":
    """Return the names, one per line.

    A store that must be created, or restricted, is left to the full command line.
    """
    from pymachine.store.lookup import is_private, names

    if not is_private(folder):
        return None
    return "".join(f"{name}\n" for name in names(folder))


def _state(document: "dict[str, Any]", certificates: str) -> "str | Silence":
    from pymachine.cli.quick_status import glance

    return glance(document, certificates)


def _configuration(document: "dict[str, Any]", certificates: str) -> "str | None":
    return None if client_env.has_blank(certificates) else client_env.config_text(document, certificates)


def _environment(
    name: "str | None",
    document: "dict[str, Any]",
    certificates: str,
    options: "Mapping[str, str]",
    environ: "Mapping[str, str]",
) -> "str | None":
    from pymachine.cli import shells

    shell = options.get("--shell") or shells.detect(environ)
    if shell not in shells.NAMES:
        return None
    values = client_env.variables(document, certificates)
    if "--no-proxy" in options:
        from pymachine.proxies import no_proxy

        values += no_proxy(client_env.host_of(document), environ)
    return shells.text(shell, values, _again(options, name, environ))


def _again(options: "Mapping[str, str]", name: "str | None", environ: "Mapping[str, str]") -> "list[str]":
    """Return the command line that produced this output, as ``env`` writes it."""
    storage = ["-s", options["-s"]] if options.get("-s") else []
    shell = ["--shell", options["--shell"]] if options.get("--shell") else []
    no_proxy = ["--no-proxy"] if "--no-proxy" in options else []
    start = client_env.program(environ, sys.argv[0], sys.executable)
    return [*start, *storage, "env", *shell, *no_proxy, *([] if name is None else [name])]


def _read(words: "list[str]") -> "tuple[str, str | None, dict[str, str]] | None":
    """Split the words into command, name and options; None for any form that is not simple."""
    command, names = "", []
    options: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word.startswith("-"):
            found = _option(command, word, rest)
            if found is None:
                return None
            options[found[0]] = found[1]
        elif command:
            names.append(word)
        elif word in COMMANDS:
            command = word
        else:
            return None
    if len(names) > 1 or options.get("--progress", PROGRESS[0]) not in PROGRESS:
        return None
    return command, names[0] if names else None, options


def _option(command: str, word: str, rest: "Iterator[str]") -> "tuple[str, str] | None":
    """Return the option of a word with its value, which is the next word or a part of this one."""
    flags = {**GLOBAL_FLAGS, **OWN_FLAGS.get(command, {})}
    if word in flags:
        return flags[word], ""
    values = {**GLOBAL_VALUES, **OWN_VALUES.get(command, {})}
    if word in values:
        value = next(rest, "-")
        return None if value.startswith("-") else (values[word], value)
    name, equals, value = word.partition("=")
    return (values[name], value) if equals and name.startswith("--") and name in values else None


def _certificates(document: "dict[str, Any]", folder: str) -> "str | None":
    """Return the folder of the client's files, "" for a machine without any.

    None leaves it to the full command line, which restores missing ones, and asks an engine whose renewal was
    interrupted which certificates it has.
    """
    from pymachine.store.lookup import client_path, secret_names

    if client_env.is_in_renewal(document):
        return None
    path = client_path(folder, document["name"])
    if all(os.path.exists(f"{path}/{file}") for file in client_env.CLIENT_FILES):  # noqa: PTH110
        return path
    return None if secret_names(folder, document["name"]) else ""
