"""``ls --filter``: which machines are listed, by their records and, for the state only, by their answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from pymachine.errors import UsageFault
from pymachine.model import Machine, State
from pymachine.store import Broken

Records = Sequence[Machine | Broken]
RecordFilter = Callable[[Machine | Broken], bool]
STATE = "state"


class MachineFilters:
    """The filters of --filter: those with the same key are alternatives, those with different keys must all match.

    ``records`` are all that there are. Raises ``UsageFault`` for what is not a filter.
    """

    def __init__(self, texts: Sequence[str], records: Records) -> None:
        self._by_key: dict[str, list[RecordFilter]] = {}
        self._states: set[str] = set()
        self._drivers: list[str] = []
        for text in texts:
            key, value = _split(text)
            if key == STATE:
                self._states.add(_state(value))
            else:
                self._drivers += [value] if key == "driver" else []
                self._by_key.setdefault(key, []).append(_FILTERS[key](value, records))

    @property
    def need_state(self) -> bool:
        """Whether machines have to be asked for their state."""
        return bool(self._states)

    def check_drivers(self, used: Collection[str], ask_installed: Callable[[], list[str]]) -> None:
        """Refuse a driver that is neither installed nor in use. Raises ``UsageFault``."""
        for name in self._drivers:
            if name not in used and name not in (installed := ask_installed()):
                raise UsageFault(f"no driver {name!r}", hint=f"use one of: {', '.join(sorted({*installed, *used}))}")

    def may_accept(self, record: Machine | Broken) -> bool:
        """Whether the record matches."""
        return all(any(matches(record) for matches in some) for some in self._by_key.values())

    def accept(self, state: str) -> bool:
        """Whether the state of a machine matches."""
        return not self._states or state.lower() in self._states


def _split(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageFault(f"filter {text!r} is not of the form key=value", hint=_KEYS)
    if key.lower() not in (*_FILTERS, STATE):
        raise UsageFault(f"cannot filter by {key!r}", hint=_KEYS)
    return key.lower(), value


def _by_driver(name: str, _: Records) -> RecordFilter:
    """A driver by any of its names: docker-machine calls `ssh` generic."""
    from pymachine.docker_machine.view import OURS

    wanted = OURS.get(name, name)
    return lambda record: isinstance(record, Machine) and OURS.get(record.driver, record.driver) == wanted


def _by_name(pattern: str, _: Records) -> RecordFilter:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageFault(f"{pattern!r} is not a valid pattern: {error}", hint="write a regular expression") from None
    return lambda record: compiled.search(record.name) is not None


def _state(text: str) -> str:
    if text.lower() not in {state.lower() for state in State}:
        raise UsageFault(f"{text!r} is not a state", hint="use one of: " + ", ".join(State))
    return text.lower()


def _by_label(text: str, _: Records) -> RecordFilter:
    """A label of the machine or of its engine. As in docker-machine, the case of the value does not count."""
    key, equals, value = text.partition("=")
    if not key:
        raise UsageFault(f"{text!r} is not a label", hint="write label=KEY or label=KEY=VALUE")

    def matches(record: Machine | Broken) -> bool:
        found = [label.partition("=")[2] for label in _labels(record) if label.partition("=")[0] == key]
        return any(one.lower() == value.lower() for one in found) if equals else bool(found)

    return matches


def _labels(record: Machine | Broken) -> list[str]:
    if not isinstance(record, Machine):
        return []
    return [*(f"{key}={value}" for key, value in record.labels.items()), *record.engine.labels]


def _by_swarm(name: str, records: Records) -> RecordFilter:
    """The machines of the Swarm that a machine is a manager of."""
    swarms = {
        one.swarm.cluster
        for one in records
        if isinstance(one, Machine) and one.name == name and one.swarm is not None and one.swarm.role == "manager"
    }
    return lambda record: isinstance(record, Machine) and record.swarm is not None and record.swarm.cluster in swarms


_FILTERS: Mapping[str, Callable[[str, Records], RecordFilter]] = {
    "driver": _by_driver,
    "name": _by_name,
    "label": _by_label,
    "swarm": _by_swarm,
}
_KEYS = "filter by " + ", ".join((*_FILTERS, STATE))
