"""Merges cloud-configs on this side, because cloud-init itself replaces whole keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymachine.cloudinit.config import required
from pymachine.cloudinit.user_data import Theirs
from pymachine.errors import UsageFault


def merged(ours: dict[str, Any], theirs: Theirs, user: str) -> dict[str, Any]:
    """Return pymachine's cloud-config merged with the user's; ``user`` is the login account.

    Lists are joined, pymachine's first; mappings are merged; of two scalars the user's wins, unless pymachine could
    not log in with it. Keys that the user authorises may log in to pymachine's account as well. Raises
    ``UsageFault``.
    """
    result = ours
    for where, config in theirs.configs:
        rest = {name: value for name, value in config.items() if name != "users"}
        result = _joined(result, rest, where, "")
        result["users"] = _with_users(result["users"], config.get("users"), where, user)
        result["users"] = _with_keys(result["users"], config.get("ssh_authorized_keys"), where)
    return _joined(result, required(ours), "", "")


def _joined(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str, path: str) -> dict[str, Any]:
    result = dict(ours)
    for name, value in theirs.items():
        if name in ours and value is None:
            continue  # a key with nothing after it says nothing
        result[name] = _one(ours[name], value, where, f"{path}{name}") if name in ours else value
    return result


def _one(ours: Any, theirs: Any, where: str, path: str) -> Any:
    if isinstance(ours, dict):
        if not isinstance(theirs, dict):
            raise _mistake(where, path, "a mapping")
        return _joined(ours, theirs, where, f"{path}.")
    if isinstance(ours, list):
        if not isinstance(theirs, list):
            raise _mistake(where, path, "a list")
        return [*ours, *(value for value in theirs if value not in ours)] if path in _SETS else [*ours, *theirs]
    return theirs


_SETS = frozenset({"ssh_genkeytypes", "growpart.devices"})


def _with_users(ours: list[Any], theirs: Any, where: str, user: str) -> list[Any]:
    """Add accounts; an entry with pymachine's account is merged into it."""
    users = list(ours)
    for entry in _entries(theirs, where):
        if _name(entry) != user:
            users.append(entry)
        elif isinstance(entry, dict):
            kept = {name: users[0][name] for name in ("name", "sudo") if name in users[0]}
            users[0] = _joined(users[0], entry, where, "users.") | kept
    return users


def _with_keys(users: list[Any], keys: Any, where: str) -> list[Any]:
    account = users[0]
    if keys is None:
        return users
    allowed = _one(account["ssh_authorized_keys"], keys, where, "ssh_authorized_keys")
    return [{**account, "ssh_authorized_keys": allowed}, *users[1:]]


def _entries(users: Any, where: str) -> list[Any]:
    if users is None:
        return []
    if isinstance(users, str):
        return [name.strip() for name in users.split(",")]
    if not isinstance(users, list):
        raise _mistake(where, "users", "a list")
    return users


def _name(entry: Any) -> Any:
    return entry.get("name") if isinstance(entry, dict) else entry


def _mistake(where: str, path: str, kind: str) -> UsageFault:
    return UsageFault(f"{where}: {path} must be {kind}", hint=f"write {path} as cloud-init documents it")
