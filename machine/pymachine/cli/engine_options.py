"""The engine's options on the command line, made from their declarations and checked before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from pymachine.errors import CheckFailed, UsageFault, ValueFault
from pymachine.options.engine import EngineSpec
from pymachine.options.fields import OptionField, option_fields
from pymachine.options.forms import Form
from pymachine.options.values import SOURCES, check_pair, check_range, hidden_user, is_known_source, split_hosts
from pymachine.user_path import read_whole, user_path

SCRIPT_LIMIT = 1 << 20  # bytes

CLASSIC_SWARM = (
    "--swarm", "--swarm-master", "--swarm-experimental", "--swarm-image", "--swarm-discovery", "--swarm-addr",
    "--swarm-strategy", "--swarm-host", "--swarm-opt", "--swarm-join-opt",
)  # fmt: skip

_OPTIONS: Mapping[str, OptionField] = {option.name: option for option in option_fields(EngineSpec)}


def engine_options(*, new: bool, names: Sequence[str] = tuple(_OPTIONS)) -> Sequence[Callable[[Any], Any]]:
    """Return the engine's options; those of a ``new`` machine have defaults and variables, and tell them."""
    return [_parameter(_OPTIONS[name], new=new) for name in names]


def _parameter(option: OptionField, *, new: bool) -> Callable[[Any], Any]:
    text = option.help + (_notes(option) if new else "")
    if option.shape.of is bool:
        no = option.no_flag or f"--no-{option.flag.removeprefix('--')}"
        return click.option(f"{option.flag}/{no}", option.name, default=None, help=text)
    return click.option(
        *option.flags, option.name, multiple=option.shape.many, type=click.INT if option.shape.of is int else None,
        metavar=option.metavar, help=text,
    )  # fmt: skip


def _notes(option: OptionField) -> str:
    default = option.default_text or option.default
    notes = [f"default: {default}"] if isinstance(default, str | int) else []
    notes += [f"env: {', '.join(option.env)}"] if option.env else []
    return f"  [{'; '.join(notes)}]" if notes else ""


VERSION = engine_options(new=False, names=["version"])[0]


def refuse_swarm_flags(flags: Sequence[str]) -> list[click.Option]:
    """Return hidden options for the flags of classic Swarm; each one explains its replacement."""
    return [
        click.Option([flag], hidden=True, expose_value=False, is_flag=True, callback=_refuse_swarm) for flag in flags
    ]


def _refuse_swarm(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        raise UsageFault(
            f"{param.opts[0]} is an option of classic Swarm, which Docker removed from its engine in 23.0",
            hint="create the machines without it, then use Swarm mode: `pymachine swarm create NAME`",
        )


def spec_changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ``EngineSpec`` that the options set, checked. Raises ``UsageFault``, ``ValueFault``."""
    from pymachine.engine.options import wanted_config

    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name in _OPTIONS and value not in (None, ()):
            with _field(name):
                changes |= _fields_of(_OPTIONS[name], value)
    wanted_config(EngineSpec(**changes), "")  # whether they make sense, for whatever driver
    return changes


def new_spec(given: Mapping[str, Any], environ: Mapping[str, str]) -> EngineSpec:
    """Return the whole specification of a new machine: options, then variables. Raises ``UsageFault``."""
    from_variables = {
        name: _of_variable(option, text)
        for name, option in _OPTIONS.items()
        if given.get(name) in (None, ()) and (text := next(filter(None, map(environ.get, option.env)), None))
    }
    return EngineSpec(**spec_changes({**given, **from_variables}))


def _of_variable(option: OptionField, text: str) -> Any:
    if option.shape.many:
        return tuple(filter(None, text.split(",")))
    if option.shape.of is not int:
        return text
    try:
        return int(text)
    except ValueError:
        variable = ", ".join(option.env)
        raise UsageFault(f"{variable}: {text!r} is not a number", hint=f"give one, or {option.flag}") from None


def defaults_of(ctx: click.Context, flags: Sequence[str]) -> dict[str, Any]:
    """Return the default values of the fields of ``EngineSpec`` that these flags set.

    ``flags`` may have leading dashes. Raises ``UsageFault`` for a flag that is not an engine option.
    """
    known = {
        flag[2:]: str(param.name) for param in ctx.command.params if param.name in _OPTIONS for flag in param.opts
    }
    for flag in flags:
        if flag.removeprefix("--") not in known:
            raise UsageFault(f"--reset: {flag!r} is not an engine option", hint=f"it has: {', '.join(known)}")
    new = EngineSpec()
    options = [_OPTIONS[known[flag.removeprefix("--")]] for flag in flags]
    return {name: getattr(new, name) for option in options for name in _names_of(option)}


def labels_of(pairs: Sequence[str]) -> dict[str, str]:
    """Return machine labels by key. Raises ``UsageFault``."""
    try:
        return dict(map(check_pair, pairs))
    except ValueFault as fault:
        raise UsageFault(fault.worded("--label"), hint=fault.hint) from None


def as_flag(fault: ValueFault) -> str:
    """Return the message of a fault with the flag of the option that it is of."""
    option = _OPTIONS.get(fault.field)
    return fault.worded(option.flag) if option else fault.message


@contextmanager
def _field(name: str) -> Iterator[None]:
    """Say of faults within that they are of this field."""
    try:
        yield
    except ValueFault as fault:
        raise fault.of(name, fault.index) from None


def _names_of(option: OptionField) -> tuple[str, ...]:
    """Return the fields that an option sets: the text of a script goes with its name."""
    return (option.name, f"{option.name}_script") if option.form is Form.SOURCE else (option.name,)


def _fields_of(option: OptionField, value: Any) -> dict[str, Any]:
    if option.form is Form.SOURCE:
        return dict(zip(_names_of(option), _source(option, value), strict=True))
    return {option.name: _value(option, value)}


def _value(option: OptionField, value: Any) -> Any:
    if option.form is Form.HOSTS:
        return split_hosts(value)
    if option.shape.of is Mapping:
        return _json_file(option, value)
    return tuple(_checked(option, item) for item in value) if option.shape.many else _checked(option, value)


def _checked(option: OptionField, value: Any) -> Any:
    if option.shape.of is int:
        check_range(value, option.least, option.most)
    elif option.check is not None:
        option.check(value)
    return value


def _source(option: OptionField, text: str) -> tuple[str, str | None]:
    """Return a source of the engine, and the text of the script where it is a file."""
    if is_known_source(text):
        return _checked(option, text), None
    path = user_path(text)
    try:
        with path.open(encoding="utf-8") as file:
            script = file.read(SCRIPT_LIMIT)
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or "it is not text").lower()
        raise UsageFault(
            f"{option.flag} {hidden_user(text)}: {reason}",
            hint=f"give {', '.join(SOURCES)}, an https:// URL, or the file of a script",
        ) from None
    return f"script:{path.name}", script


def _json_file(option: OptionField, text: str) -> dict[str, Any]:
    from pymachine.engine.daemon_config import parse_config

    try:
        return parse_config(read_whole(user_path(text)), text)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageFault(f"{option.flag} {text}: {reason}", hint="give the path of a daemon.json") from None
    except CheckFailed as error:
        raise UsageFault(f"{option.flag} {error.message}", hint="correct the file; nothing was made") from None
