"""Renders Jinja2 templates; this is the only module that uses Jinja2.

Every value that reaches a template is escaped for its place by one of the filters here: ``sh`` (a shell word),
``json``, ``systemd`` (a value in a unit file), ``env_file`` (a value in a file of variables that a unit names),
``yaml`` (a YAML scalar or structure), ``xml`` (text of an element or a quoted attribute).
"""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

PACKAGE = "pymachine_templates"


def render(template: str, **values: Any) -> str:
    """Return the text of a template such as ``engine/setup.sh.j2``; a missing value is an error."""
    return _environment().get_template(template).render(**values)


def sh(value: object) -> str:
    """Quote a value as one POSIX shell word; a sequence becomes several words."""
    if isinstance(value, list | tuple):
        return " ".join(shlex.quote(str(word)) for word in value)
    return shlex.quote(str(value))


def to_json(value: Any, indent: int | None = None) -> str:
    """Return JSON text with its keys in the order given."""
    return json.dumps(value, indent=indent, ensure_ascii=False)


def to_yaml(value: Any) -> str:
    """Return a value as YAML flow text: ASCII JSON, which every YAML parser accepts."""
    return json.dumps(value, ensure_ascii=True)


def systemd(value: object, *, command: bool = False) -> str:
    """Quote a value as one word of a systemd unit file.

    Double quotes with C escapes (systemd.syntax(7)); ``%`` is doubled since specifiers are expanded nearly
    everywhere. ``$`` means something only where ``command`` is set: in Exec lines, doubled there, while in
    ``Environment=`` it stands for itself.
    """
    text = "".join(_systemd_character(character) for character in str(value))
    return f'"{text.replace("$", "$$") if command else text}"'


def env_file(value: object) -> str:
    """Quote a value for a file that ``EnvironmentFile=`` names.

    In double quotes all characters stand for themselves, line breaks too, but for these four, which a backslash keeps
    from it (systemd.exec(5), "EnvironmentFile="; older systemd takes any character behind a backslash as it is).
    Neither specifiers nor variables are expanded there.
    """
    return '"' + re.sub(r'(["\\`$])', r"\\\1", str(value)) + '"'


_SYSTEMD = {"\\": "\\\\", '"': '\\"', "%": "%%", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _systemd_character(character: str) -> str:
    if character in _SYSTEMD:
        return _SYSTEMD[character]
    return character if character.isprintable() else "".join(f"\\x{byte:02x}" for byte in character.encode())


# The characters that XML 1.0 has (https://www.w3.org/TR/xml/#charsets); no others can be written in it at all.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML = str.maketrans({
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;",
})  # fmt: skip


def xml(value: object) -> str:
    """Escape a value as XML text or as part of a quoted attribute.

    Raises ``ValueError`` for a character that XML cannot hold.
    """
    text = str(value)
    if strange := _NOT_XML.search(text):
        raise ValueError(f"{text!r} cannot be written in XML: it contains {strange[0]!r}")
    return text.translate(_XML)


@cache
def _environment() -> Environment:
    """Return the one environment, which caches compiled templates: compiling takes most of the time of a set-up."""
    environment = Environment(
        loader=PackageLoader(PACKAGE, "."),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters.update(sh=sh, json=to_json, yaml=to_yaml, systemd=systemd, env_file=env_file, xml=xml)
    return environment
