"""The algorithms that a host and pymachine have in common, and the error if there are none of a kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import paramiko

from pymachine.errors import NoCommonAlgorithm

_LIMIT = 300  # characters of a host's list that are repeated: it may send 32 KiB
# RFC 8731 gave the method that libssh had begun with a name of its own; strict hosts know only that.
_STANDARD, _LIBSSH = "curve25519-sha256", "curve25519-sha256@libssh.org"
# In a host's list of key exchanges these say what else it can.
_NO_ALGORITHMS = ("ext-info-", "kex-strict-")


class Algorithm(StrEnum):
    """A kind of algorithm; the values are the settings of sshd_config for it."""

    KEY_EXCHANGE = "KexAlgorithms"
    HOST_KEY = "HostKeyAlgorithms"
    CIPHER = "Ciphers"
    MAC = "MACs"


_IN_WORDS = {
    Algorithm.KEY_EXCHANGE: "key exchange method",
    Algorithm.HOST_KEY: "type of host key",
    Algorithm.CIPHER: "cipher",
    Algorithm.MAC: "message authentication code",
}


@dataclass(frozen=True, slots=True)
class Lack:
    """A kind of algorithms without a common one."""

    kind: Algorithm
    offered: tuple[str, ...]
    ours: tuple[str, ...]

    @property
    def text(self) -> str:
        """The description."""
        offered, ours = (_listed(names) for names in (self.offered, self.ours))
        return f"no {_IN_WORDS[self.kind]} in common: it offers {offered}; pymachine has {ours}"


def _with_standard_name() -> dict[str, Any]:
    known: dict[str, Any] = dict(paramiko.Transport._kex_info)  # type: ignore[attr-defined]
    return {**known, _STANDARD: known[_LIBSSH]} if _LIBSSH in known and _STANDARD not in known else known


def _standard_first() -> tuple[str, ...]:
    names: tuple[str, ...] = paramiko.Transport._preferred_kex  # type: ignore[attr-defined]
    if _LIBSSH not in names or _STANDARD in names:
        return names
    place = names.index(_LIBSSH)
    return (*names[:place], _STANDARD, *names[place:])


class NegotiatedSession(paramiko.Transport):
    """paramiko's session, which keeps what the host offered, and knows Curve25519 by its standard name too."""

    _kex_info = _with_standard_name()
    _preferred_kex = _standard_first()
    offered: dict[Algorithm, tuple[tuple[str, ...], ...]] | None = None

    def _really_parse_kex_init(self, m: Any, *args: Any, **named: Any) -> Any:
        parsed = super()._really_parse_kex_init(m, *args, **named)  # type: ignore[misc]
        if self.offered is None:
            self.offered = {kind: tuple(_names(parsed[key]) for key in keys) for kind, keys in _KEYS.items()}
        return parsed


# Where paramiko puts the host's lists; ciphers and codes are agreed on for each direction.
_KEYS = {
    Algorithm.KEY_EXCHANGE: ("kex_algo_list",),
    Algorithm.HOST_KEY: ("server_key_algo_list",),
    Algorithm.CIPHER: ("client_encrypt_algo_list", "server_encrypt_algo_list"),
    Algorithm.MAC: ("client_mac_algo_list", "server_mac_algo_list"),
}


def lacks_of(session: NegotiatedSession) -> tuple[Lack, ...]:
    """Return the kinds of algorithms without a common one; none if the host has not offered any yet."""
    known = session.get_security_options()
    ours = {
        Algorithm.KEY_EXCHANGE: known.kex,
        Algorithm.HOST_KEY: known.key_types,
        Algorithm.CIPHER: known.ciphers,
        Algorithm.MAC: known.digests,
    }
    return tuple(
        Lack(kind, offered, tuple(ours[kind]))
        for kind, lists in (session.offered or {}).items()
        for offered in lists[:1] if not all(set(names) & set(ours[kind]) for names in lists)
    )  # fmt: skip


def no_common(where: str, lacks: Iterable[Lack]) -> NoCommonAlgorithm:
    """Return the error with what is missing, and the host's settings for it."""
    lacks = tuple(lacks)
    told = "; ".join(lack.text for lack in lacks) or "no algorithms in common"
    settings = ", ".join(lack.kind for lack in lacks) or "its sshd_config"
    return NoCommonAlgorithm(
        f"{where} and pymachine have {told}",
        hint="install OpenSSH's client on this computer, which pymachine then uses, or enable one of them on the "
        f"host ({settings})",
    )


def _names(offered: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in offered if name and not name.startswith(_NO_ALGORITHMS))


def _listed(names: tuple[str, ...]) -> str:
    text = ", ".join(names) or "none"
    return text if len(text) <= _LIMIT else f"{text[: _LIMIT - 1]}…"
