"""Connects: from an address and the user's SSH configuration to a transport."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import paramiko

from pymachine.addresses import SSH_PORT, Hop, parse_jump
from pymachine.clock import REAL, Deadline, scattered
from pymachine.errors import AuthFailed, HostKeyMismatch, NoCommonAlgorithm, Unreachable, UsageFault
from pymachine.events import Asker
from pymachine.model import SshAddress
from pymachine.transport.connection import ROOT, SshTransport
from pymachine.transport.handshake import Circumstances, Target, host_key, open_session
from pymachine.transport.host_keys import (
    Expected,
    PublicKey,
    expected_from,
    has_authority,
    known_hosts_files,
    parse_pin,
)
from pymachine.transport.jump import plan_route
from pymachine.transport.key_files import read_public_key
from pymachine.transport.keys import KeyChoice, KeyRing
from pymachine.transport.openssh import OpenSsh, available
from pymachine.transport.openssh_config import JumpHost, KeyRules
from pymachine.transport.paramiko_carrier import ParamikoCarrier, close_all
from pymachine.transport.paramiko_errors import vendor_errors
from pymachine.transport.patient_asker import PatientAsker
from pymachine.transport.ssh_config import HostConfig, has_certificate, resolve

__all__ = ["KeyRing", "SshTransport", "connect"]

RETRY_PAUSE = 1.0

_log = logging.getLogger(__name__)


def connect(
    address: SshAddress,
    *,
    asker: Asker,
    notice: Callable[[str], None],
    deadline: float = 30.0,
    retry_for: float = 0.0,
    keys: KeyRing | None = None,
) -> SshTransport:
    """Log in to a host, each attempt within ``deadline`` seconds; retry for ``retry_for`` seconds while it boots.

    What ``address`` leaves open comes from the user's SSH configuration; without a user there it is root. An unknown
    host key is pinned and reported to ``notice``. One ``keys`` for many connections asks for each passphrase once.
    Raises ``Unreachable`` (the only error that is retried), ``AuthFailed``, ``HostKeyMismatch``, ``UsageFault``.
    """
    opening = _Opening(address, asker, notice, keys or KeyRing())
    failure: Unreachable | None = None
    for _ in REAL.ticks(retry_for, scattered(RETRY_PAUSE)):
        try:
            return opening.attempt(deadline)
        except Unreachable as error:
            _log.debug("%s; trying again until time is up", error.message)
            failure = error
    assert failure is not None, "it was tried"
    raise failure


class _Opening:
    """Everything about a connection that is decided before the network is used."""

    def __init__(self, address: SshAddress, asker: Asker, notice: Callable[[str], None], ring: KeyRing) -> None:
        config = resolve(address.host, port=address.port, user=address.user)
        self._address = address
        self._asker = asker
        self._notice = notice
        self._ring = ring
        self._told = set[PublicKey]()
        self._route = plan_route(_jump(address), config, _resolve_hop)
        ways = (config, *self._route.hops)
        self._certified = _certified(address, ways)
        self._rules = None if address.host_key else KeyRules(_known_hosts(config), _checking(config))
        self._judged = address.host_key is None and _judged_by_ssh(config)
        self._by_openssh = available() and (
            _on_token(address) or any(way.only_ssh or _judged_by_ssh(way) for way in ways)
        )
        self._target = Target(
            host=config.host,
            port=config.port,
            user=config.user or ROOT,
            keys=KeyChoice(address.key_path, config.identity_files, config.identities_only, config.agent),
            expected=_expected(address.host_key, config),
            proxy=address.proxy or (config.proxy if address.jump is None else ()),
        )

    def attempt(self, seconds: float) -> SshTransport:
        deadline = Deadline(seconds)
        if not self._by_openssh:
            try:
                return self._by_paramiko(deadline)
            except HostKeyMismatch as error:
                return self._second_opinion(error, deadline)
            except (NoCommonAlgorithm, AuthFailed) as error:
                if not available() or not (isinstance(error, NoCommonAlgorithm) or self._certified):
                    raise
                _log.debug("%s; going through the system's ssh", error.message)
                self._by_openssh = True
        return self._by_ssh(deadline, self._rules if self._judged else None)

    def _second_opinion(self, refused: HostKeyMismatch, deadline: Deadline) -> SshTransport:
        """Log in by the system's ssh if that accepts a host key that is not the known one here: by
        ``StrictHostKeyChecking no``, for a host behind another port, for one of this computer.

        Raises ``refused`` where it does not.
        """
        if not available() or self._address.host_key:
            raise refused
        try:
            transport = self._by_ssh(deadline, self._rules)
        except HostKeyMismatch:
            raise refused from None
        self._notice(f"the SSH configuration accepts the host key of {self._target.where}: {refused.message}")
        return transport

    def _by_paramiko(self, deadline: Deadline) -> SshTransport:
        around = Circumstances(PatientAsker(self._asker, deadline), self._notice, self._ring, deadline)
        sessions: list[paramiko.Transport] = []
        try:
            for target in (*map(self._hop_target, self._route.hops), self._target):
                sessions.append(open_session(target, around, sessions[-1] if sessions else None))
                self._tell_if_new(target.where, target.expected, host_key(sessions[-1]))
        except BaseException:
            close_all(sessions)
            raise
        return SshTransport(ParamikoCarrier(sessions), self._seen(host_key(sessions[-1])), self._asker)

    def _by_ssh(self, deadline: Deadline, rules: KeyRules | None = None) -> SshTransport:
        """Log in by the system's ssh, which goes through the jump hosts itself; by ``rules`` it judges the key."""
        hops = [
            JumpHost(self._hop_target(hop), _known_hosts(hop), hop.key_alias, _checking(hop), hop.only_ssh)
            for hop in self._route.hops
        ]
        with vendor_errors(f"running ssh to {self._target.where}"):
            master = OpenSsh(self._address.host, self._target, hops, rules)
            key = master.log_in(deadline)
        for name, hop_key in master.hop_keys:
            self._tell_if_new(name, Expected(), hop_key)
        self._tell_if_new(self._target.where, self._target.expected, key)
        return SshTransport(master, self._seen(key), self._asker)

    def _hop_target(self, hop: HostConfig) -> Target:
        # ssh offers a jump host the user's usual keys; the one given for the host behind often opens both.
        given = (Path(self._address.key_path),) if self._address.key_path else ()
        keys = KeyChoice(None, (*given, *hop.identity_files), hop.identities_only, hop.agent)
        return Target(hop.host, hop.port, hop.user or ROOT, keys, _expected(None, hop))

    def _tell_if_new(self, where: str, expected: Expected, key: PublicKey) -> None:
        if not expected.fingerprints and key not in self._told:
            self._told.add(key)
            self._notice(f"pinned the host key of {where} at first contact: {key.fingerprint} ({key.kind})")

    def _seen(self, key: PublicKey) -> SshAddress:
        target, jump = self._target, self._route.text
        found = replace(self._address, host=target.host, port=target.port, user=target.user)
        return replace(found, jump=jump or self._address.jump, proxy=target.proxy, host_key=key.line)


