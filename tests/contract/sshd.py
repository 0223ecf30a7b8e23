"""A real sshd on a loopback port, with keys, configuration and accounts of its own; nothing of it stays."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from patience import LIMIT

PROGRAM = shutil.which("sshd") or "/usr/sbin/sshd"
KINDS = ("ed25519", "ecdsa", "rsa")


def require_sshd() -> None:
    """Skip where sshd cannot be had, but fail in CI."""
    missing = [what for what, there in _needs().items() if not there]
    if missing and os.environ.get("CI"):
        pytest.fail(f"CI has to run these tests, but lacks {', '.join(missing)}")
    if missing:
        pytest.skip(f"no {', '.join(missing)} here")


def _needs() -> dict[str, bool]:
    return {
        "root": os.getuid() == 0,
        "sshd (package openssh-server)": Path(PROGRAM).exists(),
        "ssh-keygen": shutil.which("ssh-keygen") is not None,
    }


def make_key(path: Path, kind: str = "ed25519", *, passphrase: str = "", form: str | None = None) -> Path:
    """Make a key pair; ``form`` is PEM or PKCS8 in place of OpenSSH's own format."""
    words = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run([*words, *(["-m", form] if form else [])], check=True, stdin=subprocess.DEVNULL)
    return path


@dataclass
class Sshd:
    """A running sshd. ``authorize`` lets a key log in to an account."""

    folder: Path
    port: int
    settings: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def authorize(self, account: str, *keys: Path, options: str = "") -> None:
        lines = [f"{options} {key.with_name(key.name + '.pub').read_text()}" for key in keys]
        (self.folder / "authorized" / account).write_text("".join(line.lstrip() for line in lines))

    def public_key(self, kind: str) -> str:
        return (self.folder / f"host_{kind}.pub").read_text().rsplit(maxsplit=1)[0]

    def fingerprint(self, kind: str) -> str:
        out = subprocess.run(
            ["ssh-keygen", "-lf", str(self.folder / f"host_{kind}.pub")], check=True, capture_output=True, text=True
        )
        return out.stdout.split()[1]

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        for kind in self.kinds:
            if not (self.folder / f"host_{kind}").exists():
                make_key(self.folder / f"host_{kind}", kind)
        (self.folder / "authorized").mkdir(exist_ok=True)
        (self.folder / "config").write_text("\n".join(self._config()) + "\n")
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([PROGRAM, "-D", "-e", "-f", str(self.folder / "config")], stderr=log)
        self._await_greeting()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(LIMIT)
            self._process = None

    def _config(self) -> Iterator[str]:
        yield from self.settings  # the first line on a subject counts
        yield from (f"HostKey {self.folder / f'host_{kind}'}" for kind in self.kinds)
        yield f"Port {self.port}"
        yield "ListenAddress 127.0.0.1"
        yield "ListenAddress ::1"
        yield f"AuthorizedKeysFile {self.folder}/authorized/%u"
        yield f"PidFile {self.folder}/pid"
        yield "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no"
        if _knows("PerSourcePenalties"):  # since 9.8: it locks out whoever fails often, as these tests do on purpose
            yield "PerSourcePenalties no"
        yield "PermitRootLogin prohibit-password\nLogLevel VERBOSE\nMaxStartups 100\nSubsystem sftp internal-sftp"

    def _await_greeting(self) -> None:
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as sock:
                    if sock.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"sshd did not start: {self.log()}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@cache
def _knows(option: str) -> bool:
    """Whether this sshd has the option."""
    words = [PROGRAM, "-t", "-f", "/dev/null", "-o", f"{option}=no"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, check=False).stderr
    return "Bad configuration option" not in said


@contextmanager
def running_sshd(*settings: str, kinds: tuple[str, ...] = KINDS) -> Iterator[Sshd]:
    """Run an sshd with further ``settings`` lines for the length of the block; its folder goes with it."""
    with tempfile.TemporaryDirectory(prefix="pymachine-sshd-") as name:
        # sshd reads the list of keys as the account that logs in, so pytest's own private folders will not do.
        Path(name).chmod(0o755)
        server = Sshd(Path(name), free_port(), settings, kinds)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@dataclass(frozen=True)
class Account:
    name: str
    password: str


@contextmanager
def account(name: str, *, login: str = "/bin/sh", sudoers: str | None = None) -> Iterator[Account]:
    """Make an account and, with ``sudoers`` (``NAME`` stands for it), its sudo rule; take both away again."""
    password = f"pw-{name}-{os.getpid()}"
    rule = Path("/etc/sudoers.d") / f"pymachine-test-{name}"
    subprocess.run(["useradd", "-m", "-s", login, name], check=True, capture_output=True)
    try:
        subprocess.run(["chpasswd"], input=f"{name}:{password}".encode(), check=True)
        if sudoers is not None:
            rule.write_text(sudoers.replace("NAME", name) + "\n")
            rule.chmod(0o440)
        yield Account(name, password)
    finally:
        rule.unlink(missing_ok=True)
        subprocess.run(["userdel", "-rf", name], check=False, capture_output=True)
