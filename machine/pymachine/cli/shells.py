"""How each shell sets and unsets variables, quotes values and evaluates output. Fast to import."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

POSIX = "sh"
NAMES = {
    "sh": POSIX, "bash": POSIX, "zsh": POSIX, "dash": POSIX, "ash": POSIX, "ksh": POSIX, "mksh": POSIX,
    "fish": "fish", "powershell": "powershell", "pwsh": "powershell", "cmd": "cmd",
    "tcsh": "tcsh", "csh": "tcsh", "emacs": "emacs",
}  # fmt: skip
HINT = "Run this command to configure your shell:"


def detect(environ: "Mapping[str, str]") -> str:
    """Return the name of the user's shell: the calling process, up to two levels up, else $SHELL, else sh.

    $SHELL alone is the login shell, which is often not the one in use.
    """
    pid = os.getppid()
    for _ in range(2):
        name, pid = _process(pid)
        if name in NAMES:
            return name
    name = environ.get("SHELL", "").rpartition("/")[2]
    return name if name in NAMES else POSIX


def text(shell: str, values: "Sequence[tuple[str, str | None]]", words: "Sequence[str]") -> str:
    """Return the lines that set these variables (None unsets), and a comment with the command to evaluate.

    ``words`` are the command line that produced them. Raises ``ValueError`` for a value that the shell cannot
    represent.
    """
    kind = NAMES[shell]
    lines = [_UNSET[kind](name) if value is None else _SET[kind](name, value) for name, value in values]
    # A line break would end the comment, and what comes after it would be run.
    command = " ".join(_WORD[kind](word) for word in words)
    repeatable = command.isprintable() and not (kind == "tcsh" and set(command) & _NEVER_PLAIN)
    return "\n".join([*lines, *(_hint(kind, command) if repeatable else ()), ""])


def _process(pid: int) -> "tuple[str, int]":
    """Return name and parent of a process, parsed from ``pid (name) state parent …``."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            before, _, after = file.read().rpartition(")")
    except OSError:
        return "", 0
    return before.partition("(")[2].lstrip("-"), int(after.split()[1])


def _hint(kind: str, command: str) -> "list[str]":
    if kind == "tcsh":  # no comments where input is evaluated: a command that does nothing, its words quoted
        return [f": {_csh(HINT)};", f": {_csh(_EVAL[kind].format(command))};"]
    if kind == "emacs":
        command = _emacs_escaped(command)
    return [f"{_COMMENT[kind]} {HINT}", f"{_COMMENT[kind]} {_EVAL[kind].format(command)}"]


_NEVER_PLAIN = frozenset('$`"')  # csh expands these within "`…`", however they are quoted there
_COMMENT = {POSIX: "#", "fish": "#", "powershell": "#", "cmd": "REM", "emacs": ";;"}
_EVAL = {
    POSIX: 'eval "$({})"',
    "fish": "{} | source",
    "powershell": "& {} | Invoke-Expression",
    "cmd": "@FOR /f \"tokens=*\" %i IN ('{}') DO @%i",
    "tcsh": 'eval "`{}`"',
    "emacs": '(with-temp-buffer (shell-command "{}" (current-buffer)) (eval-buffer))',
}


def _escaped(value: str, special: str, escape: str) -> str:
    return "".join(escape + char if char in special else char for char in value)


def _posix(value: str) -> str:
    return '"' + _escaped(value, '\\"$`', "\\") + '"'


def _fish(value: str) -> str:
    return '"' + _escaped(value, '\\"$', "\\") + '"'


def _powershell(value: str) -> str:
    # PowerShell takes typographic double quotes for plain ones.
    return '"' + _escaped(value, '`"$\u201c\u201d\u201e', "`") + '"'


def _csh(value: str) -> str:
    # Only single quotes keep $ and ` from csh, and even within them ! asks for an earlier line.
    return "'" + _one_line(value, "tcsh").replace("'", "'\\''").replace("!", "\\!") + "'"


def _cmd(name: str, value: str) -> str:
    # `FOR … DO @%i` runs the line after percent signs and operators were looked for, so nothing needs escaping;
    # the quotes keep a line safe that is pasted.
    pair = f"{name}={_one_line(value, 'cmd')}"
    return f'SET "{pair}"' if any(char in value for char in ' &|<>^()"') else f"SET {pair}"


def _emacs_escaped(value: str) -> str:
    return _escaped(value, '\\"', "\\")


def _one_line(value: str, shell: str) -> str:
    if "\n" in value:
        raise ValueError(f"{shell} cannot hold a line break in a variable")
    return value


def _word(word: str) -> str:
    """Quote a word for a POSIX-like shell if necessary."""
    plain = word and word.isascii() and all(char.isalnum() or char in "-_./:=@%+," for char in word)
    return word if plain else "'" + word.replace("'", "'\\''") + "'"


def _fish_word(word: str) -> str:
    # Within single quotes fish takes a backslash before another one, or before a quote, for an escape.
    return word if _word(word) == word else "'" + _escaped(word, "\\'", "\\") + "'"


def _powershell_word(word: str) -> str:
    # It takes typographic single quotes for plain ones; each stands for itself when it is doubled.
    if _word(word) == word and not word.startswith(("@", "%")) and "," not in word:
        return word
    return "'" + "".join(char * 2 if char in "'\u2018\u2019\u201a\u201b" else char for char in word) + "'"


def _windows_word(word: str) -> str:
    return f'"{word}"' if " " in word or not word else word


_SET: "dict[str, Callable[[str, str], str]]" = {
    POSIX: lambda name, value: f"export {name}={_posix(value)}",
    "fish": lambda name, value: f"set -gx {name} {_fish(value)};",
    "powershell": lambda name, value: f"$Env:{name} = {_powershell(value)}",
    "cmd": _cmd,
    "tcsh": lambda name, value: f"setenv {name} {_csh(value)};",
    "emacs": lambda name, value: f'(setenv "{name}" "{_emacs_escaped(value)}")',
}
_UNSET: "dict[str, Callable[[str], str]]" = {
    POSIX: lambda name: f"unset {name}",
    "fish": lambda name: f"set -e {name};",
    "powershell": lambda name: f"Remove-Item Env:\\{name} -ErrorAction SilentlyContinue",
    "cmd": lambda name: f"SET {name}=",
    "tcsh": lambda name: f"unsetenv {name};",
    "emacs": lambda name: f'(setenv "{name}" nil)',
}
_WORD: "dict[str, Callable[[str], str]]" = {
    POSIX: _word, "fish": _fish_word, "powershell": _powershell_word,
    "cmd": _windows_word, "tcsh": _word, "emacs": _word,
}  # fmt: skip
