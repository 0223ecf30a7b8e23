"""The set-up as files and one command, for SSH and for cloud-init."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pymachine.engine.configuration import digest
from pymachine.engine.options import ENVIRONMENT_FILE, TLS_FOLDER
from pymachine.engine.setup import SetupPlan
from pymachine.templates import render
from pymachine.transport import RemoteFile
from pymachine.transport.command import Command

STAGING = "/run/pymachine"  # a tmpfs: what is staged is gone with a reboot
STATE = "/var/lib/pymachine"
EXTRAS_DELAY = 30  # seconds from the end of a set-up to what follows it: its user, or a Swarm, comes first
STALE_MINUTES = 60  # a run takes minutes; what is staged for longer belongs to nobody
SECRET = 0o600
NEVER_RUN = 75  # EX_TEMPFAIL: what the watch of a first boot ends with when the set-up was not run there

# How package managers say that another one is at work (extended regular expression, any case).
LOCK_MESSAGES = "could not get lock|unable to (lock|acquire)|is locked by|lock was locked|waiting for process"


@dataclass(frozen=True, slots=True, repr=False)
class TlsFiles:
    """PEM files of the engine: the CA of the clients' certificates, its certificate and its key."""

    ca: bytes
    cert: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files to place below ``folder`` (0700, root) and the command to run there as root.

    ``run`` prints progress lines (see ``engine.progress``). The work continues if its reader goes away, and removes
    the staged files at its end. ``rollback`` restores what the last run replaced, at any time afterwards.
    """

    folder: str
    files: tuple[RemoteFile, ...]
    run: Command
    rollback: Command


def setup_bundle(plan: SetupPlan, tls: TlsFiles, *, wait_for_cloud_init: bool = True) -> Bundle:
    """Return the bundle of a set-up. ``wait_for_cloud_init`` must be off if cloud-init itself runs it."""
    config = plan.config
    script = render(
        "engine/setup.sh.j2",
        plan=plan,
        port=plan.machine.engine.port,
        tls_folder=TLS_FOLDER,
        environment_file=ENVIRONMENT_FILE,
        final_digest=digest(config.after or config.final),
        allow_http=plan.source.base.startswith("http:") or plan.source.url.startswith("http:"),
        lock_messages=LOCK_MESSAGES,
        wait_for_cloud_init=wait_for_cloud_init,
    )
    texts = {
        "setup.sh": script.encode(),
        "rollback.sh": render("engine/rollback.sh.j2").encode(),
        "exec-start.awk": render("engine/exec-start.awk.j2").encode(),
        "daemon.json": config.final,
        "daemon.before.json": config.before,
        "daemon.after.json": config.after,
        "manifest.json": plan.manifest.text().encode(),
        "recovery.json": plan.recovery.text().encode(),
        "environment": _environment(plan).encode() or None,
        "ca.pem": tls.ca,
        "server.pem": tls.cert,
        "server-key.pem": tls.key,
        "install.sh": plan.source.script.encode() or None,
        "extras.sh": _extras(plan),
        **_repository(plan),
    }
    return make_bundle("setup.sh", texts)


def first_boot_watch(folder: str) -> Command:
    """Return the command that follows the set-up of ``folder`` which the host runs at its first boot.

    Its exit code is that of the set-up, or ``NEVER_RUN`` if the set-up was not run.
    """
    return Command.script(render("engine/first-boot.sh.j2", folder=folder, staging=STAGING, never_run=NEVER_RUN))


def make_bundle(task: str, texts: dict[str, bytes | None]) -> Bundle:
    """Return a bundle of these files and the runner that executes ``task`` detached from the connection."""
    contents = {name: content for name, content in texts.items() if content is not None}
    contents["run.sh"] = render("engine/run.sh.j2", task=task, stale_minutes=STALE_MINUTES).encode()
    files = tuple(RemoteFile(name, content, SECRET) for name, content in sorted(contents.items()))
    folder = f"{STAGING}/{_fingerprint(files)}"
    return Bundle(
        folder=folder,
        files=files,
        run=Command.of("sh", f"{folder}/run.sh"),
        rollback=Command.of("sh", f"{STATE}/rollback.sh"),
    )


def _fingerprint(files: Sequence[RemoteFile]) -> str:
    """Return the folder's name, a hash of its content, so that a running script is never overwritten."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.path}\0{len(file.content)}\0".encode() + file.content)
    return total.hexdigest()[:16]


def _extras(plan: SetupPlan) -> bytes | None:
    """Return the script that installs the packages that follow the engine; it stays on the host."""
    if not plan.source.extras:
        return None
    return render("engine/extras.sh.j2", plan=plan, lock_messages=LOCK_MESSAGES, delay=EXTRAS_DELAY).encode()


def finish_extras() -> Command:
    """Return the command that installs the remaining packages at once, as root; it does nothing if there are none."""
    return Command.script('[ ! -f "$1" ] || sh "$1" run', f"{STATE}/extras.sh")


def _environment(plan: SetupPlan) -> str:
    """The file of the daemon's variables, as systemd reads it or, under OpenRC, as a shell does."""
    return render(f"engine/environment.{plan.init}.j2", pairs=plan.variables) if plan.variables else ""


def _repository(plan: SetupPlan) -> dict[str, bytes | None]:
    source = plan.source
    if source.kind != "docker" or source.own_repo or plan.family is None:
        return {}
    channel = plan.machine.engine.channel
    login = ["docker.auth"] if source.login else []
    names = {"apt": ["docker.sources", "docker.pref", *login]}.get(plan.family, ["docker-ce.repo"])
    return {n: render(f"engine/{n}.j2", source=source, channel=channel, arch="").encode() for n in names}
