"""A program in place of TCP: how it is found, what it carries, how it ends, and what is told of its failures."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from patience import AGES, gives_up
from pymachine.errors import TransportError, Unreachable, UsageFault
from pymachine.transport.proxy import ProgramSocket, program_words


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


@contextmanager
def opened(text: str) -> Iterator[ProgramSocket]:
    with ProgramSocket(program(text)) as sock:
        yield sock


def alive(pid: int) -> bool:
    """Whether a process is there, be it as a zombie."""
    return Path(f"/proc/{pid}").exists()


def pid_from(sock: socket.socket) -> int:
    return int(sock.recv(20))


SAYS_ITS_PID = "import os, sys; os.write(1, str(os.getpid()).encode());"


def test_host_and_port_are_filled_in_and_nothing_else() -> None:
    words = program_words(("sh", "-c", "to %h:%p at 100%", "%h"), "2001:db8::5", 22)
    assert words[1:] == ["-c", "to 2001:db8::5:22 at 100%", "2001:db8::5"]


def test_a_program_is_looked_for_beside_python_first_then_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pytest", "connector"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program_words(("pytest",), "h", 1) == [str(Path(sys.executable).with_name("pytest"))]
    assert program_words(("connector",), "h", 1) == [str(tmp_path / "connector")]


def test_a_program_that_is_not_there_is_a_usage_fault_that_names_it() -> None:
    with pytest.raises(UsageFault, match=r"'pymachine-nowhere', .* 192\.0\.2\.1"):
        program_words(("pymachine-nowhere", "x"), "192.0.2.1", 22)


def test_a_program_that_cannot_be_run_is_a_usage_fault(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("#!/nowhere/interpreter\n")
    (tmp_path / "broken").chmod(0o755)
    with pytest.raises(UsageFault, match="broken "):
        ProgramSocket([str(tmp_path / "broken")])


def test_bytes_go_both_ways() -> None:
    with opened("import os\nwhile data := os.read(0, 9000): os.write(1, data.swapcase())") as sock:
        sock.sendall(b"SSH-2.0-x\r\n")
        assert sock.recv(100) == b"ssh-2.0-X\r\n"


def test_a_program_that_heeds_the_end_of_its_input_ends_and_leaves_no_zombie() -> None:
    with opened(SAYS_ITS_PID + "os.read(0, 1)") as sock:
        pid = pid_from(sock)
        assert alive(pid)
    assert not alive(pid)


def test_a_program_that_does_not_heed_it_is_ended() -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SAYS_ITS_PID + f"time.sleep({AGES})"
    )
    with gives_up(), opened(deaf) as sock:
        pid = pid_from(sock)
    assert not alive(pid)


def test_closing_twice_is_no_error() -> None:
    with opened("") as sock:
        sock.close()
        sock.close()


def test_the_program_is_out_of_reach_of_the_terminals_ctrl_c() -> None:
    with opened("import os; os.write(1, str(os.getsid(0)).encode()); os.read(0, 1)") as sock:
        assert pid_from(sock) != os.getsid(0)


def test_a_failure_has_the_programs_last_words() -> None:
    text = "import sys; print('noise', *'abc', sep='\\n', file=sys.stderr); sys.exit('error: no such instance')"
    with opened(text) as sock:
        assert sock.recv(1) == b""
        fault = sock.fault("192.0.2.1:22")
    assert isinstance(fault, Unreachable)
    assert " 192.0.2.1:22 through `python" in fault.message
    assert fault.message.endswith(": b; c; error: no such instance")


@pytest.mark.parametrize(
    ("code", "kind"), [(1, Unreachable), (255, Unreachable), (2, TransportError), (3, TransportError)]
)
def test_the_exit_code_says_whether_another_try_is_worth_it(code: int, kind: type[TransportError]) -> None:
    with opened(f"raise SystemExit({code})") as sock:
        assert sock.recv(1) == b""
        fault = sock.fault("h:22")
    assert type(fault) is kind
    assert fault.message.endswith(f" code {code}")


def test_a_program_that_hangs_is_said_to_be_silent_and_is_ended() -> None:
    with opened(SAYS_ITS_PID + "os.read(0, 1)") as sock:
        pid = pid_from(sock)
        fault = sock.fault("h:22")
        assert not alive(pid)
    assert " greeting " in fault.message
