"""Whether what somebody wants of the engine can be right, value by value; the same for flags and for files. Pure.

``what`` names the flag or key in a message.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from pymachine.addresses import check_host, check_port
from pymachine.errors import UsageFault

SOURCES = ("auto", "docker", "distro", "none")
PROXIES = ("http", "https", "socks5")
DECIMALS = re.compile(r"[0-9]+(\.[0-9]+)*([-~+.:][A-Za-z0-9.+~:-]+)?", re.ASCII)
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)


def is_known_source(text: str) -> bool:
    """Tell the sources of the engine that need no file: words and URLs."""
    return text in SOURCES or text.startswith(("https://", "http://"))


def check_version(text: str) -> str:
    """Return the version of an engine. Raises ``UsageFault``."""
    if not DECIMALS.fullmatch(text):
        raise UsageFault(
            f"{text!r} is not a valid engine version", hint="give numbers such as 26.1.5, or 26.1 for its newest"
        )
    return text


def check_word(text: str) -> str:
    """Return the name of a channel or storage driver. Raises ``UsageFault``."""
    if not WORD.fullmatch(text):
        raise UsageFault(
            f"{text!r} is not a valid name of a channel or storage driver", hint="give one word, such as stable"
        )
    return text


def check_pair(what: str, text: str) -> tuple[str, str]:
    """Return key and value of ``key=value``. Raises ``UsageFault``."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip() or any(char in text for char in "\n\0"):
        raise UsageFault(f"{what} {text!r} is not of the form key=value", hint=f"write {what} rack=7")
    return key, value


def check_variable(name: str, what: str = "") -> str:
    """Return the name of a variable. Raises ``UsageFault``; the value, which may be secret, is never looked at."""
    if not VARIABLE.fullmatch(name):
        hint = f"write {what} NAME=VALUE" if what else "use letters, digits and underscores, no digit first"
        raise UsageFault(f"{name!r} cannot be the name of a variable", hint=hint)
    return name


def check_assignment(text: str, what: str) -> str:
    """Return ``NAME=value`` for the daemon. Raises ``UsageFault``; a value may be secret, and is not in it."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageFault(f"{what}: a variable without a value", hint=f"write {what} NAME=VALUE")
    check_variable(name, what)
    if not passes_on(value):
        raise UsageFault(f"{what}: the value of {name} has a control character", hint="services cannot be given any")
    return text


def passes_on(value: str) -> bool:
    """Whether a service gets a variable of this value: systemd leaves out those with control characters, but for tabs
    and line breaks, and those that are no UTF-8 (env-util.c).
    """
    return not any(
        (char < " " and char not in "\t\n") or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in value
    )


def check_san(text: str) -> str:
    """Return a name or address for TLS, ``*.`` before it or not. Raises ``UsageFault``."""
    return check_host(text[2:] if text.startswith("*.") else text) and text


def check_url(
    what: str, schemes: Sequence[str] = ("https", "http"), shown: Callable[[str], str] = str
) -> Callable[[str], str]:
    """Return a check that returns a URL of these schemes, or raises ``UsageFault`` with it as ``shown``."""

    def check(text: str) -> str:
        try:
            url = urlsplit(text)
            proper = url.scheme in schemes and bool(url.hostname) and (url.port is None or url.port > 0)
        except ValueError:
            proper = False
        if not proper or any(char.isspace() for char in text):
            raise UsageFault(
                f"{what}: {shown(text)!r} is not a valid URL", hint=f"write {schemes[0]}://HOST[:PORT]/…"
            )
        return text

    return check


def check_source(text: str, what: str, shown: Callable[[str], str] = str) -> str:
    """Return a source of the engine, one word or a URL. Raises ``UsageFault`` for a URL that is none."""
    return text if text in SOURCES else check_url(what, shown=shown)(text)


def check_registry(what: str, shown: Callable[[str], str] = str) -> Callable[[str], str]:
    """Return a check that returns ``HOST[:PORT]`` or a network, or raises ``UsageFault`` with it as ``shown``."""

    def check(text: str) -> str:
        surplus = "scheme" if "://" in text else "user" if "@" in text else ""
        if surplus:
            raise UsageFault(
                f"{what} {shown(text)!r} has a {surplus}",
                hint="give HOST:PORT or a network such as 10.0.0.0/8 alone",
            )
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            host, _, port = text.rpartition(":") if re.search(r":[0-9]+$", text) else (text, "", "")
            check_host(host)
            check_port(int(port or 1), "registry port")
        return text

    return check


def split_hosts(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the hosts of lists joined by commas."""
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())
