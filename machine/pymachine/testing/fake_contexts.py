"""``docker context`` for tests, without a docker client: contexts in memory, behind the seam that runs programs."""

from __future__ import annotations

import csv
import io
import json
import re
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymachine.fleet.apply.subprocesses import CompletedProgram, NotInstalled

_NAME = re.compile("[a-zA-Z0-9][a-zA-Z0-9_.+-]+")
_OWN = "default"


class FakeRefusal(Exception):
    """What the client says before it ends with 1."""


@dataclass
class FakeContext:
    """A context: its metadata, the address of its engine, and its certificates by file name."""

    metadata: dict[str, Any]
    host: str
    files: dict[str, bytes] = field(default_factory=dict)


class FakeContexts:
    """A docker client's contexts; called as ``RunProgram`` is.

    ``calls`` are the words of each command. ``installed`` false means that there is no client, ``keeps_metadata``
    false one of before 20.10; ``fault`` is what every command fails with.
    """

    def __init__(self) -> None:
        self.contexts: dict[str, FakeContext] = {}
        self.calls: list[tuple[str, ...]] = []
        self.default = _OWN
        self.installed = self.keeps_metadata = True
        self.fault = ""

    def __call__(  # noqa: PLR0913 - the seam's
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        *,
        deadline: float,
        folder: Path | None = None,
        on_line: Callable[[str], None] | None = None,
        given: bytes | None = None,
        apart: bool = False,
    ) -> CompletedProgram:
        """Run one ``docker context`` command."""
        assert list(words[:2]) == ["docker", "context"], words
        assert apart, "its answers are read"
        self.calls.append(tuple(words[2:]))
        if not self.installed:
            raise NotInstalled("docker cannot be run")
        if self.fault:
            return CompletedProgram(1, (self.fault,))
        arguments = [word for word in words[3:] if word not in ("--", "-", "-q", "--force", "--docker")]
        try:
            return CompletedProgram(0, (), self._done(words[2], arguments, environ, given or b"").encode())
        except FakeRefusal as refusal:
            output, reason = refusal.args
            return CompletedProgram(1, (reason,), output.encode())

    def _done(self, word: str, arguments: list[str], environ: Mapping[str, str], given: bytes) -> str:
        if word == "ls":
            return "".join(f"{name}\n" for name in sorted((*self.contexts, _OWN)))
        if word == "inspect":
            return self._described(arguments or [self._at_work(environ)])
        if word == "import":
            self._import(arguments[0], given)
        elif word == "update":
            self._update(arguments[1], arguments[0])
        elif word == "rm":
            self._found(arguments[0])
            del self.contexts[arguments[0]]
            self.default = _OWN if self.default == arguments[0] else self.default
        else:
            assert word == "use", word
            self._found(arguments[0])
            self.default = arguments[0]
        return ""

    def _at_work(self, environ: Mapping[str, str]) -> str:
        return _OWN if environ.get("DOCKER_HOST") else environ.get("DOCKER_CONTEXT") or self.default

    def _described(self, names: Sequence[str]) -> str:
        known = [name for name in names if name == _OWN or name in self.contexts]
        output = json.dumps([self._document(name) for name in known])
        missing = [name for name in names if name not in known]
        if missing:
            raise FakeRefusal(output, f'context "{missing[0]}": context not found')
        return output

    def _document(self, name: str) -> dict[str, Any]:
        context = self.contexts.get(name) or FakeContext({}, "unix:///var/run/docker.sock")
        return {"Name": name, "Metadata": context.metadata, "Endpoints": {"docker": {"Host": context.host}}}

    def _import(self, name: str, given: bytes) -> None:
        if name == _OWN or not _NAME.fullmatch(name):
            raise FakeRefusal("", f'context name "{name}" is invalid')
        if name in self.contexts:
            raise FakeRefusal("", f'context "{name}" already exists')
        with tarfile.open(fileobj=io.BytesIO(given)) as archive:
            content = {entry.name: _bytes(archive, entry) for entry in archive}
        document = json.loads(content.pop("meta.json"))
        metadata = document["Metadata"]
        kept = metadata if self.keeps_metadata else {"Description": metadata["Description"]}
        files = {path.removeprefix("tls/docker/"): data for path, data in content.items()}
        self.contexts[name] = FakeContext(kept, document["Endpoints"]["docker"]["Host"], files)

    def _update(self, name: str, endpoint: str) -> None:
        context = self._found(name)
        (pairs,) = csv.reader([endpoint])
        given = dict(pair.split("=", 1) for pair in pairs)
        context.host = given.pop("host")
        context.files = {f"{key}.pem": Path(path).read_bytes() for key, path in given.items()}

    def _found(self, name: str) -> FakeContext:
        if name not in self.contexts:
            raise FakeRefusal("", f'context "{name}": context not found')
        return self.contexts[name]


def _bytes(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(entry)
    assert stream is not None
    return stream.read()
