"""What --debug shows of a connection: each trip once, and nothing that must not be shown."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from contract.conftest import Address, Client
from pymachine.transport import Command, RemoteFile, Secret


def test_the_log_shows_neither_keys_nor_what_paramiko_says(
    client: Client, address: Address, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="pymachine")
    client(address()).run(Command.of("cat"), stdin=b"top secret")
    text = _logged(caplog)
    assert ": cat" in text
    assert "top secret" not in text


def test_the_log_has_one_line_for_each_trip(
    client: Client, address: Address, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG, logger="pymachine")
    transport = client(address())
    transport.run(Command.of("echo", Secret("hunter2")))
    transport.upload([RemoteFile("note", b"top secret")], str(tmp_path / "staged"))
    trips = re.findall(r"trip (\d+): (.*)", _logged(caplog))
    assert [int(number) for number, _ in trips] == [1, 2] == list(range(1, transport.trips + 1))
    assert trips[0][1] == "echo •••"
    assert str(tmp_path / "staged") in trips[1][1]
    assert "top secret" not in caplog.text


def _logged(caplog: pytest.LogCaptureFixture) -> str:
    """What pymachine itself logged."""
    return "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("pymachine"))
