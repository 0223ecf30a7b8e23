"""This computer's docker client, as far as its contexts go. Its files are neither read nor written here."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pymachine.errors import CheckFailed, PymachineError
from pymachine.fleet.apply.subprocesses import CompletedProgram, NotInstalled, RunProgram
from pymachine.store.client_files import CLIENT_FILES
from pymachine.strict_json import parse_json

DEADLINE = 30.0  # seconds for one command; it works on files of this computer alone
MARK = "pymachine"  # the key of our mark in the metadata of a context
_ENDPOINT = "docker"
_SELECTS = ("DOCKER_HOST", "DOCKER_CONTEXT")  # which context is at work, and nothing else


class NoDockerClient(CheckFailed):
    """There is no docker client on this computer."""


@dataclass(frozen=True, slots=True)
class ContextMark:
    """Whose a context is: the identity of a store, and the id of a machine in it."""

    store: str
    machine: str


@dataclass(frozen=True, slots=True)
class DockerContext:
    """A context as the client describes it. ``mark`` is None for one that pymachine did not make."""

    name: str
    host: str
    mark: ContextMark | None


class ContextClient:
    """Runs ``docker context``.

    Every method may raise ``NoDockerClient``, and ``PymachineError`` for what the client refuses or does not end.
    """

    def __init__(self, run: RunProgram, environ: Mapping[str, str]) -> None:
        self._run = run
        self._environ = environ

    def names(self) -> list[str]:
        """Return the names of all contexts."""
        return self._ask("ls", "-q").output.decode(errors="replace").split()

    def inspect(self, names: Sequence[str]) -> list[DockerContext]:
        """Return the contexts of these names that exist and can be read."""
        if not names:
            return []
        return _contexts(self._told("inspect", "--", *names).output)

    def current(self) -> DockerContext | None:
        """Return the context that the client uses in this environment; None if it does not exist."""
        return self._one_at_work(self._environ)

    def default(self) -> DockerContext | None:
        """Return the context that the client uses where nothing in the environment selects another one."""
        return self._one_at_work(None)

    def add(self, context: DockerContext, description: str, files: Mapping[str, bytes]) -> None:
        """Make a context that must not exist yet, with the client's certificates, or with none."""
        self._ask("import", "--", context.name, "-", given=context_archive(context, description, files))

    def update(self, name: str, host: str, folder: Path | None) -> None:
        """Change address and certificates of a context; its metadata stay. ``folder`` has the client's files."""
        self._ask("update", f"--{_ENDPOINT}", _endpoint(host, folder), "--", name)

    def remove(self, name: str) -> None:
        """Remove a context, also the one that is used by default: the client then falls back to its own."""
        self._ask("rm", "--force", "--", name)

    def use(self, name: str) -> None:
        """Make a context the default of the client."""
        self._ask("use", "--", name)

    def _one_at_work(self, environ: Mapping[str, str] | None) -> DockerContext | None:
        result = self._told("inspect", environ=environ)
        if result.code and not result.output.strip():
            raise _failed("inspect", result)
        return next(iter(_contexts(result.output)), None)

    def _ask(self, *words: str, given: bytes | None = None) -> CompletedProgram:
        result = self._told(*words, given=given)
        if result.code:
            raise _failed(words[0], result)
        return result

    def _told(
        self, *words: str, given: bytes | None = None, environ: Mapping[str, str] | None = None
    ) -> CompletedProgram:
        stripped = {name: value for name, value in self._environ.items() if name not in _SELECTS}
        how = stripped if environ is None else environ
        try:
            return self._run(["docker", "context", *words], how, deadline=DEADLINE, given=given, apart=True)
        except NotInstalled:
            raise NoDockerClient(
                "there is no docker client on this computer, and contexts are its own",
                hint="install the docker client (docker-ce-cli, docker-cli or docker.io)",
            ) from None


def context_archive(context: DockerContext, description: str, files: Mapping[str, bytes]) -> bytes:
    """Return a context in the form that ``docker context import`` takes: a tar of metadata and certificates."""
    mark = {MARK: asdict(context.mark)} if context.mark else {}
    document = {
        "Name": context.name,
        "Metadata": {"Description": description, **mark},
        "Endpoints": {_ENDPOINT: {"Host": context.host, "SkipTLSVerify": False}},
    }
    content = {"meta.json": json.dumps(document).encode()}
    content |= {f"tls/{_ENDPOINT}/{file}": files[file] for file in CLIENT_FILES if file in files}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def _failed(word: str, result: CompletedProgram) -> PymachineError:
    said = next((line for line in reversed(result.lines) if line), f"exit code {result.code}")
    return PymachineError(f"`docker context {word}` failed: {said}")


def _endpoint(host: str, folder: Path | None) -> str:
    """Return the value of ``--docker``: pairs in one line of CSV."""
    pairs = [f"host={host}"]
    if folder is not None:
        pairs += [f"{key}={folder / file}" for key, file in zip(("ca", "cert", "key"), CLIENT_FILES, strict=True)]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(pairs)
    return line.getvalue()


def _contexts(output: bytes) -> list[DockerContext]:
    """Return the contexts of what ``inspect`` printed. Raises ``PymachineError`` for anything else."""
    try:
        document = parse_json(output.strip() or b"[]")
    except ValueError as error:
        raise PymachineError(f"`docker context inspect` printed what is not JSON: {error}") from None
    found = document if isinstance(document, list) else [document]
    return [_context(each) for each in found if isinstance(each, dict) and isinstance(each.get("Name"), str)]


def _context(document: Mapping[str, Any]) -> DockerContext:
    endpoint = _mapping(_mapping(document, "Endpoints"), _ENDPOINT)
    mark = _mapping(_mapping(document, "Metadata"), MARK)
    store, machine = mark.get("store"), mark.get("machine")
    ours = ContextMark(store, machine) if isinstance(store, str) and isinstance(machine, str) else None
    return DockerContext(document["Name"], str(endpoint.get("Host", "")), ours)


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}
