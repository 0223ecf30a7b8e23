"""Records with parts of a wrong shape: each costs its own row, says so by name, and can be forgotten."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.documents import to_document
from pymachine.engine.client import EngineAnswer
from pymachine.model import Endpoint, Machine
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_driver import FakeCloud
from samples import FULL

WELL = Machine("well", "id-well", "fake")
DOCUMENT: dict[str, Any] = json.loads(json.dumps(to_document(FULL)))
READING = (["ls"], ["ls", "--json"], ["ls", "-q"], ["inspect", "node1"], ["status", "node1"], ["env", "node1"],
           ["config", "node1"], ["ip", "node1"], ["active"])  # fmt: skip
WRONG = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(allow_nan=False), st.text(max_size=5),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


def paths(value: Any, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """All places of a document."""
    if before:
        yield before
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*before, key))


def with_(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """A copy of a document with another value at one place."""
    if not path:
        return value
    copy = document.copy()
    copy[path[0]] = with_(document[path[0]], path[1:], value)
    return copy


def run(folder: str, *words: str) -> tuple[int, str]:
    """Run one command on a store; the code and all that was printed."""

    def ask(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> EngineAnswer:
        return EngineAnswer("26.1.5", "1.45", "1.24", "linux", "amd64", 0.01)

    cloud = FakeCloud()
    wiring = Wiring(ask_engine=ask, load_driver=lambda _: cloud.driver())
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(["-s", folder, *words], wiring=wiring)
    return code, said.getvalue()


def check_all_commands(document: str) -> None:
    """Whatever stands in the record, nothing dies of it and the other machine is shown."""
    with TemporaryDirectory() as folder:
        store = SqliteStore.open(Path(folder))
        for machine in (FULL.with_(name="node1", rev=0), WELL):
            store.put(machine)
        store.close()
        with contextlib.closing(sqlite3.connect(f"{folder}/state.db")) as connection, connection:
            connection.execute("UPDATE machine SET document = ? WHERE name = 'node1'", (document,))
        for words in READING:
            code, said = run(folder, *words)
            assert "bug" not in said, (words, said)
            assert code in (0, 1), (words, said)
        assert "well" in run(folder, "ls")[1]
        code, said = run(folder, "rm", "-f", "node1")
        assert code == 0, said
        assert "node1" not in run(folder, "ls", "-q")[1]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("driver",), None), (("handle",), [1]), (("endpoint", "host"), 5), (("endpoint", "port"), "x"),
        (("certificates", "ca_expires"), []), (("certificates", "ca_expires"), "soon"), (("phase",), "melted"),
        (("phase",), []), (("options",), "x"), (("labels",), {"a": 1}), (("engine", "env"), "FOO"),
        (("ssh",), []), (("ssh", "port"), True), (("fault",), "x"), (("addresses",), [None]), (("swarm",), 1),
        (("schema",), None), (("id",), 5), (("created",), {}),
    ],
    ids=repr,
)  # fmt: skip
def test_a_part_of_a_wrong_shape_is_an_error_of_its_machine(path: tuple[str | int, ...], value: Any) -> None:
    check_all_commands(json.dumps(with_(DOCUMENT, path, value)))


@pytest.mark.parametrize("text", ["", "[]", "nul", "[" * 100_000, r'{"name": "\ud800"}', "NaN"], ids=repr)
def test_a_text_that_is_not_a_record_is_an_error_of_its_machine(text: str) -> None:
    check_all_commands(text)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(paths(DOCUMENT), key=repr)), WRONG)
def test_any_part_may_be_anything(path: tuple[str | int, ...], value: Any) -> None:
    check_all_commands(json.dumps(with_(DOCUMENT, path, value)))
