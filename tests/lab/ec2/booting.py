"""An EC2 that boots: every instance of the test EC2 is a real host of the lab, with its user-data run by cloud-init.

A thread watches the instances and makes the hosts follow: boots them at the private address with the public one
beside it, shows what cloud-init prints as console output, powers them as the API says, and removes them with the
instance. The API calls an instance stopped or terminated only once its host is off or gone.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shlex
import threading
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from lab.core import Lab
from lab.customise import put
from lab.ec2.catalogue import AMAZON, CANONICAL, DEBIAN
from lab.ec2.server import Ec2Server
from lab.host import Host
from lab.options import HostOptions, HostSpec, Seed
from lab.sh import LabError

PRIVATE, PUBLIC = 12, 24  # addresses of each kind that one test can have in use
FOREVER_MS = 600_000
LOOK_EVERY = 0.1
CONSOLE_LIMIT = 64 * 1024  # what EC2 keeps
CONSOLE_EVERY = 0.5
FINISHED = " finished at "  # cloud-init's last word
KEY_SECONDS = 60
ON = ("pending", "running")
OFF = ("stopping", "stopped")
USERS = {CANONICAL: "ubuntu", DEBIAN: "admin", AMAZON: "ec2-user"}
PUBLIC_UNIT = "etc/systemd/network/10-host0.network.d/public.conf"
KEYS_PROGRAM = "/usr/local/sbin/instance-connect-keys"
# The agent of Instance Connect asks the metadata service for keys; here they lie in files with their time of expiry.
KEYS_SCRIPT = """\
#!/bin/sh
now=$(date +%s)
[ -r "/run/instance-connect/$1" ] || exit 0
while read -r until key; do
    [ "$now" -ge "$until" ] || echo "$key"
done <"/run/instance-connect/$1"
"""


@dataclass
class Booted:
    """An instance's host, and what it was last told."""

    host: Host
    public: str | None
    reboots: int = 0
    on: bool = True
    told: str = ""
    next_look: float = 0.0


