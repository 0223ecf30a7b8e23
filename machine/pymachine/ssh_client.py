"""Command lines and configuration for this computer's OpenSSH programs, ssh and scp.

ssh gets a configuration in files of the store: only the pinned host key is accepted, and the user's own configuration
of the host applies as well (agent, jump hosts, options). Files are needed because ssh starts itself again for each
jump host and reads them there.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pymachine.addresses import SSH_PORT, Hop, bracketed, parse_jump
from pymachine.errors import CheckFailed, NotSupported, StoreUnwritable, UsageFault
from pymachine.model import Machine, SshAddress
from pymachine.store.errors import translated
from pymachine.store.folder import make_private
from pymachine.store.memory_copy import IN_MEMORY
from pymachine.store.schema import SSH_FILES
from pymachine.transport import keepalive
from pymachine.transport.proxy import program_words

CONNECT_DEADLINE = 20  # seconds
SYSTEM_CONFIG = "/etc/ssh/ssh_config"
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
INSTALL = {
    "ssh": "install OpenSSH's client (openssh-client or openssh-clients)",
    "scp": "install OpenSSH's client (openssh-client or openssh-clients)",
    "sshfs": "install sshfs",
    "fusermount3": "install fuse3, which sshfs needs as well",
    "rsync": "install rsync, on this computer and on the machine",
    "docker": "install the docker client (docker-ce-cli, docker-cli or docker.io)",
}


@dataclass(frozen=True, slots=True)
class SshConfig:
    """A configuration file and the word under which ssh finds each machine in it."""

    path: Path
    words: Mapping[str, str]

    def ssh(self, name: str, words: Sequence[str]) -> list[str]:
        """Return the command line that logs in, or runs ``words`` joined by blanks as ssh does."""
        return ["ssh", "-F", str(self.path), self.words[name], *words]


@dataclass(frozen=True, slots=True)
class CopyEnd:
    """One end of a copy: a local path, or a path on a machine, as ``user`` if given."""

    path: str
    machine: str | None = None
    user: str | None = None


def parse_place(text: str) -> CopyEnd:
    """Parse ``[user@]NAME:path``, ``localhost:path`` or a local path, distinguished by a colon before any slash.

    Raises ``UsageFault`` for an empty path or name.
    """
    before, colon, path = text.partition(":")
    if not text or (colon and not before):
        raise UsageFault(f"{text!r} is not a valid source or destination", hint="write NAME:PATH, or a local path")
    if not colon or "/" in before:
        return CopyEnd(text)
    user, _, machine = before.rpartition("@")
    return CopyEnd(path or ".") if machine == "localhost" else CopyEnd(path, machine, user or None)


def place_of(text: str, is_machine: Callable[[str], bool]) -> CopyEnd:
    """Parse a place as ``parse_place`` does, but take for a local path what names no machine and is one.

    That is a file with a colon in its name that exists, or a path with a drive letter. Raises ``UsageFault``.
    """
    place = parse_place(text)
    if place.machine is None or is_machine(place.machine):
        return place
    return CopyEnd(text) if os.path.lexists(text) or _DRIVE.match(text) else place


def write_ssh_config(folder: Path, machines: Sequence[Machine]) -> SshConfig:
    """Write the configuration for these machines in the store's folder, unless it already exists.

    If the folder is full or read-only, it is written to a folder in memory. Raises ``NotSupported`` for a machine
    without a host, ``CheckFailed`` for one whose host key is unknown, ``StoreError`` if it cannot be written,
    ``UsageFault`` if a proxy program is missing.
    """
    try:
        return _written_below(folder / SSH_FILES, machines)
    except StoreUnwritable:
        spare = _spare_folder()
        if spare is None:
            raise
        return _written_below(spare, machines)


def _spare_folder() -> Path | None:
    """Return a private folder in memory, None if there is none."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime else IN_MEMORY
    folder = base / f"pymachine-{os.getuid()}"
    try:
        make_private(folder)
        found = folder.lstat()
    except OSError:
        return None
    # Any account can make a folder of this name in /dev/shm: one that is not ours alone is not used.
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if ours else None


