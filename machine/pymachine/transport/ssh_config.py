"""The user's SSH configuration, resolved by ssh itself, so that Include, Match and so on work as there."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pymachine.addresses import SSH_PORT, check_host, check_port, check_user
from pymachine.errors import UsageFault
from pymachine.user_path import user_path

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
DEADLINE = 10.0

# A fleet's hosts are all resolved at once: more programs than processors only hold each other up past their deadline.
_TURNS = threading.BoundedSemaphore(2 * (os.cpu_count() or 1))

# Security keys and key types that are gone cannot be used here; ssh -G still lists their default files.
_UNUSABLE = ("_sk", "id_dsa", "id_xmss")
_TOKENS = ("_sk",)
_UNSET = "pymachine-no-user"

# What only ssh itself follows, with the values at which it changes nothing: on how the host is reached, and on which
# host key is right.
_REACHED: dict[str, tuple[str, ...]] = {"bindaddress": (), "bindinterface": (), "proxyusefdpass": ("no",)}
_JUDGED = {"knownhostscommand": ("none",), "revokedhostkeys": ("none",), "verifyhostkeydns": ("false", "no")}
# Tokens of IdentityFile that ssh alone can fill in; -G prints them as they were written.
_BEYOND = re.compile(r"\$\{|%[^dhnpru%]")


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How to reach and log in to one host. ``user`` is None where nothing names one.

    ``proxy`` is the program that connects to it, as ``SshAddress.proxy``, empty for none; never beside ``jump``.
    ``known_hosts`` are the files that may know its key, None for ssh's own; ``key_alias`` is the name it has there,
    None for its address. ``first_contact`` is False where a key that no file knows is refused
    (``StrictHostKeyChecking yes``). ``agent`` is the socket of the agent to ask: None for the environment's, empty
    for none. ``certified`` says that there are certificates, or keys on a token, which only ssh itself can use.
    ``any_key`` is True where also a key that differs from the known one is accepted (``StrictHostKeyChecking no``).
    ``only_ssh`` are settings that only ssh itself follows, as ``ssh -G`` prints them.
    """

    host: str
    port: int = SSH_PORT
    user: str | None = None
    identity_files: tuple[Path, ...] = ()
    identities_only: bool = False
    jump: str | None = None
    proxy: tuple[str, ...] = ()
    known_hosts: tuple[Path, ...] | None = None
    key_alias: str | None = None
    first_contact: bool = True
    agent: str | None = None
    certified: bool = False
    any_key: bool = False
    only_ssh: tuple[tuple[str, str], ...] = ()

    @property
    def judged_by_ssh(self) -> bool:
        """Whether a setting that only ssh follows says which host keys are right."""
        return any(name in _JUDGED for name, _ in self.only_ssh)


def resolve(host: str, *, port: int | None = None, user: str | None = None, config: Path | None = None) -> HostConfig:
    """Return the configuration for a host or alias; ``port`` and ``user`` win where given.

    ``config`` is read in place of ``~/.ssh/config``. Without ssh installed only the given values and the default
    keys count. Takes at most 20 s once its turn has come. Raises ``UsageFault`` where ssh refuses the configuration.
    """
    check_host(host)
    if user is not None:
        check_user(user)
    ssh = shutil.which("ssh")
    if ssh is None:
        return HostConfig(host, port or SSH_PORT, user, default_keys())
    flags = ([] if port is None else ["-p", str(port)]) + ([] if user is None else ["-l", user])
    file = config or Path.home() / ".ssh" / "config"
    output = _resolved(file, [ssh, "-G", *flags], host, marked=user is None)
    if _user_line(_UNSET) in output.splitlines():
        # What ``Match final`` says is read last, when our user is set already: without it, that can name a user.
        output = _unnamed(_resolved(file, [ssh, "-G", *flags], host, marked=False))
    return parse_output(output, host)


def has_certificate(key: Path) -> bool:
    """Whether there is a certificate beside a key file, where ssh looks for it."""
    return _is_file(Path(f"{key}-cert.pub"))


def default_keys() -> tuple[Path, ...]:
    """The key files that ssh tries by default."""
    return tuple(Path.home() / ".ssh" / name for name in DEFAULT_KEYS)


def _resolved(config: Path, words: list[str], host: str, *, marked: bool) -> str:
    """Return what ``ssh -G`` prints for a host; ``marked``: with the user ``_UNSET`` where none is named."""
    with _wrapped(config, f"Host *\n  User {_UNSET}\n" if marked else "") as file:
        asked = [*words, "-F", file]
        return _with_expanded_keys(_output([*asked, "--", host], host), asked, host)


def _user_line(name: str) -> str:
    return f"user {name}"


def _unnamed(output: str) -> str:
    """Take out the name of the local account, which ssh fills in where none is named."""
    local = _user_line(pwd.getpwuid(os.getuid()).pw_name)
    return "\n".join(_user_line(_UNSET) if line == local else line for line in output.splitlines())


