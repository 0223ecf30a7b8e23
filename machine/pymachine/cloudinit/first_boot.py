"""How cloud-init carries a ``FirstBoot`` and sees to it that it runs once."""

from __future__ import annotations

import base64
from typing import Any

from pymachine.driver import CarriedFile, FirstBoot
from pymachine.templates import render

BASE = "/run/pymachine-first-boot"
"""Where its files lie: ``.log`` is the command's output, ``.code`` its exit code once it has ended; root only."""

UNIT = "pymachine-first-boot"
PATIENCE = 900  # seconds that the owner's own commands wait for the set-up


def first_boot_config(first_boot: FirstBoot) -> dict[str, Any]:
    """Return the keys of a cloud-config that write its files and run its command once an instance.

    Early: a unit of its own, queued before the files are there, starts once they are, beside the rest of the
    boot. What could not be queued (no systemd) or was dropped is run near the end, as what is not early.
    """
    config: dict[str, Any] = {
        "write_files": [_written(file) for file in first_boot_files(first_boot)],
        "runcmd": [["sh", f"{BASE}.run"]],
    }
    if first_boot.early:
        queue = queue_command(after=("cloud-init.service", "cloud-init-network.service"))
        config["bootcmd"] = [["cloud-init-per", "instance", UNIT, "sh", "-c", queue]]
    return config


def first_boot_files(first_boot: FirstBoot) -> tuple[CarriedFile, ...]:
    """Return its files, and those by which it is run."""
    run = render("cloud-init/run.sh.j2", base=BASE, patience=PATIENCE)
    own = ((f"{BASE}.command", f"{first_boot.command}\n"), (f"{BASE}.run", run))
    return (*first_boot.files, *(CarriedFile(path, text.encode()) for path, text in own))


def queue_command(*, after: tuple[str, ...]) -> str:
    """Return the sh lines that have systemd run it in a unit of its own, as soon as ``after`` is over.

    Without any it is run at once, however little of the system is up, and before the rest: the engine waits for it.
    """
    properties = " ".join(f"-p After={name}" for name in after) or "-p DefaultDependencies=no -p Nice=-10"
    return render("cloud-init/queue.sh.j2", base=BASE, unit=UNIT, after=after, properties=properties)


def _written(file: CarriedFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "owner": "root:root",
        "permissions": f"{file.mode:04o}",  # text: as a number YAML would read it as octal or not, by its version
        "encoding": "b64",
        "content": base64.b64encode(file.content).decode(),
    }
