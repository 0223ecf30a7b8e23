"""The file ``docker-machine`` that starts pymachine under that name: written, recognised, removed."""

from __future__ import annotations

import os
import re
import secrets
import shlex
from contextlib import suppress
from pathlib import Path

from pymachine.errors import CheckFailed, PymachineError

NAME = "docker-machine"
MODULE = "pymachine.cli.compat"
_MARK = "# pymachine under the name docker-machine; `pymachine compat remove` removes this file."
_TEXT = re.compile(rf"#!/bin/sh\n{re.escape(_MARK)}\nexec [^\n]+ -P -m {re.escape(MODULE)} \"\$0\" \"\$@\"\n")
_SIZE_LIMIT = 8192  # bytes; ours has one line of path


def text(python: str) -> str:
    """Return the program's text; ``python`` is the path of the interpreter that has pymachine.

    Nothing is imported from the current folder (-P), which may belong to anybody.
    """
    return f'#!/bin/sh\n{_MARK}\nexec {shlex.quote(python)} -P -m {MODULE} "$0" "$@"\n'


def is_ours(path: Path) -> bool:
    """Whether the file is one that ``install`` wrote."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _SIZE_LIMIT:
            return False
        return _TEXT.fullmatch(path.read_text()) is not None
    except (OSError, UnicodeDecodeError):
        return False


def install(folder: Path, python: str) -> Path:
    """Write the program to a folder, which is made if need be, and return its path.

    Raises ``CheckFailed`` if a file of that name is there that is not ours, ``PymachineError`` if it cannot be
    written.
    """
    path = folder / NAME
    if os.path.lexists(path) and not is_ours(path):
        raise _foreign(path)
    draft = folder / f".{NAME}.{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o755)
        with os.fdopen(descriptor, "w") as file:
            file.write(text(python))
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise _unwritable(path, error) from None
    return path


def remove(path: Path) -> None:
    """Remove the program. Raises ``CheckFailed`` if it is not ours, ``PymachineError`` if it cannot be removed."""
    if not os.path.lexists(path):
        raise CheckFailed(f"there is no {path}", hint="`pymachine compat install` writes one")
    if not is_ours(path):
        raise _foreign(path)
    try:
        path.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None


def _foreign(path: Path) -> CheckFailed:
    return CheckFailed(f"{path} is not pymachine's, it is left as it is", hint="choose another folder")


def _unwritable(path: Path, error: OSError) -> PymachineError:
    return PymachineError(
        f"{path} cannot be changed: {(error.strerror or str(error)).lower()}",
        hint="choose a folder that you may write",
    )
