"""Tags as people write them: ours (``key=value``) and docker-machine's (``k1,v1,k2,v2``). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pymachine.errors import UsageFault
from pymachine_aws import tags

MOST = 50  # tags of one thing, AWS's own not counted (EC2 User Guide, "Tag restrictions")
_LONGEST_KEY = 128
_LONGEST_VALUE = 256
_RESERVED = ("aws:", "pymachine:")


def read_tags(given: Iterable[str], flag: str) -> dict[str, str]:
    """Return tags. Raises ``UsageFault`` for what AWS would refuse and for names that are kept for us."""
    found: dict[str, str] = {}
    for key, value in _pairs(given, flag):
        _check(key, value, flag)
        if key in found:
            raise UsageFault(f"{flag}: key {key!r} is given twice", hint="omit one of them")
        found[key] = value
    room = MOST - len(tags.of_machine("", "", "x", {}))
    if len(found) > room:
        raise UsageFault(f"{flag}: {len(found)} tags are too many", hint=f"{room} are allowed besides pymachine's")
    return found


def _pairs(given: Iterable[str], flag: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    flat: list[str] = []  # docker-machine's keys and values in turn; its variable comes split at the commas
    for text in given:
        if len(flat) % 2 == 0 and "=" in text.partition(",")[0]:
            key, _, value = text.partition("=")
            pairs.append((key.strip(), value))
        else:
            flat.extend(text.split(","))
    if len(flat) % 2:
        raise UsageFault(
            f"{flag}: {flat[-1]!r} has no value", hint="write KEY=VALUE, or K1,V1,K2,V2 with a value each"
        )
    return pairs + [(key.strip(), value) for key, value in zip(flat[::2], flat[1::2], strict=True)]


def _check(key: str, value: str, flag: str) -> None:
    if not key:
        raise UsageFault(f"{flag}: the value {value!r} has no key", hint="write KEY=VALUE")
    if key.lower().startswith(_RESERVED):
        raise UsageFault(f"{flag}: {key!r} starts with a reserved word", hint="choose another key")
    if len(key) > _LONGEST_KEY:
        raise UsageFault(f"{flag}: key {key[:20]}… has {len(key)} characters", hint=f"{_LONGEST_KEY} are allowed")
    if len(value) > _LONGEST_VALUE:
        raise UsageFault(
            f"{flag}: the value of {key!r} has {len(value)} characters", hint=f"{_LONGEST_VALUE} are allowed"
        )
    if not (key + value).isprintable():
        raise UsageFault(f"{flag}: {key!r} has control characters", hint="use letters, digits and + - = . _ : / @")
