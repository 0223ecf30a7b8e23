"""Whatever a file holds, the reader gives a fleet or faults with places, and never anything else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from properties import examples
from pymachine.fleet.inventory import Inventory, InventoryFaults, YamlFile, load
from unit.inventories import Files, surroundings

GOOD = """\
x-a: &a {labels: {a: b}}
fleet: shop
defaults: {driver: fake, engine: {install: distro, env: {A: "${A:-x}", B: {from_file: c.yaml}}, daemon: {mtu: 1400}}}
machines:
  - name: mgr-{1..3}
    swarm: {role: manager, labels: {tier: db}, availability: drain, advertise: 10.0.0.1}
    fake: {size: 2, zone: west, tags: [a, b], spot: true}
    overrides: {"mgr-{2,3}": {fake: {size: "{5,6}"}}}
  - {name: db, <<: *a, driver: ssh, ssh: {host: 10.0.0.7, port: 22}, groups: [data]}
swarm: {autolock: true, address_pool: [10.80.0.0/16], certificate_life: 90d}
stacks:
  - {name: shop, file: [c.yaml], env_file: c.yaml, environment: {A: 1}, on: db, build: no}
hooks: {after_create: ./c.yaml}
"""
AROUND = surroundings(files=Files({"/inv/c.yaml": ""}, {"/inv/c.yaml"}), secrets=lambda source: "secret")
TOKENS = [
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "\n",
    "  ",
    "'",
    '"',
    "*a",
    "&a",
    "${A}",
    "$",
    "{1..2}",
    "~",
    "!x",
    "#",
    "<<",
]
VALUES = st.recursive(
    st.sampled_from(["x", "1", "true", "~", "''", "2.5", "2024-01-01", "'{1..3}'", "'{a,b}'", "'${Q:-}'", "*a"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(["name", "role", "a", "from_file", "size"]), inner, max_size=3).map(
            lambda cells: "{" + ", ".join(f"{key}: {value}" for key, value in cells.items()) + "}"
        ),
    ),
    max_leaves=5,
)


def outcome(text: str) -> Inventory | InventoryFaults:
    try:
        inventory = load([YamlFile("f.yaml", text)], AROUND)
        inventory.revealed()
        return inventory
    except InventoryFaults as faults:
        lines = text.splitlines() or [""]
        for finding in faults.findings:
            assert 1 <= finding.spot.line <= len(lines) + 1, finding
            assert finding.spot.column >= 1, finding
            assert finding.message, finding
        return faults


def test_the_example_is_good() -> None:
    assert isinstance(outcome(GOOD), Inventory)


@examples(150)
@given(st.integers(0, len(GOOD)), st.integers(0, 12), st.sampled_from(["", *TOKENS]))
def test_a_file_with_something_cut_out_and_put_in(start: int, length: int, token: str) -> None:
    outcome(GOOD[:start] + token + GOOD[start + length :])


@examples(150)
@given(st.sampled_from(range(len(GOOD.splitlines()))), VALUES)
def test_a_file_with_any_value_in_place_of_another(number: int, value: str) -> None:
    lines = GOOD.splitlines()
    head, colon, _ = lines[number].partition(": ")
    lines[number] = f"{head}{colon}{value}" if colon else lines[number]
    outcome("\n".join(lines))


@examples(150)
@given(
    st.sampled_from(["fleet", "defaults", "machines", "swarm", "stacks", "hooks"]),
    VALUES,
    st.sampled_from(["driver", "engine", "swarm", "fake", "labels", "groups", "overrides", "name"]),
    VALUES,
)
def test_a_file_made_of_any_values(top: str, value: str, key: str, other: str) -> None:
    outcome(f"x: &a 1\nfleet: f\n{top}1: x\nmachines: [{{name: n, driver: fake, {key}: {other}}}]\nswarm: {value}\n")
    outcome(f"x-b: &a {{}}\n{top}: {value}\n")