def _jump(address: SshAddress) -> str | None:
    """Return the jump hosts; a proxy program replaces those of the SSH configuration, and excludes given ones."""
    if not address.proxy:
        return address.jump
    if parse_jump(address.jump or ""):
        raise UsageFault(
            f"{address.host} cannot be reached through both jump hosts and the program {address.proxy[0]!r}",
            hint="omit the jump hosts",
        )
    return "none"


def _expected(pin: str | None, config: HostConfig) -> Expected:
    """Return which host keys are acceptable, by the pin or else as ssh itself would decide."""
    if pin:
        return parse_pin(pin)
    files = _known_hosts(config)
    # An alias stands in known_hosts without a port: sshconnect.c takes it as it is.
    name, port = (config.key_alias, SSH_PORT) if config.key_alias else (config.host, config.port)
    return replace(expected_from(files, name, port), first_contact=config.first_contact)


def _on_token(address: SshAddress) -> bool:
    """Whether the given key is only the handle of one on a security key."""
    known = read_public_key(Path(address.key_path)) if address.key_path else None
    return known is not None and known.kind.startswith("sk-")


def _certified(address: SshAddress, configs: Sequence[HostConfig]) -> bool:
    """Whether ssh may have more credentials than pymachine can use: certificates, or keys on a token."""
    own = address.key_path is not None and has_certificate(Path(address.key_path))
    return own or any(config.certified for config in configs)


def _checking(config: HostConfig) -> str:
    """StrictHostKeyChecking, where nobody can be asked."""
    return "no" if config.any_key else "accept-new" if config.first_contact else "yes"


def _judged_by_ssh(config: HostConfig) -> bool:
    """Whether only ssh itself can say which host key is right: by a setting, or by a certificate of the host."""
    name = config.key_alias or config.host
    return config.judged_by_ssh or has_authority(_known_hosts(config), name, config.port)


def _known_hosts(config: HostConfig) -> tuple[Path, ...]:
    return known_hosts_files() if config.known_hosts is None else config.known_hosts


def _resolve_hop(hop: Hop) -> HostConfig:
    return resolve(hop.host, port=hop.port, user=hop.user)
