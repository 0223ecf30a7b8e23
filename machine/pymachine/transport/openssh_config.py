"""The configuration that the system's ssh gets for one connection: what was decided here first, the user's own after.

The first value that ssh finds counts. So nothing of the user's configuration can change where it goes, which host key
is right or what is run there; what else it says (ciphers, certificates, the agent) does count.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pymachine.errors import UsageFault
from pymachine.transport import keepalive
from pymachine.transport.handshake import Target
from pymachine.transport.proxy import program_words

KEY_NAME = "pymachine-host"  # by which the host stands in the files of keys that we write
SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")


@dataclass(frozen=True, slots=True)
class JumpHost:
    """A jump host: how to log in, and the files that may know its key.

    ``checking`` is StrictHostKeyChecking, ``own`` are the settings of its configuration that only ssh follows.
    """

    target: Target
    known_hosts: tuple[Path, ...]
    key_name: str | None = None
    checking: str = "accept-new"
    own: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KeyRules:
    """By what ssh itself decides whether a host key is right: the files that may know it, StrictHostKeyChecking, and
    what else the user's configuration says."""

    known_hosts: tuple[Path, ...]
    checking: str = "accept-new"


@dataclass(frozen=True, slots=True)
class Files:
    """What belongs to one connection, in a private folder: the socket of the master, the keys that count and that
    were seen, the configuration."""

    folder: Path

    @property
    def socket(self) -> Path:
        """The master's socket."""
        return self.folder / "s"

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "config"

    @property
    def judged(self) -> Path:
        """The configuration by which ssh itself decides whether the host key is right."""
        return self.folder / "judged"

    @property
    def pinned(self) -> Path:
        """The one host key that is right."""
        return self.folder / "pinned"

    @property
    def seen(self) -> Path:
        """The host key that was shown."""
        return self.folder / "seen"

    @property
    def program(self) -> Path:
        """What connects in place of TCP, for sh: its words may hold what no line of a configuration may."""
        return self.folder / "program"

    @property
    def hops(self) -> Path:
        """The keys of jump hosts that were met for the first time."""
        return self.folder / "hops"

    @property
    def met(self) -> Path:
        """The host's key, if ssh was to decide and met it for the first time."""
        return self.folder / "met"


def config_text(
    word: str, target: Target, hops: Sequence[JumpHost], files: Files, rules: KeyRules | None = None
) -> str:
    """Return the configuration by which ssh finds ``target`` under ``word``, behind ``hops``.

    With ``rules`` ssh decides whether the host key is right.
    """
    judged = _judged_here() if rules is None else _judged_by_ssh(rules, files)
    blocks = [_block(word, (*judged, *_settings(target, files, len(hops))))]
    blocks += [_block(_hop_name(place), _hop_settings(hop, place, files)) for place, hop in enumerate(hops, 1)]
    own = f"Host *\nInclude {_quoted(Path.home() / '.ssh/config', tokens=False)}\nInclude {SYSTEM_CONFIG}\n"
    return "".join([*blocks, own])


def program_text(target: Target) -> str:
    """Return what goes into ``Files.program``; empty for a target without one. Raises ``UsageFault``."""
    if not target.proxy:
        return ""
    return f"exec {shlex.join(program_words(target.proxy, target.host, target.port))}\n"


Settings = Iterable[tuple[str, object]]


def _block(word: str, settings: Settings) -> str:
    lines = [f"  {name} {value}\n" for name, value in settings if value is not None]
    return f"Host {word}\n{''.join(lines)}"


# ForkAfterAuthentication, KnownHostsCommand, SessionType and StdinNull are of newer releases. Any name, because the
# user's own list no longer counts after this one.
ANY_UNKNOWN = "*"


def _judged_here() -> Settings:
    """The host key is looked for under a name of ours in the file that is given on the command line."""
    yield "IgnoreUnknown", ANY_UNKNOWN
    yield "KnownHostsCommand", "none"
    yield "NoHostAuthenticationForLocalhost", "no"
    yield "VerifyHostKeyDNS", "no"
    yield "HostKeyAlias", KEY_NAME
    yield "GlobalKnownHostsFile", "/dev/null"
    yield "LogLevel", "ERROR"


def _judged_by_ssh(rules: KeyRules, files: Files) -> Settings:
    yield "UserKnownHostsFile", " ".join(_quoted(path) for path in (files.met, *rules.known_hosts))
    yield "GlobalKnownHostsFile", "/dev/null"  # its files are among those
    yield "StrictHostKeyChecking", rules.checking
    yield "LogLevel", "DEBUG1"  # which says what key it was


def _shared(target: Target) -> Settings:
    yield "IgnoreUnknown", ANY_UNKNOWN
    yield "ForkAfterAuthentication", "no"
    yield "SessionType", "default"
    yield "StdinNull", "no"
    yield "HostName", target.host.replace("%", "%%")
    yield "Port", target.port
    yield "User", target.user
    yield "BatchMode", "yes"
    yield "PreferredAuthentications", "publickey"
    yield "UpdateHostKeys", "no"
    yield "HashKnownHosts", "no"
    yield "CheckHostIP", "no"
    yield "RemoteCommand", "none"
    yield "RequestTTY", "no"
    yield "PermitLocalCommand", "no"
    yield "ForwardAgent", "no"
    yield "ForwardX11", "no"
    yield "Tunnel", "no"
    yield "AddKeysToAgent", "no"
    yield "ControlPath", "none"
    yield "ServerAliveInterval", keepalive.INTERVAL


def _settings(target: Target, files: Files, hops: int) -> Settings:
    yield from _shared(target)
    yield "ClearAllForwardings", "yes"
    yield "ControlPersist", "no"
    if target.keys.explicit:
        yield "IdentityFile", _quoted(target.keys.explicit)
        yield "IdentitiesOnly", "yes"
    # The first of the two that ssh reads is the one that counts.
    if target.proxy:
        yield "ProxyCommand", f"sh {shlex.quote(str(files.program))}".replace("%", "%%")
    else:
        yield "ProxyJump", _hop_name(hops) if hops else "none"


def _hop_settings(hop: JumpHost, place: int, files: Files) -> Settings:
    yield from hop.own
    yield from _shared(hop.target)
    yield "KnownHostsCommand", "none"
    yield "NoHostAuthenticationForLocalhost", "no"
    yield "VerifyHostKeyDNS", "no"
    yield "LogLevel", "ERROR"
    yield "HostKeyAlias", hop.key_name
    yield "UserKnownHostsFile", " ".join(_quoted(path) for path in (files.hops, *hop.known_hosts))
    yield "StrictHostKeyChecking", hop.checking
    for path in hop.target.keys.files:
        yield "IdentityFile", _quoted(path)
    yield "IdentitiesOnly", "yes" if hop.target.keys.files_only else None
    agent = hop.target.keys.agent
    yield "IdentityAgent", None if agent is None else _quoted(agent) if agent else "none"
    yield "ProxyJump", _hop_name(place - 1) if place > 1 else "none"


def _hop_name(place: int) -> str:
    return f"pymachine-hop-{place}"


def _quoted(path: Path | str, *, tokens: bool = True) -> str:
    """Quote a path for ssh_config, where % begins a token in most places."""
    text = str(path)
    if '"' in text or "\n" in text or "${" in text:
        raise UsageFault(f"ssh cannot use the path {text!r}", hint="choose a path without quotes and line breaks")
    return f'"{text.replace("%", "%%") if tokens else text}"'
