"""Parses the user-data that the user gives, before anything is made."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

import yaml

from pymachine import expansion
from pymachine.cloudinit.parts import BOOTHOOK, CLOUD_CONFIG, HANDLER, SCRIPT, TEMPLATE, UserDataPart
from pymachine.errors import UsageFault

# What a text begins with tells what it is (cloud-init's handlers, INCLUSION_TYPES_MAP).
_KINDS = {"#!": SCRIPT, "#cloud-boothook": BOOTHOOK, "#part-handler": HANDLER}
_REFUSED = {
    "## template:": "cloud-init would render this template on the machine, too late to merge it",
    "#include": "what it includes would be fetched by the machine, too late to merge it",
    "#cloud-config-archive": "archives are not read",
    "#cloud-config-jsonp": "patches are not read",
}
_MIME = re.compile(r"(From |MIME-Version:|Content-Type:)", re.IGNORECASE)
# cloud-init renders it on the machine, and then runs it as it runs a script: there is nothing in it to merge.
_SCRIPT_TEMPLATE = re.compile(r"## template: jinja[ \t]*\r?\n#!", re.IGNORECASE)
_BY_FREQUENCY = tuple(f"{SCRIPT}-per-{frequency}" for frequency in ("boot", "instance", "once"))
_UNDECIDED = frozenset({"text/plain", "text/x-not-multipart", "application/octet-stream"})
_POWER = {
    "power_state": "the machine would shut down during set-up",
    "package_reboot_if_required": "the machine would restart during set-up",
}


@dataclass(frozen=True, slots=True)
class Theirs:
    """The user's cloud-configs to merge, each with its place for messages, and other parts."""

    configs: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    parts: tuple[UserDataPart, ...] = ()


NOTHING = Theirs()


def read_theirs(text: str, where: str) -> Theirs:
    """Parse cloud-config, a script, a boothook, a part handler, a template of a script, or MIME of these.

    ``where`` names the file in messages. Raises ``UsageFault`` for anything that cloud-init would ignore or that
    cannot be merged.
    """
    text = text.removeprefix("\ufeff")
    if not text.strip():
        return NOTHING
    if not _MIME.match(text):
        return _read(text, _kind(text, where), where, "script")
    found = [
        _read(part, _kind_of(part, kind, place), place, name)
        for number, (kind, name, part) in enumerate(_leaves(email.message_from_string(text), where), 1)
        for place in (f"{where}, part {number}",)
    ]
    return Theirs(
        tuple(config for theirs in found for config in theirs.configs),
        tuple(part for theirs in found for part in theirs.parts),
    )


def _leaves(message: Message, where: str) -> Iterator[tuple[str, str, str]]:
    """Yield type, name and text of each part that is not a container."""
    for number, part in enumerate((part for part in message.walk() if not part.is_multipart()), 1):
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise UsageFault(f"{where}, part {number}: it is not UTF-8 text", hint="give text parts only") from None
        yield part.get_content_type(), part.get_filename() or f"part-{number:03}", text


def _kind_of(text: str, declared: str, where: str) -> str:
    """Return the type of a part as cloud-init determines it: declared, or from its first line."""
    if declared in (*_UNDECIDED, TEMPLATE) or text.startswith("## template:"):
        return _kind(text, where)
    if declared not in (CLOUD_CONFIG, *_KINDS.values(), *_BY_FREQUENCY):
        raise UsageFault(f"{where}: type {declared} cannot be merged", hint="give cloud-config or scripts")
    return declared


def _kind(text: str, where: str) -> str:
    first = text.partition("\n")[0].strip()
    if first.split()[:1] == ["#cloud-config"] and text.startswith("#"):
        return CLOUD_CONFIG
    if _SCRIPT_TEMPLATE.match(text):
        return TEMPLATE
    for beginning, reason in _REFUSED.items():
        if first.startswith(beginning):
            raise UsageFault(f"{where}, line 1: {first}: {reason}", hint="write out its result")
    for beginning, kind in _KINDS.items():
        if text.startswith(beginning):
            return kind
    raise _headless(text, where)


def _headless(text: str, where: str) -> UsageFault:
    """Raise ``UsageFault`` for a header that is not on the first line, which cloud-init silently ignores."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().startswith(("#cloud-config", "#!")):
            return UsageFault(
                f"{where}, line {number}: {line.strip()} has to be the first line, from its first column",
                hint="remove the lines before it: cloud-init would ignore the file",
            )
    return UsageFault(
        f"{where}: it is neither cloud-config nor a script",
        hint="begin it with the line #cloud-config, or a script with #!",
    )


def _read(text: str, kind: str, where: str, name: str) -> Theirs:
    if kind == CLOUD_CONFIG:
        return Theirs(configs=((where, _config(text, where)),))
    # Scripts run in the order of their names: after ours, which is called runcmd.
    return Theirs(parts=(UserDataPart(kind, text, f"user-{name}"),))


def _config(text: str, where: str) -> Mapping[str, Any]:
    try:
        config = expansion.load(text)
    except expansion.Overgrown as error:
        raise UsageFault(f"{_place(where, error)}: {error.problem}", hint="shorten the file") from None
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(where, error) from None
    except yaml.YAMLError as error:
        raise UsageFault(f"{where}: it is not YAML: {error}", hint="correct the file") from None
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise UsageFault(f"{where}: a cloud-config holds keys and values", hint="write lines like `packages: [jq]`")
    _check_power(config, where)
    return config


def _not_yaml(where: str, error: yaml.MarkedYAMLError) -> UsageFault:
    return UsageFault(f"{_place(where, error)}: it is not YAML: {error.problem}", hint="correct the file")


def _place(where: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    return f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where


def _check_power(config: Mapping[str, Any], where: str) -> None:
    for name, reason in _POWER.items():
        if config.get(name):
            raise UsageFault(f"{where}: {name}: {reason}", hint="remove it, and restart the machine afterwards")
