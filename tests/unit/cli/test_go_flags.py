"""Flags in Go's spelling become those that click reads."""

from __future__ import annotations

import click
import pytest

from pymachine.cli.compat.app import CompatApp
from pymachine.cli.dependencies import Wiring
from pymachine.cli.go_flags import FlagCommand, spelled
from pymachine.errors import UsageFault

PARAMS = [
    click.Option(["-d", "--driver"]),
    click.Option(["--tag"], multiple=True),
    click.Option(["-f", "--force"], is_flag=True),
    click.Option(["--spot/--no-spot"], default=None),
    click.Option(["--store"], is_flag=False, flag_value="here"),
    click.Argument(["names"], nargs=-1),
]


def read(*words: str, compat: bool = True, mixed: bool = True) -> list[str]:
    command = FlagCommand("create", params=list(PARAMS))
    obj = CompatApp(Wiring(), "docker-machine") if compat else None
    with click.Context(command, obj=obj, allow_interspersed_args=mixed) as ctx:
        return spelled(ctx, PARAMS, words)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("--force=true", ["--force"]),
        ("--force=T", ["--force"]),
        ("--force=0", []),
        ("-f=1", ["-f"]),
        ("--spot=true", ["--spot"]),
        ("--spot=False", ["--no-spot"]),
        ("--no-spot=false", ["--spot"]),
        ("--driver=true", ["--driver=true"]),
        ("--unknown=true", ["--unknown=true"]),
        ("--", ["--"]),
        ("-", ["-"]),
    ],
)
@pytest.mark.parametrize("compat", [True, False])
def test_booleans_take_a_value_under_every_name(word: str, expected: list[str], compat: bool) -> None:
    assert read(word, compat=compat) == expected


@pytest.mark.parametrize("word", ["--force=maybe", "--spot=", "-f=yes"])
def test_a_boolean_that_is_neither_is_refused(word: str) -> None:
    with pytest.raises(UsageFault):
        read(word)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-driver kvm n", "--driver kvm n"),
        ("-driver=kvm n", "--driver=kvm n"),
        ("-d kvm n", "-d kvm n"),
        ("-d=kvm n", "-d kvm n"),
        ("-force=false -tag=a=b n", "--tag=a=b n"),
        ("-foo n", "--foo n"),
        ("-tag -force n", "--tag -force n"),
        ("n -force", "n --force"),
        ("-- -force", "-- -force"),
        ("--store -force", "--store --force"),
    ],
)
def test_a_single_dash_is_enough_for_docker_machine(words: str, expected: str) -> None:
    assert read(*words.split()) == expected.split()


def test_a_single_dash_is_short_options_for_pymachine() -> None:
    assert read("-driver", "-fd=x", compat=False) == ["-driver", "-fd=x"]


def test_words_of_a_program_that_is_called_are_its_own() -> None:
    assert read("-force", "node1", "-force=true", "--force=0", mixed=False) == [
        "--force", "node1", "-force=true", "--force=0",
    ]  # fmt: skip


def test_the_value_of_an_option_is_no_flag() -> None:
    assert read("--tag", "--force=false", compat=False) == ["--tag", "--force=false"]
