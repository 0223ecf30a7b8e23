"""What every transport does, shown on the one that runs commands here and on real SSH, by paramiko and by OpenSSH."""

from __future__ import annotations

import os
import shlex
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from patience import LIMIT, gives_up, longer_and_longer
from pymachine.errors import DeadlineExceeded, RemoteCommandFailed, Unreachable
from pymachine.model import SshAddress
from pymachine.testing.fake_asker import FakeAsker
from pymachine.testing.fake_transport import LocalTransport
from pymachine.transport import Command, RemoteFile, Transport
from pymachine.transport.ssh import connect

MIB = 1024 * 1024


@pytest.fixture(params=["local", "ssh", "openssh"])
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Transport]:
    if request.param == "local":
        with LocalTransport(tmp_path) as local:
            yield local
        return
    server = request.getfixturevalue("sshd" if request.param == "ssh" else "modern_sshd")
    key = server.folder / "key"
    address = SshAddress("127.0.0.1", server.port, "root", str(key), host_key=server.public_key("ed25519"))
    with connect(address, asker=FakeAsker(), notice=lambda text: None, deadline=LIMIT) as real:
        yield real


def test_a_command_gives_its_outputs_and_its_code(transport: Transport) -> None:
    result = transport.run(Command.script("echo out; echo err >&2; exit 3"))
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"out\n", b"err\n")


def test_a_missing_program_is_a_result_and_no_error(transport: Transport) -> None:
    result = transport.run(Command.of("no-such-program"))
    assert result.exit_code == 127
    assert "not found" in result.error_text


def test_arguments_arrive_as_they_are(transport: Transport) -> None:
    nasty = "a'b\"c$HOME`id`\\n!x\ttab\nline é ∞"
    assert transport.run(Command.of("printf", "%s", nasty)).text == nasty


def test_standard_input_arrives_whole_and_ends(transport: Transport) -> None:
    data = bytes(range(256)) * 4096
    assert transport.run(Command.of("cat"), stdin=data).stdout == data


def test_without_input_the_command_sees_its_end(transport: Transport) -> None:
    assert transport.run(Command.of("wc", "-c"), deadline=LIMIT).text.strip() == "0"


def test_both_outputs_may_be_larger_than_any_window(transport: Transport) -> None:
    script = f"head -c {5 * MIB} /dev/zero & head -c {5 * MIB} /dev/zero >&2; wait; cat | wc -c"
    result = transport.run(Command.script(script), stdin=b"x" * 3 * MIB, deadline=LIMIT)
    assert len(result.stderr) == 5 * MIB
    assert result.stdout.strip(b"\0 \n") == str(3 * MIB).encode()


def test_a_command_that_reads_no_input_ends_all_the_same(transport: Transport) -> None:
    assert transport.run(Command.of("true"), stdin=b"x" * 5 * MIB, deadline=LIMIT).exit_code == 0


def test_lines_come_while_the_command_runs(transport: Transport, tmp_path: Path) -> None:
    heard, mark = list[str](), tmp_path / "heard"

    def note(line: str) -> None:
        heard.append(line)
        mark.touch()

    # The command goes on when its first line was heard, which would never be if lines came at its end.
    waits = f"while ! test -e {shlex.quote(str(mark))}; do sleep 0.05; done"
    transport.run(Command.script(f"echo one; echo noise >&2; {waits}; printf two"), on_line=note, deadline=LIMIT)
    assert heard == ["one", "two"]


def test_a_deadline_ends_the_wait(transport: Transport) -> None:
    with gives_up(), pytest.raises(DeadlineExceeded, match=r"sleep 600.* 0\.3 s"):
        transport.run(Command.of("sleep", "600"), deadline=0.3)


def test_endless_output_does_not_outrun_the_deadline(transport: Transport) -> None:
    with gives_up(), pytest.raises(DeadlineExceeded):
        transport.run(Command.of("yes"), deadline=0.5)


