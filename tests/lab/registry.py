"""A container registry on the bridge of a lab, as a plain process that ends with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.core import Lab
from lab.debs import unpacked
from lab.images import IMAGES, Image, push
from lab.wait import open_direct, wait_http

SERVICE = "registry"


@dataclass(frozen=True)
class Registry:
    """A running registry: `docker pull ADDRESS/busybox` works on hosts that have its insecure_daemon_json."""

    lab: Lab
    address: str
    storage: Path

    @property
    def url(self) -> str:
        """Where its HTTP API is."""
        return f"http://{self.address}"

    def reference(self, image: Image | str) -> str:
        """An image's full name on a host."""
        return f"{self.address}/{image if isinstance(image, str) else image.reference}"

    @property
    def daemon_settings(self) -> dict[str, list[str]]:
        """What a host's daemon.json needs to pull from here without TLS."""
        return {"insecure-registries": [self.address]}

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository, as the registry tells them."""
        answer = json.loads(open_direct(f"{self.url}/v2/{repository}/tags/list"))
        return sorted(answer["tags"])

    def stop(self) -> None:
        """End it; what was pushed stays until the lab is closed."""
        self.lab.end_service(SERVICE)


def _config(storage: Path, address: str) -> str:
    # JSON is YAML: the registry reads it as its configuration file.
    return json.dumps(
        {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
            "http": {"addr": address, "headers": {"X-Content-Type-Options": ["nosniff"]}},
        }
    )


def start_registry(lab: Lab, port: int = 5000, images: Sequence[Image] = IMAGES) -> Registry:
    """Start the registry on the lab's bridge and fill it with small images."""
    binary = unpacked("bookworm", "docker-registry") / "usr/bin/docker-registry"
    storage = lab.home / "registry"
    storage.mkdir(exist_ok=True)
    registry = Registry(lab, f"{lab.address}:{port}", storage)
    config = lab.home / "registry.yml"
    config.write_text(_config(storage, registry.address))
    lab.serve(SERVICE, str(binary), "serve", str(config))
    wait_http(f"{registry.url}/v2/", lambda: lab.service_log(SERVICE))
    for image in images:
        push(registry.url, image)
    return registry
