"""Hides possible secrets of a record or specification in views: JSON output, exports, plans."""

from __future__ import annotations

import re
from typing import Any

from pymachine.documents import to_document
from pymachine.options.values import HIDDEN, hidden_user

# What stands before the address in a URL: a name, a password or a token, also a password that is not escaped.
_USER = re.compile(r"(?<=://)(?:[^/?#\s]+|[^/?#\s@:]*:(?!\d+[/?#])\S+)@")
_PASSWORD = re.compile(r"(?<=://)[^/?#\s@:]*:[^/?#\s]+@")
_SECRET = re.compile(r"passw(or)?d|passphrase|secret|token|api_?key|private_?key|access_?key", re.IGNORECASE)


def looks_secret(name: str) -> bool:
    """Whether the name of a value suggests a secret; ``…_FILE`` is only the path of one."""
    return _SECRET.search(name.replace("-", "_")) is not None and not name.upper().endswith("_FILE")


def hidden_in_url(text: str) -> str:
    """Return the text with names and passwords in URLs hidden."""
    return _USER.sub(f"{HIDDEN}@", text)


def hidden_password(text: str) -> str:
    """Return a text of any kind with names and passwords in URLs hidden; a name without a password stays."""
    return _PASSWORD.sub(f"{HIDDEN}@", text)


def hidden_value(pair: str) -> str:
    """Return ``NAME=***`` of ``NAME=value``."""
    return f"{pair.partition('=')[0]}={HIDDEN}"


def machine_document(machine: Any) -> dict[str, Any]:
    """Return a machine, a record or one of an inventory, as JSON values for output.

    Values of the engine's variables are hidden, because an inventory may take them from secret sources, and so are
    users in URLs and values whose name suggests a secret.
    """
    document: dict[str, Any] = redacted(to_document(machine))
    engine = document.get("engine")
    if isinstance(engine, dict) and isinstance(engine.get("env"), list):
        engine["env"] = [hidden_value(pair) for pair in engine["env"]]
    return document


def redacted(value: Any, name: str = "") -> Any:
    """Return JSON values with users in URLs, and texts whose key suggests a secret, hidden."""
    if isinstance(value, dict):
        return {key: redacted(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [redacted(item, name) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return HIDDEN if looks_secret(name) else value
    if not isinstance(value, str):
        return value
    # Daemon options are pairs: log-opts=splunk-token=… hides what follows the last name that says secret.
    *names, last = value.split("=")
    if names and looks_secret(names[-1]):
        return "=".join((*names, HIDDEN))
    if value and looks_secret(name):
        return HIDDEN
    if "proxy" in (names[-1] if names else name).lower() and "://" not in last:  # u:password@proxy:3128
        return "=".join((*names, hidden_user(last)))
    return hidden_in_url(value)
