from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymachine.errors import SudoFailed, UsageFault
from pymachine.testing.fake_asker import FakeAsker
from pymachine.transport.channel import sudo_hint
from pymachine.transport.output import LINE_LIMIT, NOISE_LIMIT, OUTPUT_LIMIT, Output
from pymachine.transport.sudo import SudoPassword

MARK = b"<mark 1>"


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 9))
def test_noise_and_content_are_told_apart_however_the_bytes_arrive(noise: bytes, content: bytes, size: int) -> None:
    output = Output(MARK)
    stream = noise + MARK + content
    for start in range(0, len(stream), size):
        output.feed(stream[start : start + size])
    assert (output.started, output.noise, output.content) == (True, noise, content)


def test_without_its_mark_there_is_no_content() -> None:
    output = Output(MARK)
    output.feed(b"This account is currently not available.\n")
    assert (output.started, output.content) == (False, b"")


def test_the_last_bytes_are_kept_of_an_endless_output() -> None:
    output = Output(MARK, limit=10)
    output.feed(MARK)
    for number in range(100):
        output.feed(b"%03d " % number)
    assert output.content == b"7 098 099 "


def test_lines_are_handed_over_as_they_come_and_the_last_one_at_the_end() -> None:
    lines: list[str] = []
    output = Output(MARK, lines.append)
    output.feed(b"motd\n" + MARK + b"one\r\ntw")
    assert lines == ["one"]
    output.feed(b"o\n\xffthree")
    assert lines == ["one", "two"]
    output.finish()
    assert lines == ["one", "two", "\ufffdthree"]


def test_a_password_is_asked_for_once_for_all_commands() -> None:
    asker = FakeAsker("secret")
    password = SudoPassword(asker, "me@host:22")
    assert [password.answer(1), password.answer(1)] == ["secret", "secret"]
    assert asker.asked == ["sudo password of me@host:22"]


def test_a_mistyped_password_may_be_given_once_more() -> None:
    asker = FakeAsker("wrong", "right")
    password = SudoPassword(asker, "me@host:22")
    assert password.answer(2, password.answer(1)) == "right"
    assert password.answer(1) == "right"


def test_two_wrong_passwords_are_enough_to_not_lock_the_account() -> None:
    password = SudoPassword(FakeAsker("a", "b", "c"), "me@host:22")
    second = password.answer(2, password.answer(1))
    with pytest.raises(SudoFailed, match="password of me@host:22"):
        password.answer(3, second)


def test_a_command_that_failed_with_an_old_password_takes_the_newer_one() -> None:
    asker = FakeAsker("wrong", "right")
    password = SudoPassword(asker, "me@host:22")
    old = password.answer(1)
    assert password.answer(2, old) == "right"
    assert password.answer(2, old) == "right"
    assert len(asker.asked) == 2


def test_where_nobody_can_be_asked_the_hint_names_other_ways() -> None:
    with pytest.raises(UsageFault) as fault:
        SudoPassword(FakeAsker(), "me@host:22").answer(1)
    assert "NOPASSWD" in (fault.value.hint or "")


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("sudo: sorry, you must have a tty to run sudo", "requiretty"),
        ("neither sudo nor doas is installed", "install sudo"),
        ("me is not in the sudoers file.", "sudoers on"),
        ("doas: Authentication required", "doas.conf"),
        ('Please login as the user "debian" rather than the user "root".', "--ssh-user"),
        ("something else", "sudo -v"),
    ],
)
def test_the_refusal_decides_the_hint(said: str, hint: str) -> None:
    assert hint in sudo_hint(said)


def test_a_line_without_an_end_fills_no_memory() -> None:
    lines: list[str] = []
    output = Output(b"", lines.append)
    for _ in range(1000):
        output.feed(b"x" * 65536)
    assert len(output.content) == OUTPUT_LIMIT
    output.feed(b"\nnext\n")
    assert [len(line) for line in lines] == [LINE_LIMIT, 4]


def test_noise_without_an_end_fills_no_memory_and_its_end_is_kept() -> None:
    output = Output(b"MARK")
    for _ in range(100):
        output.feed(b"n" * 65536)
    assert len(output.noise) <= NOISE_LIMIT
    output.feed(b"MA")
    output.feed(b"RKcontent")
    assert output.content == b"content"
