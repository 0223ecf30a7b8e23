"""The options of a driver on the command line: from a dataclass to click options, and back."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import Any

import click

from pymachine.errors import DriverError, UsageFault
from pymachine.options.fields import OptionField, option_fields
from pymachine.type_hints import OptionShape

PREFIX = "driver_option_"


@dataclass(frozen=True, slots=True)
class DriverOption:
    """One of a driver's options on the command line."""

    field: OptionField
    kind: click.ParamType[Any]

    @property
    def multiple(self) -> bool:
        """Whether it may be given several times."""
        return self.field.shape.many

    def parameter(self) -> click.Option:
        """Return the click option. A missing value stays None, because the dataclass has the default."""
        is_flag = isinstance(self.kind, click.types.BoolParamType)
        settings: dict[str, Any] = (
            {"is_flag": True} if is_flag else {"type": self.kind, "metavar": self.field.metavar}
        )
        return click.Option(
            [PREFIX + self.field.name, *(self._switch(flag) if is_flag else flag for flag in self.field.flags)],
            multiple=self.multiple, default=None, help=self._help(), hidden=bool(self.field.refused), **settings,
        )  # fmt: skip

    def value(self, given: object, extra: Sequence[str], environ: Mapping[str, str]) -> object:
        """Return the value from the option, from --driver-opt, or from its variable; None if it is not given."""
        texts = list(extra) or _from_variable(self, environ)
        if self.field.refused is not None and (texts or given is not None):
            raise UsageFault(f"{self.field.flag} is not taken", hint=self.field.refused)
        if given not in (None, ()):
            return given
        if not texts:
            return None
        values = tuple(self._converted(text) for text in texts)
        return values if self.multiple else values[-1]

    def _converted(self, text: str) -> object:
        try:
            return self.kind.convert(text, None, None)
        except click.BadParameter as error:
            flag, env = self.field.flag, ", ".join(self.field.env)
            hint = f"look at {flag}, --driver-opt" + (f" and {env}, which sets it" if env else "")
            raise UsageFault(f"{flag}: {error.message.rstrip('.')}", hint=hint) from None

    def _switch(self, flag: str) -> str:
        return f"{flag}/--no-{flag.removeprefix('--')}"

    def _help(self) -> str:
        text, env, default = self.field.help, ", ".join(self.field.env), self.field.default
        # False is seen by the flag itself; the empty ones mean that something else decides, which the text says.
        shown = ", ".join(default) if isinstance(default, tuple) else default
        notes = [f"default: {shown}"] if default not in (None, "", (), False, MISSING) else []
        notes += [f"env: {env}"] if env else []
        notes += ["required"] if self.field.required else []
        return f"{text}  [{'; '.join(notes)}]" if notes else text


def driver_options(kind: type) -> list[DriverOption]:
    """Return the options of a driver's dataclass, in its order."""
    return [DriverOption(field, click_type(field.shape)) for field in option_fields(kind)]


def click_type(shape: OptionShape) -> click.ParamType[Any]:
    """Return the type that click reads a value as, or each of several."""
    if shape.choices:
        return click.Choice(shape.choices)
    kinds: dict[Any, click.ParamType[Any]] = {bool: click.BOOL, int: click.INT, float: click.FLOAT}
    return kinds.get(shape.of, click.STRING)


def check_flags(driver: str, options: Sequence[DriverOption], taken: Sequence[str]) -> None:
    """Raise ``DriverError`` if a flag of a driver is reserved for pymachine."""
    for option in options:
        for flag in option.field.flags:
            if flag in taken:
                raise DriverError(
                    f"driver {driver!r} has an option {flag}, which is reserved for pymachine",
                    hint="report it to the author of the driver",
                )


def options_instance(
    driver: str, kind: type, given: Mapping[str, Any], extra: Sequence[str], environ: Mapping[str, str]
) -> Any:
    """Return the driver's options from click's values and from ``--driver-opt key=value``. Raises ``UsageFault``."""
    known = driver_options(kind)
    more = _extra(driver, known, extra)
    named = {option.field.name: option for option in known}
    values = {name: o.value(given.get(PREFIX + name), more.get(name, ()), environ) for name, o in named.items()}
    missing = [option.field for name, option in named.items() if option.field.required and values[name] is None]
    if missing:
        raise _missing(driver, missing)
    try:
        return kind(**{name: value for name, value in values.items() if value is not None})
    except TypeError as error:
        raise DriverError(f"the options of driver {driver!r} are invalid: {error}") from error


def _from_variable(option: DriverOption, environ: Mapping[str, str]) -> list[str]:
    text = next(filter(None, (environ.get(name) for name in option.field.env)), "")
    if not text:
        return []
    return [part for part in text.split(",") if part] if option.multiple else [text]


def _extra(driver: str, known: Sequence[DriverOption], pairs: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    names = [option.field.name for option in known]
    for pair in pairs:
        key, equals, value = pair.partition("=")
        name = key.removeprefix("--").replace("-", "_")
        if not equals:
            raise UsageFault(
                f"--driver-opt {pair!r} is not of the form key=value", hint="write --driver-opt KEY=VALUE"
            )
        if name not in names:
            followed = [option.field.name for option in known if option.field.refused is None]
            near = difflib.get_close_matches(name, followed, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(followed)}"
            raise UsageFault(f"driver {driver!r} has no option {key}", hint=hint)
        found.setdefault(name, []).append(value)
    return found


def _missing(driver: str, options: Sequence[OptionField]) -> UsageFault:
    flags = [f"{option.flag} {option.metavar or 'VALUE'}" for option in options]
    envs = [env for option in options for env in option.env]
    hint = f"give {' '.join(flags)}" + (f", or set {', '.join(envs)}" if envs else "")
    return UsageFault(f"driver {driver!r} needs {' and '.join(option.flag for option in options)}", hint=hint)
