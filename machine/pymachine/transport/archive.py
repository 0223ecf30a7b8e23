"""Packs files for standard input, with the sh scripts that unpack them on the host."""

from __future__ import annotations

import base64
import io
import tarfile
import time
from collections.abc import Sequence
from pathlib import PurePosixPath

from pymachine.transport import RemoteFile
from pymachine.transport.command import Command

NO_TAR = 90  # exit code of the tar script, before it has read anything

# A folder that is there already must be root's own: else its owner could swap what is put there.
_FOLDER = """set -eu
umask 077
if [ -h "$1" ]; then echo "$1 is a symbolic link" >&2; exit 1; fi
if [ -d "$1" ]; then
  if ! [ -O "$1" ]; then echo "$1 belongs to another account" >&2; exit 1; fi
else
  mkdir -p -- "$1"
fi
"""
_UNPACK_TAR = f'command -v tar >/dev/null 2>&1 || exit {NO_TAR}\n{_FOLDER}cd -- "$1" && exec tar -xpf -'
_UNPACK_LINES = (
    _FOLDER
    + """cd -- "$1"
while read -r mode path; do
  case $path in */*) mkdir -p -- "${path%/*}" ;; esac
  rm -f -- "$path"
  read -r content
  printf '%s\\n' "$content" | base64 -d >"$path"
  chmod "$mode" "$path"
done"""
)


def unpack_tar(folder: str) -> Command:
    """The command that unpacks ``pack_tar`` from its input below ``folder``; ends with ``NO_TAR`` without tar."""
    return Command.script(_UNPACK_TAR, folder)


def unpack_lines(folder: str) -> Command:
    """The command that unpacks ``pack_lines``; needs only sh and base64."""
    return Command.script(_UNPACK_LINES, folder)


def check_paths(files: Sequence[RemoteFile], folder: str) -> None:
    """Raise ``ValueError`` unless ``folder`` is absolute and every path stays below it."""
    if not folder.startswith("/") or ".." in PurePosixPath(folder).parts:
        raise ValueError(f"upload folder {folder!r} is not absolute")
    for file in files:
        path = PurePosixPath(file.path)
        if path.is_absolute() or not path.parts or ".." in path.parts or not file.path.isprintable():
            raise ValueError(f"upload path {file.path!r} does not stay below its folder")
        if file.path != str(path) or file.path != file.path.strip() or file.path.startswith("-"):
            raise ValueError(f"upload path {file.path!r} is not in plain form")


def pack_tar(files: Sequence[RemoteFile]) -> bytes:
    """Return the files as a tar archive, owned by root."""
    packed, now = io.BytesIO(), time.time()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for file in files:
            member = tarfile.TarInfo(file.path)
            member.size = len(file.content)
            member.mode = file.mode
            member.mtime = now
            archive.addfile(member, io.BytesIO(file.content))
    return packed.getvalue()


def pack_lines(files: Sequence[RemoteFile]) -> bytes:
    """Return the files as pairs of lines: mode and path, then the content in base64."""
    return b"".join(b"%o %s\n%s\n" % (f.mode, f.path.encode(), base64.b64encode(f.content)) for f in files)
