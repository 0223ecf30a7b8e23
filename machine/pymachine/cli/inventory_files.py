"""Reads inventories: which files, their texts, and everything outside that they refer to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from pymachine.cli.app import App
from pymachine.cli.output import note
from pymachine.errors import PymachineError, UsageFault, ValueFault
from pymachine.fleet.inventory import Inventory, SecretSource, Surroundings, YamlFile, load
from pymachine.user_path import as_lines, read_to_end, read_whole

STANDARD_INPUT = "-"
DEFAULT_FILES = ("pymachine.yaml", "pymachine.yml", "fleet.yaml", "fleet.yml")
SUFFIXES = (".yaml", ".yml")
SECRET_DEADLINE = 30.0  # seconds for a command that prints a secret
SECRET_LIMIT = 64 << 10  # bytes
SCRIPT_LIMIT = 1 << 20  # bytes

FILES = click.option(
    "-f", "--file", "files", multiple=True, metavar="FILE",
    help="Inventory: a file, a folder, - for standard input; may be repeated.  [default: pymachine.yaml, fleet.yaml]",
)  # fmt: skip


def read_inventory(app: App, files: Sequence[str]) -> Inventory:
    """Read the inventory in these files, by default the one of the current folder; print its warnings to stderr.

    Secrets are read when the inventory is revealed. Raises ``UsageFault`` with all errors of the files.
    """
    inventory = load(sources_of(files), surroundings_of(app))
    for warning in inventory.warnings:
        note(f"warning: {warning}")
    return inventory


def surroundings_of(app: App) -> Surroundings:
    """Return what the reader needs: the environment, the installed drivers, files, secrets."""
    return Surroundings(
        environ=app.environ,
        drivers=tuple(app.wiring.driver_names()),
        options_of=lambda name: app.wiring.load_driver(name).options,
        paths=LocalPaths(),
        secrets=lambda source: secret_of(source, app.environ),
    )


def sources_of(files: Sequence[str]) -> list[YamlFile]:
    """Return names and texts of the files; a folder means the YAML files in it. Raises ``UsageFault``."""
    return [_source(name) for given in (files or [_default()]) for name in _within(given)]


def _default() -> str:
    for name in DEFAULT_FILES:
        if Path(name).is_file():
            return name
    raise UsageFault(
        f"no inventory: neither {DEFAULT_FILES[0]} nor {DEFAULT_FILES[2]} is in this folder",
        hint="name one with -f, or write one with `pymachine init`",
    )


def _within(name: str) -> list[str]:
    path = Path(name)
    if name == STANDARD_INPUT or not path.is_dir():
        return [name]
    try:
        found = sorted(str(inner) for inner in path.iterdir() if inner.suffix in SUFFIXES and inner.is_file())
    except OSError as error:
        raise _unreadable(name, error) from None
    if not found:
        raise UsageFault(f"-f {name}: the folder has no file that ends in .yaml or .yml", hint="name another")
    return found


def _source(name: str) -> YamlFile:
    try:
        data = read_to_end(sys.stdin.buffer, name) if name == STANDARD_INPUT else read_whole(Path(name))
        return YamlFile(name, as_lines(data))
    except OSError as error:
        raise _unreadable(name, error) from None
    except UnicodeDecodeError as error:
        raise UsageFault(f"-f {name}: not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from None


def _unreadable(name: str, error: OSError) -> UsageFault:
    return UsageFault(
        f"-f {name}: {(error.strerror or str(error)).lower()}",
        hint="name an existing inventory, or write one with `pymachine init`",
    )


class LocalPaths:
    """The files of this computer. Paths in standard input are relative to the current folder."""

    def resolve(self, file: str, path: str) -> str:
        """Return an absolute path, ``~`` expanded."""
        folder = "" if file == STANDARD_INPUT else os.path.dirname(file)  # noqa: PTH120
        return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))  # noqa: PTH100, PTH111, PTH118

    def fault(self, path: str, *, executable: bool = False) -> str | None:
        """Return why a file cannot be used."""
        if not Path(path).exists():
            return "no such file"
        if not Path(path).is_file():
            return "not a file"
        if not os.access(path, os.R_OK):
            return "it is not readable"
        return "it is not executable: chmod +x it" if executable and not os.access(path, os.X_OK) else None

    def read(self, path: str) -> str:
        """Return the text of a script. Raises ``ValueFault``."""
        try:
            return _text(path, SCRIPT_LIMIT)
        except _UnreadableText as why:
            raise ValueFault(path, f"cannot be read: {why}") from None


def secret_of(source: SecretSource, environ: Mapping[str, str], deadline: float = SECRET_DEADLINE) -> str:
    """Return a secret from its file or command, without the newline at its end. Raises ``PymachineError``."""
    what = source.path if source.path is not None else f"the output of command {source.words[0]}"
    try:
        text = _text(source.path, SECRET_LIMIT) if source.path is not None else _printed(source, environ, deadline)
    except _UnreadableText as why:
        raise UsageFault(f"{what}: {why}") from None
    return text.removesuffix("\n").removesuffix("\r")


class _UnreadableText(Exception):
    """Why a file or output is not a text."""


def _text(path: str, limit: int) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise _UnreadableText((error.strerror or str(error)).lower()) from None
    return _decoded(data, limit)


def _printed(source: SecretSource, environ: Mapping[str, str], deadline: float) -> str:
    """Run the command. It keeps standard error and the terminal, on which it may ask for a passphrase."""
    name = f"command {source.words[0]}"
    try:
        with subprocess.Popen(
            source.words, cwd=source.folder, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as process:
            data = _output(process, deadline)
    except subprocess.TimeoutExpired:
        raise PymachineError(f"{name} printed no secret within {deadline:.0f} s") from None
    except OSError as error:
        raise PymachineError(f"{name} cannot be run: {(error.strerror or str(error)).lower()}") from None
    if process.returncode:
        raise PymachineError(f"{name} ended with code {process.returncode}")
    return _decoded(data, SECRET_LIMIT)


def _output(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    try:
        return process.communicate(timeout=deadline)[0]
    except subprocess.TimeoutExpired:
        process.kill()  # what it started itself may hold the pipe: its end is not waited for
        raise


def _decoded(data: bytes, limit: int) -> str:
    if len(data) > limit:
        raise _UnreadableText(f"longer than {limit >> 10} KiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _UnreadableText("it is not text") from None
