"""Credentials that one machine alone has, as its create was given them: in this process, by the machine's id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key with its secret, and the token of a session that it belongs to."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


_BY_MACHINE: dict[str, Credentials] = {}


def keep(machine_id: str, values: Mapping[str, str]) -> None:
    """Keep the values of the options ``aws_access_key``, ``aws_secret_key`` and ``aws_session_token``."""
    if "aws_access_key" in values and "aws_secret_key" in values:
        _BY_MACHINE[machine_id] = Credentials(
            values["aws_access_key"], values["aws_secret_key"], values.get("aws_session_token")
        )


def of(machine_id: str) -> Credentials | None:
    """Return the machine's own credentials; None where boto3 searches for some."""
    return _BY_MACHINE.get(machine_id)
