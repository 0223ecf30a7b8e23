"""docs/inventory.md: its example loads, and it names every key; those of the engine are on a page of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymachine.fleet.inventory import Surroundings, YamlFile, load
from pymachine.fleet.inventory.keys import COMMON, ENGINE, EVENTS, NODE, STACK, SWARM
from pymachine_aws.options import AwsOptions
from pymachine_kvm.options import KvmOptions
from pymachine_ssh import SshOptions
from unit.inventories import Files

DOCS = Path(__file__).parents[4] / "docs/inventory.md"
KINDS: dict[str, type] = {"ssh": SshOptions, "kvm": KvmOptions, "aws": AwsOptions}


def test_the_example_loads() -> None:
    example = DOCS.read_text().partition("```yaml\n")[2].partition("```")[0]
    names = ("/inv/shop/compose.yaml", "/inv/metrics/compose.yaml", "/inv/secrets/db", "/inv/notify.sh")
    files = Files(dict.fromkeys(names, ""), {"/inv/notify.sh"})
    inventory = load([YamlFile("docs.yaml", example)], Surroundings({}, tuple(KINDS), KINDS.__getitem__, files))
    assert inventory.warnings == ()
    assert len(inventory.fleet.machines) == 24
    assert inventory.fleet.machines[9].options["aws_zone"] == ("b",)


@pytest.mark.parametrize(
    "key", sorted({key.name for section in (ENGINE, NODE, SWARM, STACK) for key in section.keys} | set(EVENTS))
)
def test_every_key_is_described(key: str) -> None:
    assert f"`{key}`" in DOCS.read_text() + DOCS.with_name("engine-options.md").read_text()


def test_every_key_of_a_machine_is_described() -> None:
    assert all(f"| `{key.name}` |" in DOCS.read_text() for key in COMMON)
