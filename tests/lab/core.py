"""The lab: a bridge with hosts on it, and a record of everything so that any process can remove it."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Unpack

from lab.customise import Addresses, customise
from lab.debs import engine_template
from lab.host import Host, start_daemon
from lab.ident import LOCK, Process, boot_id, locked, read_json, read_process, state_dir, write_json
from lab.network import COMMENT, FIRST_HOST, Subnet, choose_subnet, drop_bridge, make_bridge
from lab.options import HostOptions, HostSpec
from lab.prepare import ensure_packages, require_root
from lab.sh import LabError, run
from lab.template import template

INOTIFY_INSTANCES = 4096


@dataclass(frozen=True)
class Record:
    """What lab.json says: enough to remove a lab whose maker is gone."""

    id: str
    name: str
    boot: str
    owner: dict[str, object] | None
    v4: str
    v6: str

    @classmethod
    def load(cls, home: Path) -> Record | None:
        """Read it; None when it is missing."""
        data = read_json(home / "lab.json")
        return cls(**data) if data else None

    def live(self) -> bool:
        """Whether somebody still wants this lab: its maker runs, or it was detached during this boot."""
        if self.boot != boot_id():
            return False
        return self.owner is None or Process(**self.owner).alive()  # type: ignore[arg-type]


class Lab:
    """A bridge and its hosts. Use it as a context manager, or call close(); `Lab.attach` finds a detached one."""

    def __init__(self, record: Record, home: Path) -> None:
        self.record = record
        self.home = home
        self.subnet = Subnet(record.v4, record.v6)
        self._lock = threading.Lock()
        self._next = FIRST_HOST
        self._reserved: set[str] = set()

    # making and finding

    @classmethod
    def create(cls, name: str = "", *, detached: bool = False) -> Lab:
        """Make a lab. A detached one stays until `python -m lab down`; any other ends with this process."""
        require_root()
        ensure_packages()
        if name and any(lab.name == name and lab.record.live() for lab in cls.all()):
            raise LabError(f"there is a lab called {name} already: python -m lab down {name}")
        lab_id = f"pml{uuid.uuid4().hex[:6]}"
        home = state_dir() / lab_id
        with locked(LOCK):
            subnet = choose_subnet()
            owner = None if detached else asdict(Process.of(os.getpid()))
            record = Record(lab_id, name or lab_id, boot_id(), owner, subnet.v4, subnet.v6)
            (home / "hosts").mkdir(parents=True)
            write_json(home / "lab.json", asdict(record))
            lab = cls(record, home)
            lab._set_up()
        return lab

    def _set_up(self) -> None:
        try:
            _allow_many_hosts()
            make_bridge(self.id, self.subnet, f"{COMMENT}:{self.home}")
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.id, "-f", self.key])
        except BaseException:
            self._remove()
            raise
        if self.record.owner is not None:
            atexit.register(self.close)
            _exit_on_sigterm()

    @classmethod
    def all(cls) -> list[Lab]:
        """Every lab with a record in the state folder, live or left over."""
        found = [(Record.load(home), home) for home in sorted(state_dir().glob("pml*"))]
        return [cls(record, home) for record, home in found if record]

    @classmethod
    def attach(cls, name: str) -> Lab:
        """Find a lab by its name or id."""
        for lab in sorted(cls.all(), key=lambda lab: not lab.record.live()):
            if name in (lab.name, lab.id):
                return lab
        raise LabError(f"no lab called {name}; python -m lab ls shows what there is")

    # what it is

    @property
    def id(self) -> str:
        """Its id, which is also the bridge's name."""
        return self.record.id

    @property
    def name(self) -> str:
        """What its maker called it."""
        return self.record.name

    @property
    def address(self) -> str:
        """The outer machine's address on the bridge, where registry and repositories are served."""
        return self.subnet.address(1)

    @property
    def address6(self) -> str:
        """The same in IPv6."""
        return self.subnet.address6(1)

    @property
    def key(self) -> Path:
        """The private key that opens its hosts."""
        return self.home / "key"

    @property
    def hosts(self) -> list[Host]:
        """Its hosts, in the order of their names."""
        found = [Host.load(home) for home in sorted((self.home / "hosts").glob("*"))]
        return [host for host in found if host]

    def host(self, name: str) -> Host:
        """One host by name."""
        host = Host.load(self.home / "hosts" / name)
        if host is None:
            raise LabError(f"no host called {name} in lab {self.name}")
        return host

    # hosts

    def boot(self, name: str, suite: str = "trixie", *, wait: bool = True, **options: Unpack[HostOptions]) -> Host:
        """Make a host and boot it; with wait, return when it lets us in over SSH."""
        host = self.define(HostSpec(name, suite, **options))
        host.start()
        if wait:
            host.wait_ssh()
        return host

    def boot_many(self, specs: Sequence[HostSpec], *, wait: bool = True) -> list[Host]:
        """Boot several at once."""
        for suite, engine in sorted({(spec.suite, spec.engine) for spec in specs}):
            engine_template(suite) if engine else template(suite)
        with ThreadPoolExecutor(max_workers=4) as pool:
            hosts = list(pool.map(self.define, specs))
            list(pool.map(Host.start, hosts))
            if wait:
                list(pool.map(lambda host: host.wait_ssh(60 + 3 * len(hosts)), hosts))
        return hosts

    def define(self, spec: HostSpec) -> Host:
        """Make a host without booting it."""
        base = engine_template(spec.suite) if spec.engine else template(spec.suite)
        with self._lock:
            host = self._record(spec, base)
        try:
            host.tree.make(spec.disk_limit)
            addresses = Addresses(host.address, host.address6, self.address)
            customise(host.root, spec, addresses, self.key.with_suffix(".pub").read_text())
        except BaseException:
            host.destroy()
            raise
        return host

    def _record(self, spec: HostSpec, base: Path) -> Host:
        home = self.home / "hosts" / spec.name
        if home.exists():
            raise LabError(f"there is a host called {spec.name} in this lab")
        taken = {host.address for host in self.hosts}
        index = int(spec.address.rpartition(".")[2]) if spec.address else self._free_index(taken)
        address = self.subnet.address(index)
        if address in taken or spec.address not in (None, address):
            raise LabError(f"{spec.address or address} is taken or not in {self.subnet.v4}")
        user = "root" if spec.root_login or not spec.users else spec.users[0].name
        place = (address, self.subnet.address6(index), f"{self.id}-{index}", self.id)
        home.mkdir()
        host = Host(spec.name, spec.suite, *place, home, base, self.key, user, spec.ssh_port, self.address)
        host.save()
        return host

    def _free_index(self, taken: set[str]) -> int:
        """The next index never handed out in this process: a fresh host gets no old host's address."""
        for _ in range(240):
            index, self._next = self._next, FIRST_HOST + (self._next + 1 - FIRST_HOST) % 240
            if self.subnet.address(index) not in taken | self._reserved:
                return index
        raise LabError("the lab's /24 is full")

    def addresses(self, count: int) -> list[str]:
        """Reserve IPv4 addresses for hosts that are booted later with them (cloud instances, virtual machines)."""
        with self._lock:
            taken = {host.address for host in self.hosts}
            found = [self.subnet.address(self._free_index(taken)) for _ in range(count)]
            self._reserved |= set(found)
            return found

    def give_back(self, addresses: Sequence[str]) -> None:
        """Let other hosts have reserved addresses again."""
        with self._lock:
            self._reserved -= set(addresses)

    # services on the bridge

    def serve(self, name: str, *argv: str) -> Process:
        """Start a program beside the hosts, such as a registry; it ends with the lab."""
        folder = self.home / "services"
        folder.mkdir(exist_ok=True)
        if (old := read_process(folder / f"{name}.json")) and old.alive():
            raise LabError(f"{name} is being served already")
        return start_daemon(folder / f"{name}.json", folder / f"{name}.log", *argv)

    def service_log(self, name: str) -> str:
        """What a service has printed."""
        return (self.home / "services" / f"{name}.log").read_text(errors="replace")

    def end_service(self, name: str) -> None:
        """Stop one service."""
        path = self.home / "services" / f"{name}.json"
        if process := read_process(path):
            process.end()
        path.unlink(missing_ok=True)

    # ending

    def close(self) -> None:
        """End and remove everything this lab started; safe to call again, and by another process."""
        atexit.unregister(self.close)
        if self.home.exists():
            with locked(self.home / ".closing"):
                self._remove()

    def _remove(self) -> None:
        for path in (self.home / "services").glob("*.json"):
            self.end_service(path.stem)
        _each(Host.destroy, self.hosts)
        drop_bridge(self.id)
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.record.owner is not None:
            self.close()


def _allow_many_hosts() -> None:
    """Raise what the kernel grants one user: all hosts' root users are the same to it, and systemd watches much."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < INOTIFY_INSTANCES:
        limit.write_text(str(INOTIFY_INSTANCES))


def _each(action: Callable[[Host], None], hosts: list[Host]) -> None:
    """Do it to all hosts at once, or one by one where the interpreter is ending and starts no more threads."""
    try:
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(action, hosts))
    except RuntimeError:
        for host in hosts:
            action(host)


def _exit_on_sigterm() -> None:
    """Turn SIGTERM into an ordinary exit, so that close runs; leaves a handler that is there alone."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGTERM, leave)
