"""Parses a unit's command line: the effective ``ExecStart`` and its dockerd flags."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_HEADER = re.compile(r"^# (/\S+)$")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")

# dockerd's one-letter flags, and those that take no value unless written --flag=value.
_SHORT = {"H": "host", "D": "debug", "l": "log-level", "s": "storage-driver", "b": "bridge", "G": "group",
          "g": "data-root", "p": "pidfile"}  # fmt: skip
SWITCHES = frozenset({
    "debug", "tls", "tlsverify", "live-restore", "icc", "ip-forward", "ip-forward-no-drop", "ip-masq", "iptables",
    "ip6tables", "ipv6", "init", "selinux-enabled", "userland-proxy", "experimental", "raw-logs", "no-new-privileges",
    "rootless", "allow-direct-routing", "validate", "version", "help",
})  # fmt: skip


class UnitSetting(NamedTuple):
    """A setting of a unit, and the file that has it; empty for a text without the names of files."""

    path: str
    name: str
    value: str


def exec_start(unit_text: str, *, without: str = "") -> tuple[str, str]:
    """Return the effective ``ExecStart``, unexpanded, and its file.

    ``unit_text`` is the output of ``systemctl cat``; the part of file ``without`` is left out. An empty assignment
    resets, a later one wins, lines that end in a backslash continue, and comments between them do not count.
    """
    found = [
        (setting.value, setting.path)
        for setting in unit_settings(unit_text)
        if setting.name == "ExecStart" and not (without and setting.path == without)
    ]
    return found[-1] if found else ("", "")


def unit_settings(unit_text: str) -> list[UnitSetting]:
    """Return the settings in the output of ``systemctl cat``, with lines that a backslash continues joined."""
    found, path, held = [], "", ""
    for line in unit_text.splitlines():
        if header := _HEADER.match(line):
            path, held = header[1], ""
        elif not line.lstrip().startswith(("#", ";")):
            joined = held + line.strip()
            held = joined[:-1].rstrip() + " " if joined.endswith("\\") else ""
            name, equals, value = joined.partition("=")
            if not held and equals:
                found.append(UnitSetting(path, name.strip(), value.strip()))
    return found


def assigned_variables(settings: Iterable[UnitSetting]) -> list[str]:
    """Return the names of the variables that ``Environment=`` assigns."""
    words = [word for setting in settings if setting.name == "Environment" for word in _split(setting.value)]
    return [word.partition("=")[0] for word in words if "=" in word]


def flags_of(cmdline: Sequence[str], unit_text: str = "", environment: str = "") -> dict[str, list[str]]:
    """Return dockerd's flags by long name with their values, from a running argv or else from its unit."""
    words = list(cmdline) or _words(unit_text, environment)
    flags: dict[str, list[str]] = {}
    rest = words[1:]
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("--") and name[:1] in _SHORT and len(name) > 1:
            name, equals, value = name[0], "=", name[1:] + equals + value
        name = _SHORT.get(name, name)
        if not equals and name not in SWITCHES and rest:
            value = rest.pop(0)
        flags.setdefault(name, []).append(value or "true")
    return flags


def _words(unit_text: str, environment: str) -> list[str]:
    command, _ = exec_start(unit_text)
    known = dict(_variables(environment)) | dict(_variables("\n".join(_inline_environment(unit_text))))
    expanded = _VARIABLE.sub(lambda found: known.get(found[1] or found[2], ""), command.lstrip("-@:+!"))
    return _split(expanded)


def _inline_environment(unit_text: str) -> list[str]:
    lines = (line.strip() for line in unit_text.splitlines())
    return [word for line in lines if line.startswith("Environment=") for word in _split(line.partition("=")[2])]


def _variables(text: str) -> list[tuple[str, str]]:
    pairs = (line.strip().partition("=") for line in text.splitlines() if not line.strip().startswith("#"))
    return [(key, value.strip("\"'")) for key, equals, value in pairs if equals]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
