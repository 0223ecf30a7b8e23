from __future__ import annotations

from pathlib import Path

import pytest

from pymachine.errors import DeadlineExceeded, Unreachable
from pymachine.testing.fake_transport import FakeTransport, LocalTransport, done
from pymachine.transport import Command, RemoteFile, Result


def test_a_rule_answers_the_commands_that_hold_its_text() -> None:
    transport = FakeTransport()
    transport.answer("os-release", done("ID=debian\n"))
    assert transport.run(Command.of("cat", "/etc/os-release")).text == "ID=debian\n"


def test_a_command_nobody_expected_fails_the_test() -> None:
    with pytest.raises(AssertionError, match=": rm -rf /"):
        FakeTransport().run(Command.of("rm", "-rf", "/"))


def test_the_rule_added_last_counts() -> None:
    transport = FakeTransport()
    transport.answer("", done("any"))
    transport.answer(lambda command: command.words[0] == "id", done("id"))
    assert [transport.run(Command.of(word)).text for word in ("id", "ls")] == ["id", "any"]


def test_several_answers_come_one_after_the_other_and_the_last_stays() -> None:
    transport = FakeTransport()
    transport.answer("x", done(code=1), Unreachable("gone"), done("up"))
    assert transport.run(Command.of("x")).exit_code == 1
    with pytest.raises(Unreachable, match="gone"):
        transport.run(Command.of("x"))
    assert [transport.run(Command.of("x")).text for _ in range(2)] == ["up", "up"]


def test_an_answer_may_depend_on_the_call() -> None:
    transport = FakeTransport()
    transport.answer("cat", lambda call: Result(0, call.stdin, b""))
    assert transport.run(Command.of("cat"), stdin=b"in").stdout == b"in"


def test_calls_are_recorded_with_how_they_were_made() -> None:
    transport = FakeTransport()
    transport.answer("", done())
    transport.run(Command.of("a"), stdin=b"in", root=True, deadline=3)
    (call,) = transport.calls
    assert (call.command, call.stdin, call.root, call.deadline) == (Command.of("a"), b"in", True, 3)
    assert transport.trips == 1


def test_lines_of_an_answer_are_handed_over() -> None:
    transport, lines = FakeTransport(), list[str]()
    transport.answer("", done("a\nb"))
    transport.run(Command.of("x"), on_line=lines.append)
    assert lines == ["a", "b"]


def test_uploads_are_recorded_or_fail_as_told() -> None:
    transport = FakeTransport()
    transport.fail_upload(Unreachable("gone"))
    with pytest.raises(Unreachable):
        transport.upload([], "/x")
    transport.upload([RemoteFile("a", b"1")], "/x")
    assert [(u.folder, u.files) for u in transport.uploads] == [("/x", (RemoteFile("a", b"1"),))]


def test_a_rule_without_answer_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="answer"):
        FakeTransport().answer("x")


def test_the_local_one_kills_what_takes_too_long(tmp_path: Path) -> None:
    with pytest.raises(DeadlineExceeded, match="sleep 60"):
        LocalTransport(tmp_path).run(Command.of("sleep", "60"), deadline=0.1)


def test_the_local_one_never_writes_outside_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside"):
        LocalTransport(tmp_path / "in").upload([RemoteFile("a", b"")], str(tmp_path / "out"))
