"""The docker client's certificates as files: ``certs/NAME/{ca,cert,key}.pem``.

``certs/NAME`` is a symbolic link to a folder that is written completely before the link points to it. So a reader
always finds a key that fits its certificate, also after a crash at any moment.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from pymachine.errors import StoreError
from pymachine.model import Machine, check_name
from pymachine.store.protocol import Store
from pymachine.store.schema import CERTIFICATES

CLIENT_FILES = ("ca.pem", "cert.pem", "key.pem")
SETTLED = 2_000_000_000  # nanoseconds since its last change after which a folder's time can be relied on
TRIALS = ".trials"  # beside the machines' folders: no name begins with a dot
LOGIN_KEY = "id_ed25519"  # the SSH key of a host that pymachine made


def client_folder(folder: Path, name: str) -> Path:
    """Return ``certs/NAME`` of the store. Raises ``UsageFault`` for a name that cannot be a folder's."""
    return folder / CERTIFICATES / check_name(name)


def trial_folder(folder: Path, name: str) -> Path:
    """Return where the client's files of a set are written that no engine may have yet."""
    return folder / CERTIFICATES / TRIALS / check_name(name)


def materialised(store: Store, name: str) -> Path | None:
    """Return the folder of the client's files, written if necessary; None for an engine without any."""
    return store.materialise(name) if "ca.pem" in store.secrets(name) else None


def located(store: Store, machine: Machine) -> Machine:
    """Return the record with the path of its SSH key, if that is the store's own: records omit its path."""
    if machine.ssh is None or machine.ssh.key_path != LOGIN_KEY:
        return machine
    return machine.with_(ssh=replace(machine.ssh, key_path=str(store.materialise(machine.name) / LOGIN_KEY)))


def wanted_files(name: str, secrets: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the client's files among the secrets. Raises ``StoreError`` if there are none."""
    files = {file: secrets[file] for file in (*CLIENT_FILES, LOGIN_KEY) if file in secrets}
    if not files:
        raise StoreError(
            f"machine {name} has no client certificates on record",
            hint=f"`pymachine provision {name}` makes them on machines that pymachine set up",
        )
    return files


def is_current(path: Path, files: Mapping[str, bytes]) -> bool:
    """Whether ``path`` has exactly these files, private, with nothing left beside it by a crash."""
    try:
        return path.is_symlink() and _content(path) == files and not _strays(path)
    except OSError:
        return False


def is_right(path: Path, files: Mapping[str, bytes]) -> bool:
    """Whether ``path`` has these files, whatever is beside it."""
    try:
        return _content(path) == files
    except OSError:
        return False


def in_memory(identity: str, name: str, files: Mapping[str, bytes]) -> Path:
    """Write a store's client files to a private folder in memory; return that folder.

    Raises ``OSError``, ``StoreError`` if the folder belongs to another user.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path("/dev/shm")
    folder = base / f"pymachine-{os.geteuid()}-{identity[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise StoreError(f"{folder} belongs to another user", hint=f"remove {folder}")
    path = client_folder(folder, name)
    if not is_current(path, files):
        _private_folder(folder)
        write(path, files)
    return path


def write(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a new set of files, point ``path`` to it and remove the older ones. One writer at a time."""
    if path.parent.name == TRIALS:
        _private_folder(path.parent.parent)
    _private_folder(path.parent)
    import secrets as random  # with what hashes it loads, a tenth of `pymachine status`

    generation = path.parent / f"{_prefix(path)}{random.token_hex(8)}"
    try:
        _fill(generation, files)
        _point(path, generation)
    finally:
        _sweep(path)  # a generation that did not fit on the disk goes at once


def remove(path: Path) -> None:
    """Remove ``path`` and all its sets of files; it is not an error if it is already gone."""
    with suppress(FileNotFoundError, NotADirectoryError):
        _discard(path)
        for stray in _strays(path):
            _discard(stray)


def _fill(generation: Path, files: Mapping[str, bytes]) -> None:
    generation.mkdir()
    generation.chmod(0o700)  # whatever the umask takes away
    for file, content in files.items():
        _write_file(generation / file, content)
    _sync(generation)


def _point(path: Path, generation: Path) -> None:
    link = generation.with_name(f"{generation.name}.link")
    link.symlink_to(generation.name)
    if path.is_dir() and not path.is_symlink():  # put there by hand: a link cannot replace a folder
        path.rename(generation.with_name(f"{generation.name}.former"))
    link.replace(path)
    _sync(path.parent)


def _sweep(path: Path) -> None:
    for stray in _strays(path):
        _discard(stray)


def _strays(path: Path) -> list[Path]:
    """Everything beside ``path`` that is or was a set of its files, except the current one."""
    current = path.readlink().name if path.is_symlink() else None
    folder = str(path.parent)
    changed = path.parent.stat().st_mtime_ns
    # Clocks of file systems tick some hundred times a second: what was just changed may change again unnoticed.
    settled = time.time_ns() - changed > SETTLED
    found = beside(folder, changed) if settled else _grouped(folder)
    return [path.parent / name for name in found.get(_prefix(path), ()) if name != current]


@lru_cache(maxsize=1)
def beside(folder: str, changed: int) -> Mapping[str, list[str]]:
    """Return the generations in a folder by their prefix, listed once for all machines until it was ``changed``."""
    return _grouped(folder)


def _grouped(folder: str) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names_in(folder):
        if name.startswith("."):
            found.setdefault(name.partition("@")[0] + "@", []).append(name)
    return found


def names_in(folder: str) -> list[str]:
    """Return what is in a folder."""
    return os.listdir(folder)  # noqa: PTH208 - of thousands of machines, two entries each


def _prefix(path: Path) -> str:
    """No machine's name begins with a dot or holds an @, so generations never clash with names."""
    return f".{path.name}@"


def _content(path: Path) -> dict[str, bytes]:
    content = {}
    for file in path.iterdir():
        if stat.S_IMODE(file.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
            return {}
        content[file.name] = file.read_bytes()
    return content


def _private_folder(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)


def _write_file(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, 0o600)
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        import shutil

        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