@contextmanager
def _wrapped(config: Path, end: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", prefix="pymachine-ssh-", suffix=".conf") as file:
        # The first value found counts in ssh_config. So a user at the very end shows that no other place names
        # one; ssh would fill in the local user name, which says nothing about the host.
        file.write(f'Include "{config}"\nInclude "{SYSTEM_CONFIG}"\n{end}')
        file.flush()
        yield file.name


def _with_expanded_keys(output: str, words: list[str], host: str) -> str:
    """Fill in the tokens of identity files that only ssh knows (%C, %i, %k, ${NAME} …).

    It fills in those of UserKnownHostsFile, which are the same ones, where it prints that.
    """
    lines = output.splitlines()
    for place, line in enumerate(lines):
        key, _, value = line.partition(" ")
        if key == "identityfile" and _BEYOND.search(value) and '"' not in value:
            asked = f'UserKnownHostsFile="{user_path(value)}"'
            found = dict(at.split(" ", 1) for at in _output([*words, "-o", asked, "--", host], host).splitlines())
            lines[place] = f"identityfile {found['userknownhostsfile'].replace('%', '%%')}"
    return "\n".join(lines)


def _output(words: list[str], host: str) -> str:
    try:
        with _TURNS:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=DEADLINE,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise UsageFault(
            f"ssh did not resolve the configuration of {host} within {DEADLINE:g} s",
            hint="look for a slow `Match exec` in ~/.ssh/config",
        ) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise UsageFault(
            f"the SSH configuration cannot be used for {host}: {lines[0]}", hint=f"`ssh -G {host}` shows the same"
        )
    return done.stdout


def parse_output(output: str, alias: str) -> HostConfig:
    """Parse the output of ``ssh -G`` for ``alias``. Raises ``UsageFault`` for invalid values."""
    values: dict[str, list[str]] = {}
    for line in output.splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key, []).append(value)
    host = values.get("hostname", [alias])[0]
    port = _port(values.get("port", [str(SSH_PORT)])[0])
    user = values.get("user", [_UNSET])[0]
    found = HostConfig(
        host=check_host(host),
        port=port,
        user=None if user == _UNSET else user,
        identities_only=values.get("identitiesonly", ["no"])[0] == "yes",
        jump=_meant(values, "proxyjump"),
        known_hosts=_known_hosts(values),
        key_alias=_meant(values, "hostkeyalias"),
        first_contact=values.get("stricthostkeychecking", ["ask"])[0] not in ("true", "yes"),
        any_key=values.get("stricthostkeychecking", ["ask"])[0] in ("false", "no", "off"),
        agent=_agent(values),
        certified="certificatefile" in values or _meant(values, "pkcs11provider") is not None,
        only_ssh=tuple(_only_ssh(values)),
    )
    return _filled_in(found, alias, values.get("identityfile", []), _meant(values, "proxycommand"))


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else 0
    return check_port(number, f"the SSH configuration's port {text[:20]!r}, read as")


def _only_ssh(values: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    for name, usual in {**_REACHED, **_JUDGED}.items():
        value = values.get(name, [""])[0]
        if value and value.lower() not in usual:
            yield name, value


def _meant(values: dict[str, list[str]], key: str) -> str | None:
    value = values.get(key, ["none"])[0]
    return None if value.lower() in ("none", "") else value


def _known_hosts(values: dict[str, list[str]]) -> tuple[Path, ...]:
    """Return the files that may know host keys.

    ssh finds its own in the home of the account, whatever HOME says; the rest of this program goes by HOME.
    """
    own = [Path(pwd.getpwuid(os.getuid()).pw_dir, ".ssh", name) for name in ("known_hosts", "known_hosts2")]
    users = _files(values, "userknownhostsfile")
    shared = _files(values, "globalknownhostsfile")
    if users == own:
        users = [Path.home() / ".ssh" / path.name for path in own]
    return (*users, *shared)


def _files(values: dict[str, list[str]], key: str) -> list[Path]:
    """Return the files of a key; ssh -G has filled in their tokens and separates them by blanks, which it does not
    tell from those in a name: where a file is there, the longest name counts.
    """
    words, found = values.get(key, [""])[0].split(" "), []
    while words:
        ends = range(len(words), 1, -1)
        end = next((end for end in ends if _is_file(user_path(" ".join(words[:end])))), 1)
        name = " ".join(words[:end])
        words = words[end:]
        if name and name.lower() != "none":
            found.append(user_path(name))
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL in it
        return False


def _agent(values: dict[str, list[str]]) -> str | None:
    """Return the socket of IdentityAgent: a path, a variable with one, or none."""
    value = values.get("identityagent", ["SSH_AUTH_SOCK"])[0]
    if value == "SSH_AUTH_SOCK":
        return None
    if value.lower() == "none":
        return ""
    return os.environ.get(value[1:].strip("{}"), "") if value.startswith("$") else str(user_path(value))


def _filled_in(found: HostConfig, alias: str, files: list[str], command: str | None) -> HostConfig:
    """Fill in the tokens of identity files, proxy command and jump hosts: ssh -G prints them as they were written."""
    tokens = {
        "%d": str(Path.home()),
        "%h": found.host,
        "%n": alias,
        "%p": str(found.port),
        "%r": found.user or "root",
        "%u": getpass.getuser(),
        "%%": "%",
    }
    paths = [user_path(_expanded(f, tokens)) for f in files if f != "none"]
    usable = tuple(path for path in paths if not path.name.endswith(_UNUSABLE))
    beyond = any(path.name.endswith(_TOKENS) and _is_file(path) for path in paths)
    certified = found.certified or beyond or any(has_certificate(path) for path in usable)
    return replace(
        found, identity_files=usable, certified=certified, proxy=_program(command, tokens) if command else (),
        jump=None if found.jump is None else _expanded(found.jump, tokens),
    )  # fmt: skip


def _program(command: str, tokens: dict[str, str]) -> tuple[str, ...]:
    """Return the words that run a ProxyCommand as ssh does; host and port stay tokens, replaced at each use."""
    kept = {"%h": "%h", "%p": "%p", "%%": "%%"}
    doubled = {token: value.replace("%", "%%") for token, value in tokens.items()}
    return ("sh", "-c", f"exec {_expanded(command, {**doubled, **kept})}")


def _expanded(text: str, tokens: dict[str, str]) -> str:
    parts = iter(text)
    out = []
    for char in parts:
        token = char + next(parts, "") if char == "%" else char
        out.append(tokens.get(token, token))
    return "".join(out)
