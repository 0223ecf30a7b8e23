"""docs/engine-options.md is made from the declarations; ``pytest tests/golden --update-golden`` writes it."""

from __future__ import annotations

from collections.abc import Callable

from pymachine.options.engine import EngineSpec
from pymachine.options.fields import OptionField, option_fields
from pymachine.options.forms import Form

HEAD = """\
# Options of the engine

`create`, `adopt` and `provision` take them as options, inventories as keys of `engine`. `provision` keeps the
recorded value of an omitted option. [engine.md](engine.md) describes what they do on the host.

| option | key | meaning | key in daemon.json |
|---|---|---|---|
"""
# What a file may hold instead of the words of a command line.
FILES = {
    Form.PAIRS: "In an inventory a mapping, or a list of `key=value`.",
    Form.SECRETS: "In an inventory a mapping, or a list of `key=value`. "
    "Its values may be [secret](inventory.md#secrets).",
    Form.FLAGS: "In an inventory a list of `flag=value`, or a mapping.",
}


def row(option: OptionField) -> str:
    """The line of an option: each flag with its value, its key, what it is for, and where it is written."""
    value = f" {option.metavar}" if option.metavar else ""
    flags = ", ".join(f"`{flag}{value}`" for flag in (*option.flags, *filter(None, (option.no_flag,))))
    return (
        f"| {flags} | `{option.key}` | {meaning(option)} | {f'`{option.daemon_key}`' if option.daemon_key else ''} |"
    )


def meaning(option: OptionField) -> str:
    default = option.default_text or (f"`{option.default}`" if isinstance(option.default, str | int) else "")
    said = [option.help, f"Default: {default}." if default else ""]
    said += [
        f"Variable of `create` and `adopt`: {', '.join(f'`{name}`' for name in option.env)}." if option.env else ""
    ]
    said += ["May be repeated." if option.shape.many else "", FILES.get(option.form, "")]
    return " ".join(filter(None, said))


def test_the_page_of_the_engines_options(golden: Callable[..., None]) -> None:
    golden("../../docs/engine-options.md", HEAD + "".join(f"{row(option)}\n" for option in option_fields(EngineSpec)))
