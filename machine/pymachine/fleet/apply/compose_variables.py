"""Finds the variables of a stack that have no value, by Compose's warnings but without parsing their text.

Compose replaces such a variable by an empty text and warns. Here variables are given values: if Compose prints less
for a variable with a value, that variable is missing. The names come from `config --variables` (Compose 2.27 and
newer).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymachine.errors import PymachineError
from pymachine.fleet.apply.private_files import private_folder, quoted, write
from pymachine.fleet.apply.subprocesses import CompletedProgram
from pymachine.strict_json import parse_json

EMPTY = json.dumps({"services": {"none": {"image": "none"}}}).encode()  # a document that has no variables
MOST = 5  # names in one answer
_ENV_FILE, _FILE = "--env-file", "-f"

Ask = Callable[[Sequence[str], bytes | None], CompletedProgram]  # words of Compose, and its input


@dataclass(frozen=True, slots=True)
class Missing:
    """``names`` of variables without a value, and whether there may be ``more``.

    If only Compose's own text names them, that text is ``said``.
    """

    names: tuple[str, ...] = ()
    said: str = ""
    more: bool = False


class CouldNotAsk(PymachineError):
    """Compose warns, and this version cannot tell about which variable."""


def missing(words: Sequence[str], lines: Sequence[str], default: Sequence[str], ask: Ask) -> Missing | None:
    """Return the variables without a value in the stack of ``words``; None if all have one.

    ``lines`` are the warnings of `config`, ``default`` the env files if ``words`` name none. Raises ``CouldNotAsk``,
    and what ``ask`` raises.
    """
    if not lines:
        return None
    files = [words[place + 1] for place, word in enumerate(words) if word == _ENV_FILE] or list(default)
    said = [*_said(ask([*_named(words), *_env_files([os.devnull]), _FILE, "-", "config", "-q"], EMPTY))]
    if len(lines) <= len(said):  # of the client itself, whatever the stack is
        return None
    of_files = _said(ask([*_named(words), *_env_files(files or [os.devnull]), _FILE, "-", "config", "-q"], EMPTY))
    if len(of_files) > len(said):
        return Missing(said=f"its env files: {of_files[-1]}")
    if len(lines) <= _told_of_structure(words, ask):
        return None
    question = _Question(words, files, ask)
    without = question.lines()
    if len(without) < len(lines):
        return Missing(said=f"the `env_file` of a service: {_new(lines, without)}")
    return _of_document(question)


def _told_of_structure(words: Sequence[str], ask: Ask) -> int:
    """Return how many lines Compose says of a stack whose variables it leaves alone (`version` is obsolete, say).

    Compose of any version can be asked; 0 where a number has to stand in place of a variable, which it then refuses.
    """
    ended = ask([*words, "config", "-q", "--no-interpolate", "--no-consistency"], None)
    return 0 if ended.code else len(ended.lines)


@dataclass(frozen=True, slots=True)
class _Question:
    """Runs `config` of a stack with values for variables; ``files`` come before them."""

    words: Sequence[str]
    files: Sequence[str]
    ask: Ask

    def lines(self, values: Mapping[str, str] | None = None) -> Sequence[str]:
        """Return Compose's warnings."""
        options = ["config", "-q", "--no-consistency", "--no-env-resolution"]
        if values is None:
            return _said(self.ask([*self.words, *options], None))
        with _file_of(values) as path:
            given = [*_named(self.words), *_env_files([path, *self.files]), *_documents(self.words)]
            return _said(self.ask([*given, *options], None))

    def variables(self) -> dict[str, str]:
        """Return the variables that may have no value, with their defaults."""
        return {
            name: default for name, (default, required) in variables(self.words, self.ask).items() if not required
        }


def variables(words: Sequence[str], ask: Ask) -> dict[str, tuple[str, bool]]:
    """Return the variables in a stack's files, each with its default and whether a value is required.

    Raises ``CouldNotAsk``, and what ``ask`` raises.
    """
    ended = ask([*words, "config", "--variables", "--format", "json"], None)
    _said(ended)
    try:
        return dict(_defaults(parse_json(ended.output)))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CouldNotAsk("the output of `docker compose config --variables` is not a list of variables") from None


def _defaults(document: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Return the defaults; Compose itself reports a missing required variable."""
    for name, variable in document.items():
        yield name, (str(variable["DefaultValue"]), bool(variable["Required"]))


def _of_document(question: _Question) -> Missing | None:
    """Sort variables that have a default somewhere last, because a default may use one without a value."""
    variables = question.variables()
    bare = _found(question, {name: "" for name, default in variables.items() if not default}, {})
    known = dict.fromkeys(bare, "")
    names = [*bare, *_found(question, {name: text for name, text in variables.items() if text}, known)]
    return Missing(tuple(sorted(names)), more=len(names) >= MOST) if names else None


def _found(question: _Question, values: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    """Bisect the variables whose values make Compose print less than with the ``known`` ones, down to single names.

    Ends after ``MOST`` of them, since each costs several runs.
    """
    count, found = len(question.lines(known)), list[str]()

    def ask(names: Sequence[str]) -> None:
        if not names or len(found) + len(known) >= MOST:
            return
        if len(question.lines({**known, **{name: values[name] for name in names}})) >= count:
            return
        if len(names) == 1:
            found.extend(names)
            return
        ask(names[: len(names) // 2])
        ask(names[len(names) // 2 :])

    ask(sorted(values))
    return found


def _said(ended: CompletedProgram) -> Sequence[str]:
    """Return the warnings of a successful run. Raises ``CouldNotAsk``."""
    if ended.code:
        last = next((line for line in reversed(ended.lines) if line), f"it ended with code {ended.code}")
        raise CouldNotAsk(
            f"Compose warns, and could not be asked whether a variable has no value: {last}",
            hint="install the newest Compose on this computer, or fix what `docker compose config` warns about",
        )
    return ended.lines


def _new(lines: Sequence[str], others: Sequence[str]) -> str:
    """Return the last line whose end appears in none of the others."""
    ends = {line[-60:] for line in others}
    return next((line for line in reversed(lines) if line[-60:] not in ends), lines[-1])


def _named(words: Sequence[str]) -> list[str]:
    place = words.index("-p")
    return list(words[place : place + 2])


def _env_files(files: Sequence[str]) -> list[str]:
    return [word for file in files for word in (_ENV_FILE, file)]


def _documents(words: Sequence[str]) -> list[str]:
    return [part for place, word in enumerate(words) if word == _FILE for part in (word, words[place + 1])]


@contextmanager
def _file_of(values: Mapping[str, str]) -> Iterator[str]:
    with private_folder() as folder:
        path = Path(folder) / "given.env"
        write(path, "".join(f"{name}={quoted(text)}\n" for name, text in values.items()).encode())
        yield str(path)
