"""The docker SDK as a ``ClusterEngine``. Nothing outside this package imports it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker.errors
from docker import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.tls import TLSConfig

from pymachine.engine.client import ask
from pymachine.errors import EngineError
from pymachine.model import Endpoint
from pymachine.swarm_api.containers import (
    ONE_OFF_LABEL,
    PROJECT_LABEL,
    Container,
    container_of,
    parsed,
    was_restarted,
)
from pymachine.swarm_api.documents import cluster_of, node_of, spec_with, standing_of
from pymachine.swarm_api.errors import explained, said
from pymachine.swarm_api.protocol import Cluster, EngineSwarmState, NodeChange, Rotation, SwarmInit, SwarmSettings
from pymachine.swarm_api.services import STACK_LABEL, Service, service_of
from pymachine.swarm_api.view import SwarmNode

OLDEST = "1.40"  # engine 19.03: address pools and the data path's port; engines from 29.3 on take no older one either
CONTACT = 8.0  # seconds for the first answer: a host that is off must not hold up the look for one that is on
CONFLICTS = 10
LOG_LINE = 300  # characters
CONFLICT_PAUSE = 0.2
_GONE_ON = "will continue in the background"
_STALE = "out of sequence"
_ENDED = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})


def connect(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> DockerEngine:
    """Connect with the newest API that both sides speak. Raises as ``ConnectCluster`` says."""
    # The own client says which certificate is at fault where one is, which the SDK cannot.
    answer = ask(endpoint, folder, deadline=min(deadline, CONTACT))
    version = min(answer.api_version, DEFAULT_DOCKER_API_VERSION, key=_numbers)
    version = max(version, answer.min_api_version, key=_numbers)  # what a Swarm needs has not changed since 1.40
    if _numbers(version) < _numbers(OLDEST):
        raise EngineError(
            f"{endpoint.url} speaks API {answer.api_version}, a Swarm requires {OLDEST} or newer",
            hint="`pymachine upgrade NAME` installs a newer engine",
        )
    tls = folder is not None and TLSConfig(
        client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")), ca_cert=str(folder / "ca.pem"), verify=True
    )
    with explained(endpoint.url):
        client = APIClient(base_url=endpoint.url, version=version, tls=tls, timeout=deadline)
    client.trust_env = False  # no proxy and no authority of this machine's environment comes between
    return DockerEngine(client, endpoint.url)


class DockerEngine:
    """One engine through the SDK's low-level client."""

    def __init__(self, client: APIClient, url: str) -> None:
        self._client = client
        self._url = url

    def standing(self) -> EngineSwarmState:
        """Return the engine's place."""
        with explained(self._url):
            return standing_of(self._client.info())

    def networks(self) -> tuple[str, ...]:
        """Return the networks of the engine's own bridges."""
        with explained(self._url):
            found = self._client.networks(filters={"driver": "bridge"})
        configs = [config for network in found for config in (network.get("IPAM") or {}).get("Config") or ()]
        return tuple(config["Subnet"] for config in configs if config.get("Subnet"))

    def containers(self, project: str) -> tuple[Container, ...]:
        """Return the containers of a Compose project."""
        with explained(self._url):
            listed = self._client.containers(all=True, filters={"label": f"{PROJECT_LABEL}={project}"})
            try:
                ids = [one["Id"] for one in listed if (one.get("Labels") or {}).get(ONE_OFF_LABEL) != "True"]
                documents = [document for name in ids for document in self._inspected(str(name))]
                restarted = any(was_restarted(document) for document in documents)
                now = parsed(str(self._client.info()["SystemTime"])) if restarted else None
                found = [container_of(document, now) for document in documents]
            except (TypeError, AttributeError) as error:
                raise ValueError(f"a container of a wrong shape ({error})") from None
        return tuple(sorted(found, key=lambda container: container.name))

    def _inspected(self, container: str) -> list[Any]:
        """Return a container's document; nothing of one that is gone since it was listed."""
        try:
            return [self._client.inspect_container(container)]
        except docker.errors.NotFound:
            return []

    def container_logs(self, container: str, lines: int) -> tuple[str, ...]:
        """Return the last lines of a container's log."""
        with explained(self._url):
            return _lines(self._client.logs(container, stdout=True, stderr=True, tail=lines), lines)

    def init(self, founding: SwarmInit) -> str:
        """Make the engine the first manager of a new Swarm."""
        with explained(self._url):
            return str(
                self._client.init_swarm(
                    advertise_addr=founding.advertise,
                    listen_addr=_everywhere(founding.advertise),
                    swarm_spec=spec_with({}, founding.settings),
                    default_addr_pool=list(founding.pools) or None,
                    subnet_size=founding.subnet_size if founding.pools else None,
                    data_path_port=founding.data_path_port,
                )
            )

    def force_new_cluster(self, advertise: str) -> None:
        """Make the engine the only manager of its Swarm."""
        with explained(self._url):
            # An empty spec: what the Swarm was set to stays as it is.
            self._client.init_swarm(
                advertise_addr=advertise, listen_addr=_everywhere(advertise), force_new_cluster=True, swarm_spec={}
            )

    def join(self, managers: tuple[str, ...], token: str, advertise: str) -> None:
        """Ask managers to be let in."""
        with explained(self._url):
            try:
                self._client.join_swarm(list(managers), token, _everywhere(advertise), advertise)
            except docker.errors.APIError as error:
                if _GONE_ON not in said(error):
                    raise

    def leave(self, *, force: bool = False) -> None:
        """Leave."""
        with explained(self._url):
            self._client.leave_swarm(force=force)

    def unlock(self, key: str) -> None:
        """Unlock a manager that restarted."""
        with explained(self._url):
            self._client.unlock_swarm(key)

    def cluster(self) -> Cluster:
        """Return the Swarm."""
        with explained(self._url):
            return cluster_of(self._client.inspect_swarm())

    def unlock_key(self) -> str:
        """Return the key that unlocks managers."""
        with explained(self._url):
            return str(self._client.get_unlock_key().get("UnlockKey") or "")

    def change_cluster(self, settings: SwarmSettings, rotation: Rotation) -> None:
        """Change settings, and make keys anew."""

        def attempt() -> None:
            document = self._client.inspect_swarm()
            self._client.update_swarm(
                document["Version"]["Index"],
                spec_with(document["Spec"], settings, new_authority=rotation.authority),
                rotate_worker_token=rotation.worker_token,
                rotate_manager_token=rotation.manager_token,
                rotate_manager_unlock_key=rotation.unlock_key,
            )

        self._unless_stale(attempt)

    def nodes(self) -> tuple[SwarmNode, ...]:
        """Return all nodes."""
        with explained(self._url):
            found = [node_of(document) for document in self._client.nodes()]
        return tuple(sorted(found, key=lambda node: (node.hostname, node.id)))

    def change_node(self, node: str, change: NodeChange) -> None:
        """Change a node; not at all where it is so already."""

        def attempt() -> None:
            document = self._client.inspect_node(node)
            spec = document["Spec"]
            changed = _changed(spec, change)
            if changed != spec:
                self._client.update_node(node, document["Version"]["Index"], changed)

        self._unless_stale(attempt)

    def remove_node(self, node: str, *, force: bool = False) -> None:
        """Forget a node."""
        with explained(self._url):
            try:
                self._client.remove_node(node, force=force)
            except docker.errors.NotFound:
                return

    def tasks_on(self, node: str) -> int:
        """Return how many tasks of services have not stopped on a node."""
        with explained(self._url):
            found = self._client.tasks(filters={"node": node})
        return sum(task["Status"]["State"] not in _ENDED for task in found)

    def services(self, stack: str = "") -> tuple[Service, ...]:
        """Return the services of stacks."""
        label = {"label": f"{STACK_LABEL}={stack}" if stack else STACK_LABEL}
        with explained(self._url):
            # Tasks first: a service that is made in between has none yet, and is not taken for one that runs.
            tasks, documents = self._client.tasks(filters=label), self._client.services(filters=label)
            try:
                found = [service_of(document, tasks or ()) for document in documents]
            except (TypeError, AttributeError) as error:
                raise ValueError(f"a service of a wrong shape ({error})") from None
        return tuple(sorted(found, key=lambda service: service.name))

    def logs(self, service: str, lines: int) -> tuple[str, ...]:
        """Return the last lines of a service's log."""
        with explained(self._url):
            told = self._client.service_logs(service, stdout=True, stderr=True, tail=lines, is_tty=False)
            return _lines(told, lines)

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _unless_stale(self, attempt: Callable[[], None]) -> None:
        """Try again where somebody else's change came between reading and writing."""
        with explained(self._url):
            for _ in range(CONFLICTS):
                try:
                    return attempt()
                except docker.errors.APIError as error:
                    if _STALE not in said(error):
                        raise
                    time.sleep(CONFLICT_PAUSE)
            return attempt()


def _lines(told: Any, lines: int) -> tuple[str, ...]:
    text = (told if isinstance(told, bytes) else b"".join(told)).decode(errors="replace")
    return tuple(line.rstrip()[:LOG_LINE] for line in text.splitlines() if line.strip())[-lines:]


def _changed(spec: dict[str, Any], change: NodeChange) -> dict[str, Any]:
    changed = dict(spec)
    if change.role is not None:
        changed["Role"] = change.role
    if change.availability is not None:
        changed["Availability"] = change.availability
    if change.labels is not None:
        changed["Labels"] = change.labels(dict(spec.get("Labels") or {}))
    return changed


def _everywhere(advertise: str) -> str:
    """Where a manager listens: on all addresses of the family that it advertises."""
    return "[::]:2377" if ":" in advertise else "0.0.0.0:2377"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
