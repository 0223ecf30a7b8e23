"""Aliases of aliases: refused by what they come to, before anything is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pymachine import expansion
from pymachine.cli import main
from pymachine.cloudinit.user_data import read_theirs
from pymachine.errors import UsageFault
from pymachine.override import override

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{former}'] * 10)}]\n"
    for former, name in zip("abcdefgh", "bcdefghi", strict=True)
)
LINE = 7  # g: ten times f, of which each has some hundred thousand
MAPPINGS = "a: &a {k: v}\n" + "".join(
    f"{name}: &{name} {{{', '.join(f'k{number}: *{former}' for number in range(10))}}}\n"
    for former, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MANY = "all: &all [" + ", ".join(f"v{number}" for number in range(200)) + "]\n" + "each:\n" + "- *all\n" * 9000


@pytest.mark.parametrize("text", [BOMB, MAPPINGS], ids=["lists", "mappings"])
def test_what_would_not_fit_is_refused_where_it_grows_too_large(text: str) -> None:
    with pytest.raises(expansion.Overgrown, match="more than 2,097,152 values") as caught:
        expansion.load(text)
    assert caught.value.problem_mark is not None
    assert caught.value.problem_mark.line + 1 == LINE


def test_long_text_counts_as_what_it_holds() -> None:
    text = f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 200)}]\n"
    with pytest.raises(expansion.Overgrown):
        expansion.load(text)


def test_each_node_is_counted_once() -> None:
    looked = 0

    class Counted(expansion._Size):
        @override
        def of(self, node: yaml.Node) -> int:
            nonlocal looked
            looked += 1
            return super().of(node)

    document = yaml.compose(BOMB)
    assert document is not None
    Counted().of(document)
    assert looked < 300


@pytest.mark.parametrize("text", [MANY, "", "a: 1", "- &x {a: b}\n- <<: *x\n"])
def test_what_fits_is_what_yaml_makes_of_it(text: str) -> None:
    assert expansion.load(text) == yaml.safe_load(text)


def test_a_long_text_without_aliases_is_as_long_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "LIMIT", 100)
    assert expansion.load("[" + "1, " * 500 + "]") == [1] * 500
    with pytest.raises(expansion.Overgrown):
        expansion.load("[&a " + "[1, 1, 1], " + "*a, " * 500 + "]")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &a [1, *a]", " itself"),
        ("[" * 5000, " nested"),
        ("#" * (expansion.TEXT_LIMIT + 1), " 8 MiB"),
    ],
    ids=["endless", "deep", "long"],
)
def test_what_has_no_end_is_refused(text: str, problem: str) -> None:
    with pytest.raises(expansion.Overgrown) as caught:
        expansion.load(text)
    assert problem in (caught.value.problem or "")


def test_an_inventory_is_refused_with_its_place(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(f"fleet: f\n{BOMB}machines: *i\n")
    assert main(["-s", str(tmp_path / "store"), "inventory", "check", "-f", str(file)]) == 2
    told = capfd.readouterr().err
    assert f"f.yaml:{LINE + 1}:4: " in told
    assert " 2,097,152 values" in told


def test_user_data_is_refused_with_its_place() -> None:
    with pytest.raises(UsageFault, match=rf"line {LINE + 1}, column 4: .* aliases"):
        read_theirs(f"#cloud-config\n{BOMB}", "user.yaml")