def _written_below(place: Path, machines: Sequence[Machine]) -> SshConfig:
    addresses = {machine.name: pinned_address(machine) for machine in machines}
    words = _words(addresses)
    blocks = [_block(machine, addresses[machine.name], words[machine.name], place) for machine in machines]
    hops = [_hop_block(hop, address, place) for address in addresses.values() for hop in _hops(address)]
    last = [f"Host {word}\n  User root\n" for word in words.values()]
    # A bastion met for the first time, which the transport accepts as well; a changed key is still refused.
    last.append("Host *\n  StrictHostKeyChecking accept-new\n")
    path = place / ("-".join(machine.id for machine in machines) + ".conf")
    with translated(str(place)):
        make_private(place)
        for machine in machines:
            _write_keys(place, machine, addresses[machine.name])
        _write(path, "".join([*blocks, *hops, _users_own(), *last]))
    return SshConfig(path, words)


def write_known_hosts(folder: Path, machine: Machine) -> Path:
    """Write a machine's host key in the store's folder; return the file. Raises as ``write_ssh_config``."""
    place = folder / SSH_FILES
    with translated(str(place)):
        make_private(place)
        return _write_keys(place, machine, pinned_address(machine))


def forget_ssh_config(folder: Path, machine_id: str) -> None:
    """Remove what ``write_ssh_config`` wrote for a machine."""
    for path in (folder / SSH_FILES).glob(f"*{machine_id}*"):
        path.unlink(missing_ok=True)


def scp_words(config: SshConfig, flags: Iterable[str], places: Sequence[CopyEnd]) -> list[str]:
    """Return the command line that copies, through this computer if both ends are machines."""
    through = ["-3"] if sum(place.machine is not None for place in places) > 1 else []
    return ["scp", "-F", str(config.path), *through, *flags, "--", *(_scp_place(config, p) for p in places)]


def sshfs_words(config: SshConfig, place: CopyEnd, mountpoint: Path) -> list[str]:
    """Return the command line that mounts a folder of a machine."""
    return ["sshfs", "-F", str(config.path), _scp_place(config, place), str(mountpoint)]


def rsync_words(config: SshConfig, flags: Iterable[str], places: Sequence[CopyEnd]) -> list[str]:
    """Return the command line that copies what differs. Raises ``UsageFault`` if both ends are machines."""
    if places[-1].machine is not None and any(place.machine is not None for place in places[:-1]):
        raise UsageFault("rsync cannot copy between two machines", hint="omit -d: scp copies through this computer")
    # --protect-args: the remote shell splits no path.
    shell = f"ssh -F {quoted(config.path, tokens=False)}"
    return ["rsync", "--protect-args", "-e", shell, *flags, "--", *(_scp_place(config, p) for p in places)]


def pinned_address(machine: Machine) -> SshAddress:
    """Return how to log in to a machine whose host key is known.

    Raises ``NotSupported`` for a machine without a host, ``CheckFailed`` for one whose host key is unknown.
    """
    if machine.ssh is None:
        raise NotSupported(
            f"machine {machine.name} (driver {machine.driver}) has no host to log in to",
            hint="only the address of its engine is on record",
        )
    key = machine.ssh.host_key
    if key is None or key.startswith("SHA256:"):
        raise CheckFailed(
            f"the host of {machine.name} was never reached, so its key is unknown",
            hint="run its create command again",
        )
    return machine.ssh


def _words(addresses: Mapping[str, SshAddress]) -> dict[str, str]:
    """Name each host as in the user's configuration; by the machine's name if two share an address."""
    hosts = [address.host for address in addresses.values()]
    return {name: address.host if hosts.count(address.host) == 1 else name for name, address in addresses.items()}


