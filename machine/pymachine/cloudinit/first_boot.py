"""How cloud-init carries a ``FirstBoot`` and runs it exactly once."""

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
    """Return the cloud-config keys that write the files and run the command once per instance.

    An early command runs in its own unit, which is queued before the files exist and starts in parallel to the boot
    when they do. If it could not be queued (no systemd) or was dropped, it runs near the end of the boot, like a
    command that is not early.
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
    """Return the files, and those that run the command."""
    run = render("cloud-init/run.sh.j2", base=BASE, patience=PATIENCE)
    own = ((f"{BASE}.command", f"{first_boot.command}\n"), (f"{BASE}.run", run))
    return (*first_boot.files, *(CarriedFile(path, text.encode()) for path, text in own))


def queue_command(*, after: tuple[str, ...]) -> str:
    """Return the sh lines that have systemd run the command in its own unit, as soon as ``after`` has ended.

    Without ``after`` it runs at once and before the rest of the boot, because the engine waits for it.
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
