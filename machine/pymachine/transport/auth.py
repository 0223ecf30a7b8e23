"""Logs in with keys, and explains failures."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import paramiko
from paramiko.agent import AgentSSH

from pymachine.clock import Deadline
from pymachine.errors import AuthFailed, Unreachable
from pymachine.transport.keys import Identity

# sshd's MaxAuthTries; it ends the session at the sixth refusal, so a seventh key never gets its turn.
MAX_OFFERS = 6
AGENT_PATIENCE = 60.0  # seconds; an agent may ask its user before it signs


@contextmanager
def agent_keys(path: str | None = None) -> Iterator[tuple[paramiko.AgentKey, ...]]:
    """Yield the keys of the SSH agent; none if there is no agent or it does not answer in time.

    ``path`` is its socket: None for the environment's, empty for no agent at all.
    """
    path = os.environ.get("SSH_AUTH_SOCK") if path is None else path
    if not path:
        yield ()
        return
    # Not paramiko.Agent: that one knows no other socket, sets no time limit, and leaves a dead one open.
    agent = AgentSSH()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(AGENT_PATIENCE)
        try:
            sock.connect(path)
            agent._connect(sock)  # type: ignore[attr-defined]  # paramiko's own Agent begins so, and no other way is open
            keys = tuple(agent.get_keys())
        except (paramiko.SSHException, OSError):
            keys = ()
        yield keys


def log_in(session: paramiko.Transport, who: str, identities: Iterable[Identity], deadline: Deadline) -> None:
    """Offer the keys in turn, at most six, until one is accepted; ``who`` is ``user@host:port``.

    Raises ``AuthFailed`` with what was offered, or ``Unreachable`` if the host disconnected before it decided.
    """
    offered: list[str] = []
    for identity in islice(identities, MAX_OFFERS):
        session.auth_timeout = deadline.left
        if _accepted(session, who, identity, offered):
            return
        offered.append(identity.text)
        if not session.is_active():
            break
    raise _refused(who, offered, dropped=not session.is_active())


def _accepted(session: paramiko.Transport, who: str, identity: Identity, offered: list[str]) -> bool:
    try:
        further = session.auth_publickey(who.rpartition("@")[0], identity.key)
    except paramiko.BadAuthenticationType as error:
        raise AuthFailed(
            f"{who} accepts no keys, only {', '.join(error.allowed_types)}",
            hint="allow PubkeyAuthentication for the account on the host",
        ) from error
    except paramiko.AuthenticationException as error:
        if not session.is_active() and not offered:
            raise Unreachable(
                f"{who} closed the connection while logging in",
                hint="the host may be booting; if this persists, see its sshd log",
            ) from error
        return False
    except paramiko.SSHException as error:  # the agent would not sign, or no signature type in common
        if session.is_active():
            return False
        raise Unreachable(f"{who} closed the connection while logging in") from error
    if further:
        raise AuthFailed(
            f"{who} requires more than a key: {', '.join(further)}",
            hint="only key login is supported; exempt the account from further factors",
        )
    return True


def _refused(who: str, offered: list[str], *, dropped: bool) -> AuthFailed:
    if not offered:
        return AuthFailed(
            f"no SSH key to offer to {who}",
            hint="give one with --ssh-key FILE, add one to an agent, or make one: ssh-keygen -t ed25519",
        )
    tries = f"{who} refused {len(offered)} key{'s' if len(offered) > 1 else ''}: " + ", ".join(offered)
    if dropped:
        return AuthFailed(
            f"{tries}; then it closed the connection (too many authentication failures)",
            hint="give the right key alone: --ssh-key FILE",
        )
    return AuthFailed(
        tries, hint="check the user (--ssh-user) and key (--ssh-key); `ssh-copy-id` puts a key on the host"
    )
