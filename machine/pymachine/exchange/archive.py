"""The file of an export: a tar archive of few, small, known files, written and read in memory."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pymachine.addresses import check_host, check_port, check_user, parse_jump
from pymachine.documents import from_document, to_document
from pymachine.errors import CheckFailed, PymachineError
from pymachine.model import Endpoint, check_name
from pymachine.store.client_files import CLIENT_FILES, LOGIN_KEY
from pymachine.strict_json import parse_json
from pymachine.transport.host_keys import parse_pin

KIND = "pymachine export"
VERSION = 1
SIZE_LIMIT = 32 << 20  # bytes of the whole file
MEMBER_LIMIT = 64 << 10  # bytes of one file in it
MACHINE_LIMIT = 2_000
TEXT_LIMIT = 256  # characters of a label or a version
MANY = 256  # labels or addresses of a machine

_MANIFEST = "manifest.json"
_RECORD = "machine.json"
_FILES = (_RECORD, *CLIENT_FILES, LOGIN_KEY)
_MEMBER = re.compile(r"machines/([A-Za-z0-9.-]{1,63})/([a-z0-9_.]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ExportedLogin:
    """How to log in to the host, with every part given. ``host_key`` is as in ``SshAddress``."""

    host: str
    port: int
    user: str
    host_key: str
    jump: str | None = None

    def __post_init__(self) -> None:
        check_host(self.host)
        check_port(self.port)
        check_user(self.user)
        parse_pin(self.host_key)
        parse_jump(self.jump or "")


@dataclass(frozen=True, slots=True)
class ExportedMachine:
    """A machine in the file. ``driver`` is the one that made it; ``login`` is None without a login to its host.

    ``files`` are the client's certificates and key, made for the receiver, and a login key if one was requested.
    """

    name: str
    driver: str
    endpoint: Endpoint
    login: ExportedLogin | None = None
    engine_version: str | None = None
    addresses: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        check_host(self.endpoint.host)
        check_port(self.endpoint.port)
        for address in self.addresses:
            check_host(address)
        texts = [self.driver, self.engine_version or "", *self.labels, *self.labels.values()]
        if max(map(len, texts)) > TEXT_LIMIT or max(len(self.labels), len(self.addresses)) > MANY:
            raise ValueError("it has more or longer texts than a machine can have")


def pack(machines: Sequence[ExportedMachine], created: str) -> bytes:
    """Return the archive. ``created`` is ISO 8601, UTC."""
    names = [machine.name for machine in machines]
    manifest = {"kind": KIND, "version": VERSION, "created": created, "machines": names}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, _MANIFEST, json.dumps(manifest, indent=2).encode())
        for machine in machines:
            document = {key: value for key, value in to_document(machine).items() if key not in ("files", "name")}
            _add(archive, f"machines/{machine.name}/{_RECORD}", json.dumps(document, indent=2).encode())
            for file, content in machine.files.items():
                _add(archive, f"machines/{machine.name}/{file}", content)
    return out.getvalue()


def unpack(data: bytes) -> list[ExportedMachine]:
    """Return the machines of an archive; nothing is written anywhere.

    Raises ``CheckFailed`` with the first thing that is wrong: another kind of file, an entry that does not belong
    there, one that is too large, a record of the wrong shape, or a newer version.
    """
    try:
        members = dict(_members(data))
        names = _names(members.pop(_MANIFEST, None))
        machines = [_machine(name, _files_of(name, members)) for name in names]
    except PymachineError as error:
        raise _damaged(error.message) from None
    except tarfile.TarError as error:
        raise _damaged(str(error)) from None
    except (ValueError, TypeError) as error:
        raise _damaged(str(error)) from None
    left = [path for path in members if path.split("/")[1] not in names]
    if left:
        raise _damaged(f"{left[0]!r} belongs to no machine of its list")
    return machines


def _damaged(reason: str) -> CheckFailed:
    return CheckFailed(f"this is not a valid export: {reason}", hint="ask for another; nothing was imported")


def _add(archive: tarfile.TarFile, path: str, content: bytes) -> None:
    member = tarfile.TarInfo(path)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    if len(data) > SIZE_LIMIT:
        raise ValueError(f"it has more than {SIZE_LIMIT >> 20} MiB")
    seen: set[str] = set()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            _check_member(member)
            if member.name in seen or len(seen) > MACHINE_LIMIT * len(_FILES):
                raise ValueError(f"it has {member.name!r} twice, or too many files")
            seen.add(member.name)
            content = archive.extractfile(member)
            assert content is not None, "a plain file has a content"
            yield member.name, content.read(MEMBER_LIMIT)


def _check_member(member: tarfile.TarInfo) -> None:
    match = _MEMBER.fullmatch(member.name)
    if member.name != _MANIFEST and (match is None or match[2] not in _FILES):
        raise ValueError(f"{member.name[:TEXT_LIMIT]!r} is not a file of an export")
    if not member.isreg() or member.issparse():
        raise ValueError(f"{member.name} is not a plain file")
    if member.size > MEMBER_LIMIT:
        raise ValueError(f"{member.name} has more than {MEMBER_LIMIT >> 10} KiB")


@dataclass(frozen=True, slots=True)
class _Manifest:
    kind: str
    version: int
    created: str
    machines: tuple[str, ...]


def _names(data: bytes | None) -> list[str]:
    if data is None:
        raise ValueError(f"it has no {_MANIFEST}")
    document = parse_json(data)
    if isinstance(document, dict) and isinstance(document.get("version"), int) and document["version"] > VERSION:
        raise ValueError(f"it is of version {document['version']}, and this pymachine reads up to {VERSION}")
    manifest = from_document(_Manifest, document)
    if manifest.kind != KIND or manifest.version != VERSION:
        raise ValueError(f"{_MANIFEST} says kind {manifest.kind[:TEXT_LIMIT]!r}, version {manifest.version}")
    if not manifest.machines:
        raise ValueError("it has no machine")
    if len({name.lower() for name in manifest.machines}) != len(manifest.machines):
        raise ValueError("a name is in its list twice")
    return [check_name(name) for name in manifest.machines]


def _files_of(name: str, members: Mapping[str, bytes]) -> dict[str, bytes]:
    start = f"machines/{name}/"
    return {path.removeprefix(start): content for path, content in members.items() if path.startswith(start)}


def _machine(name: str, files: dict[str, bytes]) -> ExportedMachine:
    record = files.pop(_RECORD, None)
    if record is None:
        raise ValueError(f"{name} has no {_RECORD}")
    document = parse_json(record)
    if not isinstance(document, dict) or "files" in document:
        raise ValueError(f"{_RECORD} of {name} is not a record")
    try:
        return from_document(ExportedMachine, {**document, "name": name, "files": files})
    except (ValueError, TypeError) as error:
        raise ValueError(f"{_RECORD} of {name}: {error}") from None
