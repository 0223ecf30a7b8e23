"""An option is one field of a dataclass: its type, its default and its metadata say all there is to say of it.

Command line, inventory, JSON Schema, completion and the tables of the docs are made from what is read here.
Drivers declare theirs by ``driver.option``, the engine's are in ``options.engine``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from functools import cache
from typing import Any

from pymachine.options.forms import Form
from pymachine.type_hints import OptionShape, hints_of, option_shape

Check = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option. ``flags`` has its own flag first; ``no_flag`` is what says no to one that is true or false.

    ``key`` is what inventories call it; ``env`` are variables that set it, the first that is there; ``refused``
    says why a flag of another tool is not followed. A ``secret`` one is in no record. ``check`` returns a value
    of a text or raises ``ValueFault``; of a number ``least`` and ``most`` are the bounds. ``daemon_key`` is the
    key of daemon.json that it becomes. ``default_text`` stands for the default where that is not a value.
    """

    name: str
    shape: OptionShape
    default: Any
    help: str
    flags: tuple[str, ...]
    key: str
    no_flag: str = ""
    metavar: str | None = None
    env: tuple[str, ...] = ()
    required: bool = False
    refused: str | None = None
    secret: bool = False
    form: Form = Form.PLAIN
    check: Check | None = None
    least: int | None = None
    most: int | None = None
    examples: tuple[str, ...] = ()
    daemon_key: str | None = None
    default_text: str = ""

    @property
    def flag(self) -> str:
        """The flag it is named by in messages."""
        return self.flags[0]


@cache
def option_fields(kind: type) -> tuple[OptionField, ...]:
    """Return the options of a dataclass in its order: the fields that have metadata, of a driver's all of them."""
    hints = hints_of(kind)
    declared = [field for field in fields(kind) if field.init]
    described = [field for field in declared if "help" in field.metadata] or declared
    return tuple(_option(field, option_shape(hints[field.name])) for field in described)


def _option(field: Field[Any], shape: OptionShape) -> OptionField:
    given = dict(field.metadata)
    flag = given.pop("flag", None) or "--" + field.name.replace("_", "-")
    env = given.pop("env", None) or ()
    return OptionField(
        field.name,
        shape,
        field.default,
        help=str(given.pop("help", "")),
        flags=(flag, *given.pop("aliases", ())),
        key=given.pop("key", None) or field.name,
        env=(env,) if isinstance(env, str) else tuple(env),
        **{name: value for name, value in given.items() if name in _KNOWN},
    )


_KNOWN = frozenset(field.name for field in fields(OptionField))
