"""Entries for the user's own SSH configuration, by which ssh and every program that uses it reach machines.

What the user's configuration says of a machine's address is asked of ssh and written into the entry: under the
machine's name ssh does not look for it. The entries stand first in a file, because the first value that ssh finds
counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from pymachine.errors import CheckFailed
from pymachine.model import Machine, SshAddress
from pymachine.ssh_client import pinned_address, pinning, proxy_command, quoted, write_known_hosts
from pymachine.transport import keepalive
from pymachine.transport.ssh_config import HostConfig, default_keys, resolve

USERS_FILE = Path(".ssh/config")  # below the home folder
DEFAULT_USER = "root"
_REACHED = ("bindaddress", "bindinterface", "proxyusefdpass")  # as ``ssh -G`` spells them
# What follows a section belonged to no entry where it stood before, and must not belong to the last one of ours.
_AFTER = "Host *\n"


@dataclass(frozen=True, slots=True)
class Marks:
    """The lines around the section that belongs to one store; other stores have others."""

    identity: str
    folder: Path

    @property
    def begin(self) -> str:
        """The first line."""
        return f"# BEGIN pymachine {self.identity[:16]}"

    @property
    def end(self) -> str:
        """The last line."""
        return f"# END pymachine {self.identity[:16]}"

    def section(self, entries: str) -> bytes:
        """Return a section with these entries."""
        note = f"# Machines of {self.folder}: written by `pymachine ssh-config --write`.\n".encode("unicode_escape")
        begun = f"{self.begin}\n".encode() + note.replace(b"\\n", b"\n")
        return begun + f"{entries}{_AFTER}{self.end}\n".encode()


def entry(folder: Path, machine: Machine, configured: HostConfig) -> str:
    """Return the entry of a machine, and write its host key into the store's ``folder``.

    ``configured`` is what the user's configuration says of its address. Raises as ``ssh_client.write_ssh_config``.
    """
    address = _filled_in(pinned_address(machine), configured)
    keys = [address.key_path] if address.key_path else _own_keys(configured)
    settings: list[tuple[str, object]] = [
        ("HostName", address.host.replace("%", "%%")),
        ("Port", address.port),
        ("User", address.user),
        *(("IdentityFile", quoted(key)) for key in keys),
        ("IdentitiesOnly", "yes" if address.key_path or configured.identities_only else None),
        *pinning(machine, write_known_hosts(folder, machine)),
        ("ServerAliveInterval", keepalive.INTERVAL),
        ("ProxyCommand", proxy_command(address)),
        ("ProxyJump", None if address.proxy else address.jump),
        ("IdentityAgent", _agent(configured)),
        *((name, value) for name, value in configured.only_ssh if name in _REACHED),
    ]
    lines = [f"  {name} {value}\n" for name, value in settings if value is not None]
    return f"Host {_patterns(machine.name)}\n{''.join(lines)}"


def configured_by_user(names: Sequence[str], address: SshAddress, theirs: bytes) -> Mapping[str, HostConfig]:
    """Return what a configuration says of ``names`` and of an address. Raises ``UsageFault`` if ssh refuses it."""
    with NamedTemporaryFile(prefix="pymachine-ssh-", suffix=".conf") as copy:
        copy.write(theirs)
        copy.flush()
        found = {name: resolve(name, config=Path(copy.name)) for name in names}
        found[address.host] = resolve(address.host, port=address.port, user=address.user, config=Path(copy.name))
        return found


def with_section(content: bytes, entries: str, marks: Marks, file: Path) -> bytes:
    """Return the content of a configuration with these entries in our section, which is new at the top of the file.

    Raises ``CheckFailed`` for a section that has no end.
    """
    place = _place(content, marks, file)
    before, after = (b"", content) if place is None else (content[: place[0]], content[place[1] :])
    return before + marks.section(entries) + after


def without_section(content: bytes, marks: Marks, file: Path) -> bytes:
    """Return the content of a configuration without our section. Raises ``CheckFailed`` for one that has no end."""
    place = _place(content, marks, file)
    return content if place is None else content[: place[0]] + content[place[1] :]


def _place(content: bytes, marks: Marks, file: Path) -> tuple[int, int] | None:
    """Return where our section begins and ends, in bytes; None if there is none."""
    found: dict[str, list[tuple[int, int, int]]] = {marks.begin: [], marks.end: []}
    at = 0
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        text = line.decode(errors="replace").strip()
        if text in found:
            found[text].append((number, at, at + len(line)))
        at += len(line)
    begins, ends = found[marks.begin], found[marks.end]
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or begins[0][0] > ends[0][0]:
        number = (begins or ends)[0][0]
        raise CheckFailed(
            f"{file}, line {number}: the lines {marks.begin!r} and {marks.end!r} do not enclose one section",
            hint="remove what is left of it, with both lines, and run the command again",
        )
    return begins[0][1], ends[0][2]


def _filled_in(address: SshAddress, configured: HostConfig) -> SshAddress:
    """Return the address with what the user's configuration says where nothing was given."""
    jump = configured.jump if address.jump is None else address.jump or "none"
    return replace(
        address,
        host=configured.host,
        port=configured.port,
        user=address.user or configured.user or DEFAULT_USER,
        jump=jump,
        proxy=address.proxy or (() if address.jump else configured.proxy),
    )


def _own_keys(configured: HostConfig) -> list[Path]:
    """Return the keys that the user's configuration names; none where they are those that ssh tries by itself."""
    files = configured.identity_files
    return [] if set(files) <= set(default_keys()) else list(files)


def _agent(configured: HostConfig) -> str | None:
    """Return the agent that the user's configuration names: None for that of the environment."""
    if configured.agent is None:
        return None
    return quoted(configured.agent) if configured.agent else "none"


def _patterns(name: str) -> str:
    """ssh tells upper case from lower case here; names of machines do not."""
    return name if name == name.lower() else f"{name} {name.lower()}"
