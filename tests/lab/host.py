"""One booted host: reach it over SSH or through its namespaces, power it, cut its cable."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.ident import Process, read_json, read_process, write_json
from lab.sh import Completed, LabError, run
from lab.supervise import cgroup_members, cgroup_places, clear_cgroup, clear_run
from lab.tree import Tree
from proof import tally

HERE = Path(__file__).parent
NSPAWN = (
    "systemd-nspawn",
    "--quiet",
    "--boot",
    "--register=no",
    "--keep-unit",
    "--capability=all",
    "--system-call-filter=@keyring bpf @mount @privileged",
    "--resolv-conf=off",
    "--console=pipe",
)
ROOT_ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}
# systemd 257 refuses to boot on control groups v1, which the outer kernel may still mount.
FORCE_V1 = "--setenv=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"

_ENGINE = re.compile(r" install (docker\.io|docker-ce):", re.MULTILINE)


def start_daemon(pidfile: Path, log: Path, *argv: str) -> Process:
    """Start a program that outlives us, and name its process."""
    pidfile.unlink(missing_ok=True)
    run([sys.executable, "-I", HERE / "daemon.py", pidfile, log, *argv])
    process = read_process(pidfile)
    if process is None:
        raise LabError(f"{argv[0]} did not start; see {log}")
    return process


@dataclass(frozen=True)
class Host:
    """A host of a lab, whether it runs or not; made by Lab.boot."""

    name: str
    suite: str
    address: str
    address6: str
    machine: str
    bridge: str
    home: Path
    base: Path
    key: Path
    user: str = "root"
    ssh_port: int = 22
    gateway: str = ""

    @classmethod
    def load(cls, home: Path) -> Host | None:
        """Read a host's record; None when it is missing."""
        data = read_json(home / "host.json")
        if data is None:
            return None
        return cls(**{**data, "home": home, "base": Path(data["base"]), "key": Path(data["key"])})

    def save(self) -> None:
        """Write the record, from which another process can end the host."""
        data: dict[str, Any] = {k: str(v) if isinstance(v, Path) else v for k, v in vars(self).items()}
        write_json(self.home / "host.json", data)

    @property
    def tree(self) -> Tree:
        """The host's file system."""
        return Tree(self.home, self.base)

    @property
    def root(self) -> Path:
        """Its root directory as the outer machine sees it."""
        return self.tree.root

    @property
    def veth(self) -> str:
        """The outer end of its cable."""
        return f"vb-{self.machine}"

    @property
    def console(self) -> str:
        """What it has printed since it was made."""
        log = self.home / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    # power

    @property
    def supervisor(self) -> Process | None:
        """The process that keeps it booted, dead or alive."""
        return read_process(self.home / "supervisor.json")

    @property
    def running(self) -> bool:
        """Whether it is powered on."""
        process = self.supervisor
        return process is not None and process.alive()

    def start(self) -> None:
        """Power it on with the tree it has; does nothing when it is on."""
        if self.running:
            return
        self.tree.mount()
        argv = [*NSPAWN, FORCE_V1, "-D", str(self.root), "-M", self.machine, f"--hostname={self.name}"]
        places = [str(place) for place in cgroup_places(self.machine)]
        argv.append(f"--network-bridge={self.bridge}")
        spec = self.home / "supervisor-spec.json"
        counts = tally.place("host_boots")
        write_json(spec, {"argv": argv, "cgroups": places, "tally": str(counts or os.devnull)})
        keeper = [sys.executable, "-I", str(HERE / "supervise.py"), str(spec)]
        start_daemon(self.home / "supervisor.json", self.home / "console.log", *keeper)

    def stop(self, deadline: float = 40) -> None:
        """Power it off in good order; LabError when it does not go down in time."""
        process = self.supervisor
        if process is None:
            return
        process.send(signal.SIGTERM)
        if not process.wait(deadline):
            self.kill()
            raise LabError(f"{self.name} did not power off in {deadline:g} s and was killed\n{self.console[-2000:]}")

    def kill(self) -> None:
        """Pull the plug."""
        if process := self.supervisor:
            process.send(signal.SIGKILL)
            process.wait(5)
        for place in self._cgroups():
            clear_cgroup(place)

    def _cgroups(self) -> list[Path]:
        spec = read_json(self.home / "supervisor-spec.json") or {}
        return [Path(place) for place in spec.get("cgroups", ())]

    def destroy(self) -> None:
        """Pull the plug and remove everything it left."""
        self.kill()
        if Path(f"/sys/class/net/{self.veth}").exists():
            run(["ip", "link", "delete", self.veth], check=False)
        clear_run(self.machine)
        tally.count("installations", self._installed())
        self.tree.destroy()

    def _installed(self) -> int:
        """How many times an engine was installed on it, as dpkg has written down; a template has no such log."""
        log = self.root / "var/log/dpkg.log"
        return len(_ENGINE.findall(log.read_text(errors="replace"))) if log.is_file() else 0

    # cable

    def cut(self) -> None:
        """Unplug its network cable."""
        run(["ip", "link", "set", self.veth, "down"])

    def mend(self) -> None:
        """Plug it in again."""
        run(["ip", "link", "set", self.veth, "up"])

    # ways in

    def ssh_argv(self, user: str | None = None) -> list[str]:
        """The ssh command line for this host, up to where a remote command goes.

        The host keys are read from its tree: cloud-init and tests replace them.
        """
        known = self.home / "known_hosts"
        place = self.address if self.ssh_port == 22 else f"[{self.address}]:{self.ssh_port}"
        keys = sorted(self.root.glob("etc/ssh/ssh_host_*_key.pub"))
        draft = known.with_name(f".known_hosts.{os.getpid()}.{time.monotonic_ns()}")
        draft.write_text("".join(f"{place} {key.read_text().strip()}\n" for key in keys))
        draft.replace(known)
        options = [f"UserKnownHostsFile={known}", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes"]
        options += ["BatchMode=yes", "ConnectTimeout=5", "LogLevel=ERROR", "ServerAliveInterval=15"]
        flags = [word for option in options for word in ("-o", option)]
        flags += ["-i", str(self.key), "-p", str(self.ssh_port)]
        return ["ssh", "-F", "/dev/null", *flags, f"{user or self.user}@{self.address}"]

    def run(
        self,
        command: str,
        *,
        timeout: float = 60,
        check: bool = True,
        input: str | None = None,
        stdin: Path | None = None,
        user: str | None = None,
    ) -> Completed:
        """Run a shell command over SSH; with check, a non-zero exit is a LabError."""
        return run([*self.ssh_argv(user), "--", command], timeout=timeout, check=check, input=input, stdin=stdin)

    def leader(self) -> int | None:
        """The host's own init as the outer machine numbers it; None when it is off or not that far yet."""
        for pid in sorted(pid for place in self._cgroups()[:1] for pid in cgroup_members(place)):
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                spaces = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
                if spaces[-1] == "1" and len(spaces) == 2:
                    return pid
        return None

    def exec(self, command: str, *, timeout: float = 60, check: bool = True, input: str | None = None) -> Completed:
        """Run a shell command as root through the host's namespaces: works without network and sshd."""
        pid = self.leader()
        if pid is None:
            raise LabError(f"{self.name} is not running")
        enter = ["nsenter", f"--target={pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        argv = [*enter, "--root", "--wd", "/bin/sh", "-c", command]
        return run(argv, timeout=timeout, check=check, input=input, env=ROOT_ENV)

    def install(self, *packages: str) -> None:
        """Install packages from the host's own sources."""
        names = " ".join(shlex.quote(package) for package in packages)
        self.run("apt-get update -q", timeout=180)
        options = "-y -q --no-install-recommends"
        self.run(f"DEBIAN_FRONTEND=noninteractive apt-get install {options} {names}", timeout=300)

    def finish_extras(self) -> None:
        """Have what follows an engine installed now, so that nothing changes later by itself."""
        self.exec("[ ! -f /var/lib/pymachine/extras.sh ] || sh /var/lib/pymachine/extras.sh run", timeout=300)

    # waiting

    def wait_ssh(self, deadline: float = 60) -> None:
        """Wait until it lets us in; LabError with the console's end when it does not."""
        end = time.monotonic() + deadline
        last = "no answer"
        while time.monotonic() < end:
            try:
                if self._banner():
                    self.run("true", timeout=10)
                    return
            except LabError as refused:
                last = str(refused)
            time.sleep(0.1)
        raise LabError(f"{self.name} ({self.address}): no SSH after {deadline:g} s: {last}\n{self.console[-3000:]}")

    def _banner(self) -> bool:
        try:
            with socket.create_connection((self.address, self.ssh_port), timeout=1) as link:
                link.settimeout(2)
                return link.recv(4) == b"SSH-"
        except OSError:
            return False

    def wait_down(self, deadline: float = 40) -> None:
        """Wait until it has powered itself off."""
        process = self.supervisor
        if process and not process.wait(deadline):
            raise LabError(f"{self.name} is still on after {deadline:g} s")

    def wait_cloud_init(self, deadline: float = 120) -> str:
        """Wait until cloud-init has done its work and return its status; the seed of the host made it run."""
        return self.exec("cloud-init status --wait --long", timeout=deadline, check=False).stdout

    def boot_id(self) -> str:
        """Differs after every reboot."""
        return self.exec("systemctl show -p UserspaceTimestampMonotonic --value").stdout.strip()
