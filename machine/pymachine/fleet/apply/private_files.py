"""Private files, in memory if possible, for what only one program may read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pymachine.errors import PymachineError
from pymachine.store.memory_copy import IN_MEMORY


@contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a private folder, in memory if possible. Raises ``PymachineError``."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = next((path for path in (runtime, str(IN_MEMORY)) if path and os.access(path, os.W_OK | os.X_OK)), None)
    try:
        folder = tempfile.TemporaryDirectory(prefix="pymachine-", dir=base)
    except OSError as error:
        raise PymachineError(f"no place for a private file: {(error.strerror or str(error)).lower()}") from None
    with folder as name:
        yield Path(name)


def write_private(folder: Path, contents: Mapping[str, bytes]) -> dict[str, str]:
    """Write contents to files in a private folder, and return their paths by the same names."""
    paths = {name: folder / str(number) for number, name in enumerate(contents)}
    for name, content in contents.items():
        write(paths[name], content)
    return {name: str(path) for name, path in paths.items()}


def write(path: Path, content: bytes) -> None:
    """Write a new file. Raises ``PymachineError``."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise PymachineError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def quoted(text: str) -> str:
    """Quote a value for an env file, as compose-go's dotenv parses it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
