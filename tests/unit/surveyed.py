"""A host made of a scratch folder, programs that stand for its own, and real processes: what the survey is run on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from patience import LIMIT, until
from pymachine.engine.facts import facts_command, parse_facts
from pymachine.engine.host_facts import HostFacts
from pymachine.model import EngineSpec

INFO = {"ID": "x", "DockerRootDir": "/var/lib/docker", "Driver": "overlay2", "Swarm": {"LocalNodeState": "inactive"}}
# Programs of this machine that must not speak for the host.
NOT_OURS = {"docker", "dockerd", "systemctl", "snap", "firewall-cmd", "ufw", "rc-service", "podman", "ip"}
PLACES = (
    "/run/systemd/system", "/snap/", "/var/snap", "/run/docker.sock", "/var/run/docker.sock", "/etc/os-release",
    "/etc/docker/daemon.json", "/var/lib/pymachine", "/run/pymachine.lock", "/etc/systemd/system",
    "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
)  # fmt: skip
USUAL_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"

SYSTEMCTL = """\
#!/bin/sh
# Answers from one file a unit: show prints the properties that are asked for, cat the file beside it.
units={units}
verb=$1
shift
names='' wanted='' value=''
while [ $# != 0 ]; do
    case $1 in
        -p) wanted="$wanted $2" && shift ;;
        --value) value=yes ;;
        -*) ;;
        *) names="$names $1" ;;
    esac
    shift
done
[ ! -e "$units/broken" ] || {{ echo 'Failed to connect to bus' >&2; exit 1; }}
for name in $names; do
    file=$units/$name
    case $verb in
        is-active) grep -qs '^ActiveState=active' "$file" && exit 0 || exit 3 ;;
        cat) cat "$file.cat" 2>/dev/null || exit 1 ;;
        show)
            [ -z "${{first-}}" ] || echo
            first=no
            [ -f "$file" ] || printf 'Id=%s\\nLoadState=not-found\\nActiveState=inactive\\n' "$name" >"$file.none"
            [ -f "$file" ] || file=$file.none
            for key in $wanted; do
                if [ -n "$value" ]; then sed -n "s/^$key=//p" "$file"; else grep "^$key=" "$file"; fi
            done
            ;;
    esac
done
exit 0
"""

DOCKERD = """\
#!{python}
import http.server, json, os, socket, socketserver, sys
answers = json.loads({answers!r})
class Answer(http.server.BaseHTTPRequestHandler):
    def address_string(self): return "x"
    def log_message(self, *words): pass
    def do_GET(self):
        found = answers.get(self.path.split("?")[0])
        body = (found if isinstance(found, str) else json.dumps(found)).encode()
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer): daemon_threads = True
with Server({address!r}, Answer) as server:
    open({ready!r}, "w").close()
    server.serve_forever()
