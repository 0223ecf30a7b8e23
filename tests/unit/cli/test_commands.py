"""A command is in the file of its name: ``pymachine x`` in commands/x.py, ``pymachine x y`` in commands/x/y.py.

Those of a driver are in its own folder commands.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import pymachine.cli.commands
import pymachine_kvm.commands
from pymachine.cli.command_group import CommandGroup
from pymachine.cli.root import pymachine as root

FOLDER = Path(pymachine.cli.commands.__path__[0])
FOLDER_OF_KVM = Path(pymachine_kvm.commands.__path__[0])
CONTEXT = click.Context(root, **root.context_settings)


def commands(group: CommandGroup = root, *above: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each command there is with its words, groups before their own."""
    for name in group.list_commands(CONTEXT):
        command = group.get_command(CONTEXT, name)
        assert command is not None
        yield (*above, name), command
        if isinstance(command, CommandGroup):
            yield from commands(command, *above, name)


COMMANDS = dict(commands())


def place(words: tuple[str, ...]) -> str:
    """The file of a command. ``import`` cannot be a module's name, nor can one have a hyphen."""
    path = "/".join("import_" if word == "import" else word.replace("-", "_") for word in words)
    return f"{path}/__init__.py" if isinstance(COMMANDS[words], click.Group) else f"{path}.py"


def misplaced(folder: Path, *, ours: bool = True) -> list[str]:
    """The files that are there for no command, the commands that have no file, and files that hold another one."""
    places = {place(words): words[-1] for words in COMMANDS if (words[0] in root.summaries) == ours}
    no_commands = (folder / "__init__.py", folder / "image_output.py")
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*.py") if path not in no_commands}
    wrong = sorted(files.keys() ^ places.keys())
    for file in sorted(files.keys() & places.keys()):
        made = list(made_in(files[file]))
        if [name.rstrip("_").replace("_", "-") for name in made] != [places[file]]:
            wrong.append(f"{file}: {', '.join(made)}")
    return wrong


def made_in(path: Path) -> Iterator[str]:
    """The functions that are made commands."""
    makers = {"command", "group"}
    for node in ast.parse(path.read_text()).body:
        marks = node.decorator_list if isinstance(node, ast.FunctionDef) else []
        if any(isinstance(part, ast.Name) and part.id in makers for mark in marks for part in ast.walk(mark)):
            assert isinstance(node, ast.FunctionDef)
            yield node.name


def test_a_command_is_in_the_file_of_its_name() -> None:
    assert misplaced(FOLDER) == []
    assert misplaced(FOLDER_OF_KVM, ours=False) == []


@pytest.mark.parametrize(
    ("file", "text", "wrong"),
    [
        ("shutdown.py", "", "shutdown.py"),
        ("swarm/heal.py", "", "swarm/heal.py"),
        ("stop.py", "@command()\n@NAME\ndef halt() -> None: ...\n", "stop.py: stop, halt"),
    ],
)
def test_a_command_in_another_file_is_found(file: str, text: str, wrong: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "commands")
    with (tmp_path / "commands" / file).open("a") as there:
        there.write(text)
    assert misplaced(tmp_path / "commands") == [wrong]


@pytest.mark.parametrize("words", [words for words in COMMANDS if len(words) > 1], ids=" ".join)
def test_the_list_of_a_group_has_the_first_sentence_of_each(words: tuple[str, ...]) -> None:
    group = COMMANDS[words[:-1]]
    assert isinstance(group, CommandGroup)
    assert group.summaries[words[-1]] == COMMANDS[words].get_short_help_str(1000)
    assert COMMANDS[words].name == words[-1]
