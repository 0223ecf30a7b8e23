"""The command line in force is found in a unit's text, in Python and in the script's awk alike."""

import subprocess
from pathlib import Path

import pytest

from pymachine.engine.exec_start import exec_start, flags_of
from pymachine.templates import render

DEBIAN = "# /usr/lib/systemd/system/docker.service\n[Service]\nExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS\n"
OVERRIDE = """
# /etc/systemd/system/docker.service.d/override.conf
[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// \\
  # a comment between
  --label "a  b" \\
  --debug
"""
OURS = """
# /etc/systemd/system/docker.service.d/zz-pymachine.conf
[Service]
ExecStart=
ExecStart=/old/dockerd -H tcp://[::]:2376
"""
OWN = "/etc/systemd/system/docker.service.d/zz-pymachine.conf"


def test_variables_stay_unexpanded() -> None:
    command, origin = exec_start(DEBIAN)

    assert command == "/usr/sbin/dockerd -H fd:// $DOCKER_OPTS"
    assert origin == "/usr/lib/systemd/system/docker.service"


def test_a_later_drop_in_wins_and_its_lines_are_joined() -> None:
    command, origin = exec_start(DEBIAN + OVERRIDE)

    assert command.split() == ["/usr/sbin/dockerd", "-H", "fd://", "--label", '"a', 'b"', "--debug"]
    assert origin.endswith("override.conf")


def test_our_own_drop_in_can_be_left_out() -> None:
    assert exec_start(DEBIAN + OURS, without=OWN)[0] == "/usr/sbin/dockerd -H fd:// $DOCKER_OPTS"


def test_flags_are_read_from_the_running_command_line_first() -> None:
    flags = flags_of(("/usr/bin/dockerd", "-H", "fd://", "--host=tcp://x:1", "-D", "--log-level", "warn"), DEBIAN)

    assert flags == {"host": ["fd://", "tcp://x:1"], "debug": ["true"], "log-level": ["warn"]}


def test_flags_of_an_engine_that_does_not_run_come_from_its_unit_and_environment() -> None:
    environment = '# comment\nDOCKER_OPTS="--label a=b --storage-driver=vfs"\n'

    flags = flags_of((), DEBIAN, environment)

    assert flags == {"host": ["fd://"], "label": ["a=b"], "storage-driver": ["vfs"]}


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (DEBIAN, "/usr/sbin/dockerd -H fd:// $DOCKER_OPTS -H tcp://[::]:2376"),
        (DEBIAN + OURS, "/usr/sbin/dockerd -H fd:// $DOCKER_OPTS -H tcp://[::]:2376"),
        ("# /u\nExecStart=/usr/bin/dockerd\n", "/usr/bin/dockerd -H unix:///var/run/docker.sock -H tcp://[::]:2376"),
        ("# /u\nExecStart=/d -H tcp://0.0.0.0:2376\n", "/d -H tcp://0.0.0.0:2376"),
        ("# /u\nExecStart=/d --host=fd:// -H tcp://0.0.0.0:23765\n",
         "/d --host=fd:// -H tcp://0.0.0.0:23765 -H tcp://[::]:2376"),
    ],
)  # fmt: skip
def test_the_script_adds_our_socket_to_what_it_finds(unit: str, expected: str, tmp_path: Path) -> None:
    assert awk(unit, "tcp://[::]:2376", tmp_path) == expected


def test_the_script_keeps_blanks_within_quotes(tmp_path: Path) -> None:
    assert '--label "a  b"' in awk(DEBIAN + OVERRIDE, "tcp://[::]:2376", tmp_path)


def test_what_protects_the_socket_stands_on_its_line(tmp_path: Path) -> None:
    line = awk(DEBIAN, "tcp://[::]:2376", tmp_path, protection="--tlsverify --tlskey=/k")
    assert line == "/usr/sbin/dockerd -H fd:// $DOCKER_OPTS -H tcp://[::]:2376 --tlsverify --tlskey=/k"


def awk(unit: str, listen: str, folder: Path, protection: str = "") -> str:
    program = folder / "exec-start.awk"
    program.write_text(render("engine/exec-start.awk.j2"))
    command = [
        "awk",
        "-v",
        f"own={OWN}",
        "-v",
        f"listen={listen}",
        "-v",
        f"protection={protection}",
        "-f",
        str(program),
    ]
    return subprocess.run(command, input=unit, capture_output=True, text=True, check=True).stdout.rstrip("\n")
