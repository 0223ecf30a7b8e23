"""The options of a driver on the command line: a dataclass in, click options out, and back."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import click

from pymachine.errors import DriverError, UsageFault

PREFIX = "driver_option_"


@dataclass(frozen=True, slots=True)
class DriverOption:
    """One field of a driver's options: its flags, the variable that sets it, and the kind of its value."""

    field: Field[Any]
    kind: click.ParamType[Any]
    multiple: bool

    @property
    def name(self) -> str:
        """The field's name."""
        return self.field.name

    @property
    def flag(self) -> str:
        """The flag it is named by in messages."""
        return self.field.metadata.get("flag") or "--" + self.name.replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """All its flags, the driver's own first."""
        return (self.flag, *self.field.metadata.get("aliases", ()))

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return bool(self.field.metadata.get("required"))

    @property
    def refused(self) -> str | None:
        """Why the driver does not follow this flag of another tool, if so."""
        return self.field.metadata.get("refused")

    def parameter(self) -> click.Option:
        """Return the option for click. Nothing given stays None: the dataclass knows the default."""
        is_flag = isinstance(self.kind, click.types.BoolParamType)
        settings: dict[str, Any] = (
            {"is_flag": True} if is_flag else {"type": self.kind, "metavar": self.field.metadata.get("metavar")}
        )
        return click.Option(
            [PREFIX + self.name, *(self._switch(flag) if is_flag else flag for flag in self.flags)],
            multiple=self.multiple, default=None, help=self._help(), hidden=self.refused is not None, **settings,
        )  # fmt: skip

    def value(self, given: object, extra: Sequence[str], environ: Mapping[str, str]) -> object:
        """Return the value: given as an option, through --driver-opt, or by its variable; None for nothing."""
        texts = list(extra) or _from_variable(self, environ)
        if self.refused is not None and (texts or given is not None):
            raise UsageFault(f"{self.flag} is not taken", hint=self.refused)
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
            env = self.field.metadata.get("env")
            hint = f"look at {self.flag}, --driver-opt" + (f" and {env}, which sets it" if env else "")
            raise UsageFault(f"{self.flag}: {error.message.rstrip('.')}", hint=hint) from None

    def _switch(self, flag: str) -> str:
        return f"{flag}/--no-{flag.removeprefix('--')}"

    def _help(self) -> str:
        text = str(self.field.metadata.get("help", ""))
        env = self.field.metadata.get("env")
        default = self.field.default
        # False is seen by the flag itself; the empty ones mean that something else decides, which the text says.
        shown = ", ".join(default) if isinstance(default, tuple) else default
        notes = [f"default: {shown}"] if default not in (None, "", (), False, MISSING) else []
        notes += [f"env: {env}"] if env else []
        notes += ["required"] if self.required else []
        return f"{text}  [{'; '.join(notes)}]" if notes else text


def driver_options(kind: type) -> list[DriverOption]:
    """Return the options of a driver's dataclass, in its order."""
    hints = get_type_hints(kind)
    return [_option(field, hints[field.name]) for field in fields(kind) if field.init]


def check_flags(driver: str, options: Sequence[DriverOption], taken: Sequence[str]) -> None:
    """Raise ``DriverError`` if a driver's flag is one of pymachine's own."""
    for option in options:
        for flag in option.flags:
            if flag in taken:
                raise DriverError(
                    f"driver {driver!r} has an option {flag}, which is pymachine's own", hint="tell its author"
                )


def options_instance(
    driver: str, kind: type, given: Mapping[str, Any], extra: Sequence[str], environ: Mapping[str, str]
) -> Any:
    """Return the driver's options from click's values and from ``--driver-opt key=value``. Raises ``UsageFault``."""
    known = driver_options(kind)
    more = _extra(driver, known, extra)
    values = {o.name: o.value(given.get(PREFIX + o.name), more.get(o.name, ()), environ) for o in known}
    missing = [option for option in known if option.required and values[option.name] is None]
    if missing:
        raise _missing(driver, missing)
    try:
        return kind(**{name: value for name, value in values.items() if value is not None})
    except TypeError as error:
        raise DriverError(f"the options of driver {driver!r} are invalid: {error}") from error


def _option(field: Field[Any], hint: Any) -> DriverOption:
    if get_origin(hint) in (Union, UnionType):
        hint = next(part for part in get_args(hint) if part is not NoneType)
    if get_origin(hint) is tuple:
        return DriverOption(field, _kind(get_args(hint)[0]), multiple=True)
    return DriverOption(field, _kind(hint), multiple=False)


def _kind(hint: Any) -> click.ParamType[Any]:
    if get_origin(hint) is Literal:
        return click.Choice([str(value) for value in get_args(hint)])
    return {bool: click.BOOL, int: click.INT, float: click.FLOAT}.get(hint, click.STRING)


def _from_variable(option: DriverOption, environ: Mapping[str, str]) -> list[str]:
    text = environ.get(option.field.metadata.get("env") or "", "")
    if not text:
        return []
    return [part for part in text.split(",") if part] if option.multiple else [text]


def _extra(driver: str, known: Sequence[DriverOption], pairs: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    names = [option.name for option in known]
    for pair in pairs:
        key, equals, value = pair.partition("=")
        name = key.removeprefix("--").replace("-", "_")
        if not equals:
            raise UsageFault(
                f"--driver-opt {pair!r} is not of the form key=value", hint="write --driver-opt KEY=VALUE"
            )
        if name not in names:
            followed = [option.name for option in known if option.refused is None]
            near = difflib.get_close_matches(name, followed, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(followed)}"
            raise UsageFault(f"driver {driver!r} has no option {key}", hint=hint)
        found.setdefault(name, []).append(value)
    return found


def _missing(driver: str, options: Sequence[DriverOption]) -> UsageFault:
    flags = [f"{option.flag} {option.field.metadata.get('metavar') or 'VALUE'}" for option in options]
    envs = [env for option in options if (env := option.field.metadata.get("env"))]
    hint = f"give {' '.join(flags)}" + (f", or set {', '.join(envs)}" if envs else "")
    return UsageFault(f"driver {driver!r} needs {' and '.join(option.flag for option in options)}", hint=hint)
