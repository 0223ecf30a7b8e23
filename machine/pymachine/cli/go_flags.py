"""Go's spelling of flags, written as click reads them: ``--flag=true``, and on request ``-flag``.

Booleans with a value are read under every name of the program. A single dash before a long name is docker-machine's:
for pymachine ``-driver`` is ``-d river``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import click

from pymachine.cli.app import App
from pymachine.errors import UsageFault
from pymachine.override import override

# As strconv.ParseBool of Go reads them.
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


class FlagCommand(click.Command):
    """A command whose booleans accept a value; with ``App.go_flags`` its long flags accept a single dash."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write the flags as click reads them, then parse."""
        return super().parse_args(ctx, spelled(ctx, self.get_params(ctx), args))


def spelled(ctx: click.Context, params: Sequence[click.Parameter], words: Sequence[str]) -> list[str]:
    """Return a command's words as click reads them; unchanged while a shell completes them.

    Raises ``UsageFault`` for a boolean that is neither.
    """
    if ctx.resilient_parsing:
        return list(words)
    app = ctx.find_object(App)
    flags = {flag: option for option in params if isinstance(option, click.Option) for flag in _flags(option)}
    speller = _Speller(flags, single_dash=app is not None and app.go_flags, mixed=ctx.allow_interspersed_args)
    return list(speller.words(words))


def _flags(option: click.Option) -> Sequence[str]:
    return (*option.opts, *option.secondary_opts)


@dataclass(frozen=True, slots=True)
class _Speller:
    """``flags`` are the options by flag; ``mixed`` says that flags may follow arguments."""

    flags: Mapping[str, click.Option]
    single_dash: bool
    mixed: bool

    def words(self, words: Sequence[str]) -> Iterator[str]:
        rest = iter(words)
        for word in rest:
            if word == "--" or (not self.mixed and not _is_flag(word)):
                yield word
                break
            if not _is_flag(word):
                yield word
                continue
            yield from self._flag(word, rest)
        yield from rest

    def _flag(self, word: str, rest: Iterator[str]) -> Iterator[str]:
        """Write one flag; the value that follows it is taken along, whatever it looks like."""
        flag, equals, value = self._long(word).partition("=")
        option = self.flags.get(flag)
        if option is None:
            yield self._long(word)
        elif option.is_flag:
            yield from _boolean(option, flag, value) if equals else [flag]
        elif not equals:
            yield flag
            yield from () if _may_stand_alone(option) else _next(rest)
        else:
            yield from (f"{flag}={value}",) if flag.startswith("--") or not self.single_dash else (flag, value)

    def _long(self, word: str) -> str:
        name = word.partition("=")[0]
        return f"-{word}" if self.single_dash and not word.startswith("--") and len(name) > 2 else word


def _is_flag(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _next(rest: Iterator[str]) -> Iterator[str]:
    for word in rest:
        yield word
        return


def _may_stand_alone(option: click.Option) -> bool:
    """Whether the option has a value of its own where none follows."""
    return option.count or option._flag_needs_value  # click tells it nowhere else


def _boolean(option: click.Option, flag: str, value: str) -> Sequence[str]:
    if value not in _BOOLEANS:
        raise UsageFault(f"{flag}: {value!r} is not true or false", hint=f"write {flag}=true or {flag}=false")
    if _BOOLEANS[value]:
        return (flag,)
    others = option.opts if flag in option.secondary_opts else option.secondary_opts
    return others[:1]