@dataclass
class Watched:
    """What the last look at the test EC2 showed of one instance."""

    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Its state; one that EC2 has forgotten is terminated."""
        return str(self.shown.get("state", "terminated"))


class BootingEc2:
    """The test EC2 with a lab behind it; a context manager.

    options: how hosts are made from now on, such as {"engine": True} for images with Docker inside.
    """

    def __init__(self, server: Ec2Server, lab: Lab, region: str = "us-east-1") -> None:
        self.server = server
        self.lab = lab
        self.region = region
        self.options: HostOptions = {}
        self.failures: list[str] = []
        self.network: dict[str, str] = {}
        self._booted: dict[str, Booted] = {}
        self._jobs: dict[str, Future[None]] = {}
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(4)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._addresses: list[str] = []
        self._keys_done = 0

    def __enter__(self) -> BootingEc2:
        self._addresses = self.lab.addresses(PRIVATE + PUBLIC)
        private, public = self._addresses[:PRIVATE], self._addresses[PRIVATE:]
        self.server.reset(
            private_pool=private,
            public_pool=public,
            stopping_ms=FOREVER_MS,
            shutting_down_ms=FOREVER_MS,
            checkip=self.lab.address,
            keys_awaited=True,
        )
        self.network = self.server.network(self.lab.subnet.v4, self.region, self.lab.subnet.v6)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._pool.shutdown()
        for booted in self._booted.values():
            booted.host.destroy()
        self.lab.give_back(self._addresses)
        if self.failures and error is None:
            raise LabError("\n".join(self.failures))

    def host(self, instance: str) -> Host:
        """The host of an instance."""
        return self._booted[instance].host

    @property
    def hosts(self) -> dict[str, Host]:
        """All hosts by their instance's id."""
        return {name: booted.host for name, booted in dict(self._booted).items()}

    # following

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            try:
                self._look()
            except (LabError, OSError):
                self.failures.append(traceback.format_exc())
                return

    def _look(self) -> None:
        watched = {item["id"]: Watched(item) for item in self.server.instances()}
        for name in {*watched, *self._booted}:
            job = self._jobs.get(name)
            if job is None or job.done():
                self._jobs[name] = self._pool.submit(self._follow, name, watched.get(name, Watched()))
        self._put_keys()

    def _follow(self, name: str, watched: Watched) -> None:
        try:
            self._step(name, watched)
        except Exception:  # noqa: BLE001 - a thread's end: shown when the lab is closed
            self.failures.append(f"{name}: {traceback.format_exc()}")

    def _step(self, name: str, watched: Watched) -> None:
        booted = self._booted.get(name)
        if watched.state in ON:
            self._keep_on(name, watched, booted)
        elif watched.state in OFF:
            if booted and booted.on:
                self._switch_off(booted)
            self._settle(name, "stopped", "stopping")
        else:
            if booted:
                booted.host.destroy()
                del self._booted[name]
            self._settle(name, "terminated", "shutting-down")

    def _settle(self, name: str, state: str, was: str) -> None:
        if any(item["id"] == name and item["state"] == was for item in self.server.instances()):
            self.server.settle(name, state, was)

    def _keep_on(self, name: str, watched: Watched, booted: Booted | None) -> None:
        if booted is None:
            self._boot(name, watched)
        elif not booted.on:
            self._switch_on(booted, watched)
        elif not booted.host.running:
            booted.on = False  # it powered itself off, which stops the instance
            self.server.settle(name, "stopped", "running")
        elif watched.shown["reboots"] > booted.reboots:
            booted.reboots = watched.shown["reboots"]
            booted.told = ""
            booted.host.exec("systemctl reboot", check=False)
        else:
            self._tell_console(name, booted)

    # the hosts

    def _boot(self, name: str, watched: Watched) -> None:
        shown = watched.shown
        suite = "bookworm" if shown["image"].startswith("debian-12") else "trixie"
        seed = Seed(base64.b64decode(shown["user_data"]), _meta_data(shown))
        files = {
            f"/{PUBLIC_UNIT}": (_more_addresses(shown), 0o644),
            "/etc/cloud/cloud.cfg.d/96-image.cfg": (_image_config(USERS.get(shown["owner"], "admin")), 0o644),
            KEYS_PROGRAM: (KEYS_SCRIPT, 0o755),
        }
        given: HostOptions = {"root_login": False, "seed": seed, "address": shown["private"], **self.options}
        given["files"] = {**files, **self.options.get("files", {})}
        given["sshd"] = [f"AuthorizedKeysCommand {KEYS_PROGRAM} %u", "AuthorizedKeysCommandUser root"]
        host = self.lab.define(HostSpec(name, suite, **given))
        self._booted[name] = Booted(host, shown["public"])
        host.start()

    def _switch_on(self, booted: Booted, watched: Watched) -> None:
        booted.public = watched.shown["public"]
        booted.host.tree.mount()
        put(booted.host.root, PUBLIC_UNIT, _more_addresses(watched.shown))
        booted.host.start()
        booted.on = True

    def _switch_off(self, booted: Booted) -> None:
        booted.host.stop()
        booted.on, booted.told = False, ""

    def _tell_console(self, name: str, booted: Booted) -> None:
        if time.monotonic() < booted.next_look or FINISHED in booted.told:
            return
        booted.next_look = time.monotonic() + CONSOLE_EVERY
        with contextlib.suppress(LabError):  # no init yet, or not any more
            # The console as a virtual machine has it: a container's cloud-init finds none and writes to the journal.
            text = booted.host.exec("journalctl -b -o cat -t cloud-init").stdout[-CONSOLE_LIMIT:]
            if text != booted.told:
                self.server.console(name, text)
                booted.told = text

    def _put_keys(self) -> None:
        sent = self.server.sent_keys()
        for key in sent[self._keys_done :]:
            if booted := self._booted.get(key["instance"]):
                _put_key(booted.host, key["user"], key["key"], key["at"])
        if len(sent) != self._keys_done:
            self._keys_done = len(sent)
            self.server.ask("taken", {"count": self._keys_done})


def _put_key(host: Host, user: str, key: str, at: float) -> None:
    line = f"{int(at) + KEY_SECONDS} {key.strip()}"
    place = shlex.quote(f"/run/instance-connect/{user}")
    host.exec(f"mkdir -p /run/instance-connect && printf '%s\\n' {shlex.quote(line)} >>{place}", check=False)


def _more_addresses(shown: dict[str, Any]) -> str:
    """The public and IPv6 addresses of the interface: EC2 translates public ones, here they are the host's own."""
    public = [f"{shown['public']}/24"] if shown["public"] else []
    found = [*public, *(f"{address}/64" for address in shown["ipv6"])]
    return "".join(f"[Address]\nAddress={address}\nDuplicateAddressDetection=none\n" for address in found)


def _meta_data(shown: dict[str, Any]) -> str:
    data: dict[str, Any] = {"instance-id": shown["id"], "local-hostname": shown["hostname"]}
    if shown["key"]:
        data["public-keys"] = [shown["key"].strip()]
    return json.dumps(data) + "\n"


def _image_config(user: str) -> str:
    """The user that the image's makers gave it."""
    default = {
        "name": user,
        "gecos": user,
        "lock_passwd": True,
        "shell": "/bin/bash",
        "sudo": ["ALL=(ALL) NOPASSWD:ALL"],
    }
    return json.dumps({"system_info": {"default_user": default}}) + "\n"