def _block(machine: Machine, address: SshAddress, word: str, place: Path) -> str:
    settings: list[tuple[str, object]] = [
        *pinning(machine, _keys_file(place, machine)),
        ("IgnoreUnknown", "*"),  # settings of newer releases; the user's own list no longer counts after ours
        ("KnownHostsCommand", "none"),
        # A command of the user's own configuration would replace the one that is given here, and break scp; so
        # would a connection without a command, in the background or without input.
        ("RemoteCommand", "none"),
        ("SessionType", "default"),
        ("ForkAfterAuthentication", "no"),
        ("StdinNull", "no"),
        ("ConnectTimeout", CONNECT_DEADLINE),
        ("ServerAliveInterval", keepalive.INTERVAL),
        ("HostName", address.host.replace("%", "%%") if word != address.host else None),
        ("Port", address.port),
        ("User", address.user),
        ("IdentityFile", quoted(address.key_path) if address.key_path else None),
        ("IdentitiesOnly", "yes" if address.key_path else None),
        # The first of the two that ssh reads is the one that counts, so a jump of the user's own does not.
        ("ProxyCommand", proxy_command(address)),
        ("ProxyJump", None if address.proxy else _jump(address)),
    ]
    lines = [f"  {name} {value}\n" for name, value in settings if value is not None]
    return f"Host {word}\n{''.join(lines)}"


def _hops(address: SshAddress) -> tuple[Hop, ...]:
    return parse_jump(address.jump or "")


def _jump(address: SshAddress) -> str | None:
    if address.jump is None:
        return None
    return ",".join(hop.text for hop in _hops(address)) or "none"


def proxy_command(address: SshAddress) -> str | None:
    """Return the proxy program as ssh takes it: for a shell, and with percent signs doubled; None without one."""
    if not address.proxy:
        return None
    words = program_words(address.proxy, address.host, address.port or SSH_PORT)
    return shlex.join(words).replace("%", "%%")


def _hop_block(hop: Hop, address: SshAddress, place: Path) -> str:
    """Return the block of a jump host: its key is accepted at first contact, and the host's key is offered."""
    lines = [
        f"Host {hop.host}\n",
        "  StrictHostKeyChecking accept-new\n",
        f"  UserKnownHostsFile {quoted(place / 'jump_hosts')} ~/.ssh/known_hosts\n",
        f"  IdentityFile {quoted(address.key_path)}\n" if address.key_path else "",
    ]
    return "".join(lines)


def _users_own() -> str:
    return f"Host *\nInclude {quoted(Path.home() / '.ssh/config', tokens=False)}\nInclude {SYSTEM_CONFIG}\n"


def pinning(machine: Machine, keys_file: Path) -> list[tuple[str, str]]:
    """Return the settings by which ssh accepts the host key in ``keys_file``, and no other."""
    return [
        ("HostKeyAlias", _key_alias(machine)),
        ("UserKnownHostsFile", quoted(keys_file)),
        ("GlobalKnownHostsFile", "/dev/null"),
        ("StrictHostKeyChecking", "yes"),
        ("VerifyHostKeyDNS", "no"),
        ("UpdateHostKeys", "no"),
        ("NoHostAuthenticationForLocalhost", "no"),
    ]


def _key_alias(machine: Machine) -> str:
    """Return the name of a machine's host key in the files that we write."""
    return f"pymachine-{machine.id}"


def _write_keys(place: Path, machine: Machine, address: SshAddress) -> Path:
    path = _keys_file(place, machine)
    _write(path, f"{_key_alias(machine)} {address.host_key}\n")
    return path


def _keys_file(place: Path, machine: Machine) -> Path:
    return place / f"{machine.id}.known_hosts"


def quoted(path: Path | str, *, tokens: bool = True) -> str:
    """Quote a path for ssh_config, where % begins a token in most places. Raises ``UsageFault``."""
    text = str(path)
    if '"' in text or "\n" in text or "${" in text:
        raise UsageFault(f"ssh cannot use the path {text!r}", hint="choose a path without quotes and line breaks")
    return f'"{text.replace("%", "%%") if tokens else text}"'


def _scp_place(config: SshConfig, place: CopyEnd) -> str:
    if place.machine is None:
        # scp takes what stands before a colon for a host, and - for an option of its own.
        return place.path if place.path.startswith("/") else f"./{place.path}"
    user = f"{place.user}@" if place.user else ""
    return f"{user}{bracketed(config.words[place.machine])}:{place.path}"


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