def test_a_command_that_goes_silent_is_given_up_and_what_it_began_to_say_is_told(transport: Transport) -> None:
    heard = list[str]()
    told = Command.script("echo whole; printf half; sleep 600")
    for silence in longer_and_longer(lambda: not heard):
        with gives_up(), pytest.raises(DeadlineExceeded):
            transport.run(told, deadline=LIMIT, silence=silence, on_line=heard.append)
    assert heard == ["whole", "half"]
    talks = Command.script("for n in 1 2 3 4 5 6 7 8; do sleep 0.2; echo $n; done")
    assert transport.run(talks, deadline=LIMIT, silence=LIMIT).exit_code == 0


def test_commands_and_uploads_are_counted(transport: Transport, tmp_path: Path) -> None:
    transport.run(Command.of("true"))
    transport.run(Command.of("true"), root=True)
    transport.upload([RemoteFile("a", b"")], str(tmp_path / "up"))
    assert transport.trips == 3


def test_files_arrive_with_their_modes_in_a_private_folder(transport: Transport, tmp_path: Path) -> None:
    files = [RemoteFile("run.sh", b"#!/bin/sh\n", 0o755), RemoteFile("tls/key.pem", bytes(range(256)), 0o600)]
    transport.upload(files, str(tmp_path / "up" / "in"))
    for file in files:
        path = tmp_path / "up" / "in" / file.path
        assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (file.content, file.mode)
        assert path.stat().st_uid == os.getuid()
    assert (tmp_path / "up" / "in").stat().st_mode & 0o777 == 0o700


def test_an_upload_replaces_what_is_there(transport: Transport, tmp_path: Path) -> None:
    for content in (b"first version", b"second"):
        transport.upload([RemoteFile("a", content)], str(tmp_path / "up"))
    assert (tmp_path / "up" / "a").read_bytes() == b"second"


def test_an_upload_that_cannot_be_placed_says_why(transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RemoteCommandFailed) as fault:
        transport.upload([RemoteFile("a", b"")], str(tmp_path / "file" / "up"))
    assert "ot a directory" in fault.value.message


def test_a_path_out_of_the_folder_is_refused(transport: Transport, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="below"):
        transport.upload([RemoteFile("../a", b"")], str(tmp_path / "up"))
    assert transport.trips == 0


def test_a_tunnel_carries_bytes_both_ways(transport: Transport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        echo = threading.Thread(target=_echo_once, args=(server,))
        echo.start()
        tunnel = transport.tunnel("127.0.0.1", server.getsockname()[1])
        tunnel.settimeout(5)
        tunnel.sendall(b"hello")
        assert tunnel.recv(100) == b"HELLO"
        assert tunnel.recv(100) == b""
        tunnel.close()
        echo.join()


def _echo_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(connection.recv(100).upper())


def test_a_tunnel_to_nothing_is_unreachable(transport: Transport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable, match=f"cannot reach 127.0.0.1:{port}"):
        transport.tunnel("127.0.0.1", port)


def test_several_threads_may_use_one_connection(transport: Transport) -> None:
    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(lambda n: transport.run(Command.script("sleep 0.1; echo $1", str(n))).text, range(24)))
    assert found == [f"{n}\n" for n in range(24)]
    assert transport.trips == 24


def test_after_the_end_nothing_more_is_run(transport: Transport) -> None:
    transport.close()
    transport.close()
    with pytest.raises(Unreachable, match="was lost"):
        transport.run(Command.of("true"))


def test_the_address_is_complete(transport: Transport) -> None:
    address = transport.address
    assert address.host
    assert address.port
    assert address.user == "root"
    assert (address.host_key or "").startswith("ssh-ed25519 AAAA")


def test_output_on_both_streams_at_once_ends(transport: Transport) -> None:
    both = "yes o | head -c 4000000 & yes e | head -c 4000000 >&2; wait"
    for _ in range(3):
        result = transport.run(Command.script(both), deadline=LIMIT)
        assert (len(result.stdout), len(result.stderr)) == (4_000_000, 4_000_000)
