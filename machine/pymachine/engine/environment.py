"""The environment of the engine: its variables, and a digest of them. Pure."""

from __future__ import annotations

import hashlib
import json

from pymachine.engine.checks import environment_pairs
from pymachine.errors import UsageFault
from pymachine.model import EngineSpec
from pymachine.options.values import passes_on


def proxies_of(spec: EngineSpec) -> tuple[tuple[str, str], ...]:
    """Return proxy variables in both spellings: dockerd reads either, curl and apt the lower-case one."""
    given = (
        ("http_proxy", spec.http_proxy),
        ("https_proxy", spec.https_proxy),
        ("no_proxy", ",".join(spec.no_proxy)),
    )
    pairs = tuple((name, value) for name, value in given if value)
    if any("\n" in value or not passes_on(value) for _, value in pairs):
        raise UsageFault("a proxy address holds a control character")
    return (*pairs, *((name.upper(), value) for name, value in pairs))


def variables_of(*specs: EngineSpec | None) -> frozenset[str]:
    """Return the names of the variables that these engines are given."""
    given = [spec for spec in specs if spec is not None]
    pairs = [pair for spec in given for pair in (*environment_pairs(spec.env), *proxies_of(spec))]
    return frozenset(name for name, _ in pairs)


def environment_digest(machine_id: str, *pairs: tuple[tuple[str, str], ...]) -> str:
    """Return a digest of the daemon's environment, whose values may be secret."""
    return hashlib.sha256(json.dumps([machine_id, *pairs]).encode()).hexdigest()
