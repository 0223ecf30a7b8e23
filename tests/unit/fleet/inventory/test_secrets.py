"""Secrets: out of the file, read last, shown nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pymachine.errors import PymachineError
from pymachine.fleet.inventory import InventoryFaults, SecretSource, Surroundings, export
from unit.inventories import Files, faults, read, surroundings

TEXT = """
    fleet: f
    machines:
      - name: n{1..3}
        driver: fake
        engine: {env: {TOKEN: {from_command: [pass, show, it]}, PLAIN: x}}
    stacks:
      - name: s
        file: c.yaml
        on: n1
        environment: {PASSWORD: {from_file: secrets/db}, TAG: latest}
"""
FILES = Files({"/inv/c.yaml": "", "/inv/secrets/db": ""})


class Vault:
    """Says what it was requested."""

    def __init__(self, text: str = "hunter2") -> None:
        self.asked: list[SecretSource] = []
        self.text = text

    def __call__(self, source: SecretSource) -> str:
        self.asked.append(source)
        return self.text


def test_secrets_come_from_files_and_commands() -> None:
    vault = Vault()
    fleet = read(TEXT, around=surroundings(files=FILES, secrets=vault)).revealed()
    assert {machine.engine.env for machine in fleet.machines} == {("TOKEN=hunter2", "PLAIN=x")}
    assert fleet.stacks[0].environment == {"PASSWORD": "hunter2", "TAG": "latest"}
    assert vault.asked == [
        SecretSource("/inv", words=("pass", "show", "it")), SecretSource("/inv", path="/inv/secrets/db"),
    ]  # fmt: skip


def test_no_secret_is_read_from_a_file_with_a_fault() -> None:
    vault = Vault()
    assert len(faults(TEXT + "    hooks: {never: x}\n", around=surroundings(files=FILES, secrets=vault))) == 1
    assert vault.asked == []


def test_no_secret_is_read_before_it_is_wanted() -> None:
    vault = Vault()
    inventory = read(TEXT, around=surroundings(files=FILES, secrets=vault))
    assert inventory.fleet.machines[0].engine.env == ("TOKEN=", "PLAIN=x")
    inventory.check_secrets()
    assert vault.asked == []
    inventory.revealed()
    assert inventory.fleet.machines[0].engine.env == ("TOKEN=", "PLAIN=x")
    assert len(vault.asked) == 2


def test_an_inventory_without_secrets_is_revealed_as_it_is() -> None:
    inventory = read("fleet: f\nmachines: [{name: n, driver: fake}]\n")
    assert inventory.revealed() is inventory.fleet


def test_a_secret_whose_file_is_missing_is_no_fault_until_it_is_wanted() -> None:
    """Nor is anybody asked for the others then: the run ends all the same."""
    vault = Vault()
    inventory = read(TEXT, around=surroundings(files=Files({"/inv/c.yaml": ""}), secrets=vault))
    assert inventory.fleet.stacks[0].environment == {"PASSWORD": "", "TAG": "latest"}
    for wanted in (inventory.check_secrets, inventory.revealed):
        with pytest.raises(InventoryFaults, match=r"f\.yaml:11:41: secrets/db: "):
            wanted()
    assert vault.asked == []


def test_a_secret_whose_file_is_missing_is_told_with_every_other_fault() -> None:
    around = surroundings(files=Files({"/inv/c.yaml": ""}))
    lines = faults(TEXT + "    hooks: {never: x}\n", around=around)
    assert len(lines) == 2
    assert lines[0].startswith("f.yaml:11:41: secrets/db: ")


def test_without_a_way_to_secrets_none_is_taken_for_empty() -> None:
    around = surroundings()
    with pytest.raises(InventoryFaults, match="secrets"):
        read(TEXT, around=Surroundings(around.environ, around.drivers, around.options_of, FILES)).revealed()


def revealing(text: str, secrets: Callable[[SecretSource], str]) -> list[str]:
    """Return the lines of all faults of its secrets."""
    inventory = read(text, around=surroundings(files=FILES, secrets=secrets))
    with pytest.raises(InventoryFaults) as caught:
        inventory.revealed()
    return [finding.line for finding in caught.value.findings]


def test_a_secret_that_cannot_be_read_is_a_fault_at_its_place() -> None:
    def locked(source: SecretSource) -> str:
        raise PymachineError("command pass ended with code 1")

    lines = revealing(TEXT, locked)
    assert lines[0].startswith("f.yaml:6:27: command pass ")
    assert len(lines) == 2


@pytest.mark.parametrize("text", ["two\nlines", "nul\0"])
def test_a_secret_has_one_line(text: str) -> None:
    lines = revealing(TEXT, Vault(text))
    assert lines[0].startswith("f.yaml:6:27: ")


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("{from_file: ''}", "write {from_file: PATH} or {from_command: [WORD, …]}"),
        ("{from_command: ls}", "write {from_file: PATH} or {from_command: [WORD, …]}"),
        ("{from_command: []}", "write {from_file: PATH} or {from_command: [WORD, …]}"),
        ("{from_command: [[a]]}", "list of"),
        ("{from_file: a, b: c}", "write {from_file: PATH} or {from_command: [WORD, …]}"),
    ],
)
def test_a_secret_that_is_written_wrong(value: str, fault: str) -> None:
    text = f"fleet: f\nmachines: [{{name: n, driver: fake, engine: {{env: {{A: {value}}}}}}}]\n"
    (line,) = faults(text)
    assert fault in line.split(": ", 1)[1]


@pytest.mark.parametrize("key", ["DB_PASSWORD", "api_key", "GITHUB_TOKEN", "passphrase", "MY_SECRET"])
def test_a_password_in_plain_text_is_warned_of_without_showing_it(key: str) -> None:
    text = f"fleet: f\nmachines: [{{name: n, driver: fake, engine: {{env: {{{key}: hunter2}}}}}}]\n"
    (warning,) = read(text).warnings
    assert key in warning
    assert "from_file" in warning
    assert "hunter2" not in warning


@pytest.mark.parametrize("pair", ["PASSWORD_FILE: /run/x", "PASSWORD: ''", "PASSWORD: '${P:-}'", "NAME: x"])
def test_what_is_no_secret_is_not_warned_of(pair: str) -> None:
    text = f"fleet: f\nmachines: [{{name: n, driver: fake, engine: {{env: {{{pair}}}}}}}]\n"
    assert read(text).warnings == ()


def test_no_value_of_a_variable_is_exported_or_shown() -> None:
    fleet = read(TEXT, around=surroundings(files=FILES, secrets=Vault())).revealed()
    exported = json.dumps(export.document(fleet))
    assert "hunter2" not in exported
    assert "latest" not in exported
    assert "TOKEN" in exported
    assert "hunter2" not in repr(fleet.stacks)


def test_a_password_in_a_url_is_not_exported() -> None:
    engine = "{http_proxy: 'http://ann:hunter2@proxy:3128', registry_mirrors: ['https://ann:hunter2@m.example.org']}"
    fleet = read(f"fleet: f\nmachines: [{{name: n, driver: fake, engine: {engine}}}]\n").fleet
    exported = export.document(fleet)["machines"][0]["engine"]
    assert exported["http_proxy"] == "http://***@proxy:3128"
    assert exported["registry_mirrors"] == ["https://***@m.example.org"]
