"""Whether the engine's next start would open the port unprotected, as the rollback on the host sees it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from patience import LIMIT
from unit.engine.test_files import SHELLS

GOLDEN = Path(__file__).parents[2] / "golden" / "engine" / "debian13-distro" / "rollback.sh"
PLAIN = "{ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// ; ignore_errors=no ; pid=0 }"
LISTENS = PLAIN.replace("fd://", "fd:// -H tcp://0.0.0.0:2376")


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    ("config", "command", "opens"),
    [
        (None, PLAIN, False),
        ("", PLAIN, False),
        ('{"hosts": ["fd://"]}', PLAIN, False),
        ('{"hosts": ["fd://", "tcp://0.0.0.0:2376"]}', PLAIN, True),
        ('{"hosts":["tcp://[::]:2376"]}', PLAIN, True),
        (r'{"hosts": ["tcp:\/\/0.0.0.0:2376"]}', PLAIN, True),
        ('{"hosts": ["tcp://0.0.0.0:2376"], "tls": true}', PLAIN, True),
        ('{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify": false}', PLAIN, True),
        ('{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify": true}', PLAIN, False),
        ('{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify" : true}', PLAIN, False),
        ('{"hosts": ["tcp://0.0.0.0:2376"], "tlsverify":\n\ttrue}', PLAIN, False),
        ('{"hosts": ["tcp://0.0.0.0:2375"], "http-proxy": "http://p:2376"}', PLAIN, False),
        ("{}", LISTENS, True),
        ('{"tlsverify" : true}', LISTENS, False),
        ("{}", LISTENS.replace(":2376", ":2376 --tlsverify"), False),
        ("{}", LISTENS.replace(":2376", ":2376 --tlsverify=true"), False),
        ("{}", LISTENS.replace(":2376", ":2376 --tlsverify=false"), True),
        ("{}", LISTENS.replace("-H tcp", "--host=tcp"), True),
    ],
)
def test_a_port_without_client_certificates(
    shell: tuple[str, ...], config: str | None, command: str, opens: bool, tmp_path: Path
) -> None:
    file, tools = tmp_path / "daemon.json", tmp_path / "tools"
    if config is not None:
        file.write_text(config)
    tools.mkdir()
    (tools / "systemctl").write_text(f"#!/bin/sh\necho '{command}'\n")
    (tools / "systemctl").chmod(0o755)
    function = re.search(r"^would_open\(\) {\n.*?\n}$", GOLDEN.read_text(), re.M | re.S)
    assert function is not None
    script = (
        f"set -u\n{function[0]}\nconfig={file} port=2376 init=systemd unit=docker.service\nwould_open && echo opens"
    )
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*shell, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert (done.stdout == "opens\n") is opens, done.stderr