"""


def link_tools(folder: Path, *, without: Collection[str] = ()) -> Path:
    """Fill a folder with links to the programs of this machine that a host has as well, and return it."""
    folder.mkdir()
    names: set[str] = {*NOT_OURS, *without}
    for source in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for tool in os.scandir(source):
            if tool.name not in names:
                names.add(tool.name)
                (folder / tool.name).symlink_to(tool.path)
    return folder


class Surveyed:
    """The host. Everything of it is below ``root`` but for ``tools``, the programs that it shares with others.

    What it started ends with ``close``.
    """

    def __init__(self, root: Path, tools: Path) -> None:
        self.root = root
        self.units = root / "units"
        self.programs = root / "programs"
        self._tools = tools
        self._started: list[subprocess.Popen[bytes]] = []
        self._folders: list[Path] = []
        for folder in (self.units, self.programs, root / "proc", root / "run/systemd/system", root / "etc"):
            folder.mkdir(parents=True)
        self.write("etc/os-release", "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n")
        self.program("systemctl", SYSTEMCTL.format(units=self.units))

    def write(self, path: str, text: str) -> Path:
        """Write a file below the root."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def program(self, name: str, text: str) -> Path:
        """Put a program on the host's path."""
        file = self.programs / name
        file.write_text(dedent(text))
        file.chmod(0o755)
        return file

    def without(self, *tools: str) -> None:
        """Take tools off the host."""
        self._tools = link_tools(self.root / "tools", without=tools)

    def unit(self, name: str, *, listing: str = "", **properties: Any) -> None:
        """Have systemd know a unit with these properties; several values of one make several lines."""
        known = {"Id": name, "LoadState": "loaded", "ActiveState": "inactive", **properties}
        lines = [
            f"{key}={value}" for key, some in known.items() for value in (some if isinstance(some, list) else [some])
        ]
        (self.units / name).write_text("\n".join(lines) + "\n")
        if listing:
            (self.units / f"{name}.cat").write_text(listing)

    def engine(self, main: int = 0, words: str = "-H fd://", **properties: Any) -> None:
        """Have docker.service, run by process ``main``; not running where that is 0."""
        self.write("lib/systemd/system/docker.service", f"[Service]\nExecStart=/usr/bin/dockerd {words}\n")
        start = f"{{ path=/usr/bin/dockerd ; argv[]=/usr/bin/dockerd {words} ; ignore_errors=no ; start_time=[n/a] }}"
        known = {"ActiveState": "active" if main else "inactive", "MainPID": main, "ExecStart": start}
        listing = f"# /lib/systemd/system/docker.service\n[Service]\nExecStart=/usr/bin/dockerd {words}\n"
        self.unit("docker.service", listing=listing, **{**known, **properties})

    def start(self, name: str, text: str, *words: str, user: str | None = None) -> int:
        """Start a program under a name, as a process of this machine, and return its id."""
        folder = Path(tempfile.mkdtemp(dir=None if user else self.root))  # others cannot enter the root
        self._folders.append(folder)
        folder.chmod(0o755)
        file = folder / name
        file.write_text(text)
        file.chmod(0o755)
        self._started.append(subprocess.Popen([file, *words], user=user, stdin=subprocess.PIPE))
        pid = self._started[-1].pid
        (self.root / "proc" / str(pid)).symlink_to(f"/proc/{pid}")
        until(lambda: Path(f"/proc/{pid}/comm").read_text().strip() == name[:15], name)
        return pid

    def dockerd(
        self,
        socket: str,
        *words: str,
        containers: Any = (),
        name: str = "dockerd",
        **more: Any,
    ) -> int:
        """Start a process that listens on a socket (below the root unless it has an @) and answers; return its id."""
        address = "\0" + socket[1:] if socket.startswith("@") else str(self.root / socket)
        if not socket.startswith("@"):
            Path(address).parent.mkdir(parents=True, exist_ok=True)
        rows = [{"Names": [f"/{name}"]} for name in containers]
        answers: Mapping[str, Any] = {"/info": INFO, "/containers/json": rows, "/networks": [], **more}
        ready = self.root / f"ready-{len(self._started)}"
        text = DOCKERD.format(python=sys.executable, answers=json.dumps(answers), address=address, ready=str(ready))
        pid = self.start(name, text, *words)
        until(ready.exists, "dockerd")
        return pid

    def idle(self, name: str, *words: str, user: str | None = None) -> int:
        """Start a process that does nothing under a name."""
        return self.start(name, "#!/bin/sh\nread never\n", *words, user=user)

    def look(self, *, port: int = 2376, environ: Mapping[str, str] = {}) -> HostFacts:
        """Run the survey on the host."""
        command = facts_command(EngineSpec(install="distro", port=port))
        text, *words = map(str, command.words[2:])
        assert USUAL_PATH in text
        text = text.replace(USUAL_PATH, f"PATH={self.programs}:{self._tools}")
        places = "|".join(map(re.escape, PLACES))
        text = re.sub(rf"(?<![\w/])({places})", lambda found: f"{self.root}{found[0]}", text)
        # Of all processes of this machine, those that were started for this host are its own.
        assert text.count("in /proc/[0-9]*") == 2
        text = text.replace("/proc/[0-9]*", f"{self.root}/proc/[0-9]*")
        text = text.replace("${process#/proc/}", f"${{process#{self.root}/proc/}}")
        shell = shutil.which("dash") or "/bin/sh"
        env = {**os.environ, **environ}
        done = subprocess.run(
            [shell, "-c", text, *words], capture_output=True, text=True, check=True, timeout=LIMIT, env=env
        )
        assert done.stderr == ""
        return parse_facts(done.stdout)

    def close(self) -> None:
        """End what was started."""
        for process in self._started:
            process.kill()
            process.communicate()
        for folder in self._folders:
            shutil.rmtree(folder)
