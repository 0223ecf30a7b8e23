"""Whether what somebody wants of the engine can be right, value by value; the same for flags and for files. Pure.

Each check raises ``ValueFault``, which does not know what the value was given as.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pymachine.addresses import check_host, check_port
from pymachine.errors import ValueFault

HIDDEN = "***"
SOURCES = ("auto", "docker", "distro", "none")
PROXIES = ("http", "https", "socks5")
DECIMALS = re.compile(r"[0-9]+(\.[0-9]+)*([-~+.:][A-Za-z0-9.+~:-]+)?", re.ASCII)
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)


def is_known_source(text: str) -> bool:
    """Tell the sources of the engine that need no file: words and URLs."""
    return text in SOURCES or text.startswith(("https://", "http://"))


def check_version(text: str) -> str:
    """Return the version of an engine. Raises ``ValueFault``."""
    if not DECIMALS.fullmatch(text):
        raise ValueFault(
            text, "is not a valid engine version", hint="give numbers such as 26.1.5, or 26.1 for its newest"
        )
    return text


def check_word(text: str) -> str:
    """Return the name of a channel or storage driver. Raises ``ValueFault``."""
    if not WORD.fullmatch(text):
        raise ValueFault(
            text, "is not a valid name of a channel or storage driver", hint="give one word, such as stable"
        )
    return text


def check_key(text: str) -> str:
    """Return the key of a label. Raises ``ValueFault``."""
    if not text.strip() or "=" in text or any(char.isspace() for char in text):
        raise ValueFault(text, "is not a valid label key", hint="use a word such as tier")
    return text


def check_pair(text: str) -> tuple[str, str]:
    """Return key and value of ``key=value``. Raises ``ValueFault``."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip() or any(char in text for char in "\n\0"):
        raise ValueFault(text, "is not of the form key=value", hint="write KEY=VALUE, such as rack=7")
    return key, value


def check_variable(name: str) -> str:
    """Return the name of a variable. Raises ``ValueFault``; the value, which may be secret, is never looked at."""
    if not VARIABLE.fullmatch(name):
        raise ValueFault(
            name, "is not a valid variable name", hint="use letters, digits and underscores, no digit first"
        )
    return name


def check_assignment(text: str) -> str:
    """Return ``NAME=value`` for the daemon. Raises ``ValueFault``; a value may be secret, and is not in it."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueFault(None, "a variable without a value", hint="write NAME=VALUE")
    check_variable(name)
    if not passes_on(value):
        raise ValueFault(None, f"the value of {name} has a control character", hint="services cannot be given any")
    return text


def passes_on(value: str) -> bool:
    """Whether a service gets a variable of this value: systemd leaves out those with control characters, but for tabs
    and line breaks, and those that are no UTF-8 (env-util.c).
    """
    return not any(
        (char < " " and char not in "\t\n") or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in value
    )


def check_san(text: str) -> str:
    """Return a name or address for TLS, ``*.`` before it or not. Raises ``ValueFault``."""
    return check_host(text[2:] if text.startswith("*.") else text) and text


def check_url(text: str, schemes: Sequence[str] = ("https", "http")) -> str:
    """Return a URL of one of these schemes. Raises ``ValueFault``, which hides a user and password in it."""
    from urllib.parse import urlsplit

    try:
        url = urlsplit(text)
        proper = url.scheme in schemes and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        proper = False
    if not proper or any(char.isspace() for char in text):
        raise ValueFault(hidden_user(text), "is not a valid URL", hint=f"write {schemes[0]}://HOST[:PORT]/…")
    return text


def check_proxy(text: str) -> str:
    """Return the URL of a proxy. Raises ``ValueFault``, which hides a user and password in it."""
    return check_url(text, PROXIES)


def check_source(text: str) -> str:
    """Return a source of the engine, one word or a URL. Raises ``ValueFault`` for a URL that is none."""
    return text if text in SOURCES else check_url(text)


def check_registry(text: str) -> str:
    """Return ``HOST[:PORT]`` or a network. Raises ``ValueFault``, which hides a user and password in it."""
    import ipaddress

    surplus = "scheme" if "://" in text else "user" if "@" in text else ""
    if surplus:
        raise ValueFault(
            hidden_user(text), f"has a {surplus}", hint="give HOST:PORT or a network such as 10.0.0.0/8 alone"
        )
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        host, _, port = text.rpartition(":") if re.search(r":[0-9]+$", text) else (text, "", "")
        check_host(host)
        check_port(int(port or 1), "registry port")
    return text


def check_range(number: float, least: float | None, most: float | None) -> float:
    """Return a number that is within its bounds. Raises ``ValueFault``."""
    if (least is not None and number < least) or (most is not None and number > most):
        raise ValueFault(str(number), "is out of range", hint=f"give {span(least, most)}")
    return number


def span(least: float | None, most: float | None) -> str:
    """Return two bounds, of which one may be missing, in words."""
    if least is None or most is None:
        return f"{least} or more" if most is None else f"{most} or less"
    return f"{least} to {most}"


def split_hosts(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the hosts of lists joined by commas."""
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


def hidden_user(text: str) -> str:
    """Return a text that was to be a URL without all that stands before its last ``@``."""
    before, at, place = text.rpartition("@")
    return f"{HIDDEN}@{place}" if before and at else text
