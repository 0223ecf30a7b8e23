"""The docker SDK as a ``ClusterEngine``. Nothing outside this package imports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker.errors
import requests.exceptions
from docker import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.tls import TLSConfig

from pymachine.clock import REAL, Clock
from pymachine.engine.client import ask
from pymachine.errors import EngineError, PymachineError
from pymachine.model import Endpoint
from pymachine.swarm_api.api_reader import read, read_all, read_list, read_name
from pymachine.swarm_api.api_types import (
    ApiContainer,
    ApiInfo,
    ApiListedContainer,
    ApiNodeSpec,
    ApiService,
    ApiTask,
    ApiUnlockKey,
    ApiVersioned,
)
from pymachine.swarm_api.bounded_http import BoundedClient
from pymachine.swarm_api.containers import (
    ONE_OFF_LABEL,
    PROJECT_LABEL,
    Container,
    container_of,
    parsed,
    was_restarted,
)
from pymachine.swarm_api.documents import cluster_of, node_of, node_status_of, spec_with, subnets_of
from pymachine.swarm_api.errors import explained, hint_of_member, managing
from pymachine.swarm_api.log_frames import last_lines
from pymachine.swarm_api.protocol import (
    ACTIVE,
    INACTIVE,
    PENDING,
    Cluster,
    NodeChange,
    NodeStatus,
    Rotation,
    SwarmInit,
    SwarmSettings,
)
from pymachine.swarm_api.services import STACK_LABEL, Service, has_ended, service_of
from pymachine.swarm_api.view import SwarmNode, quorum_of

OLDEST = "1.40"  # engine 19.03: address pools and the data path's port; engines from 29.3 on take no older one either
CONTACT = 8.0  # seconds for the first answer: a host that is off must not hold up the look for one that is on
CONFLICT_PATIENCE = 10.0  # seconds for a change that others are faster than, again and again
CONFLICT_PAUSE = 0.2


def connect(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> DockerEngine:
    """Connect with the newest API that both sides speak. Raises as ``ConnectCluster`` says."""
    # The own client says which certificate is at fault where one is, which the SDK cannot.
    answer = ask(endpoint, folder, deadline=min(deadline, CONTACT))
    version = min(_numbers(answer.api_version), _numbers(DEFAULT_DOCKER_API_VERSION))
    version = max(version, _numbers(answer.min_api_version))  # what a Swarm needs has not changed since 1.40
    if version < _numbers(OLDEST):
        raise EngineError(
            f"{endpoint.url} has API version {answer.api_version}, but a Swarm requires {OLDEST} or newer",
            hint="`pymachine upgrade NAME` installs a newer engine",
        )
    spoken = ".".join(map(str, version))
    with explained(endpoint.url):
        tls = _tls(folder) if folder else None
        return DockerEngine(BoundedClient(endpoint, spoken, tls, deadline=deadline), endpoint.url)


class DockerEngine:
    """One engine through the SDK's low-level client."""

    def __init__(self, client: APIClient, url: str, clock: Clock = REAL) -> None:
        self._client = client
        self._url = url
        self._clock = clock

    def node_status(self) -> NodeStatus:
        """Return the engine's place."""
        with explained(self._url):
            return node_status_of(self._client.info())

    def networks(self) -> tuple[str, ...]:
        """Return the networks of the engine's own bridges."""
        with explained(self._url):
            return subnets_of(self._client.networks(filters={"driver": "bridge"}))

    def containers(self, project: str) -> tuple[Container, ...]:
        """Return the containers of a Compose project."""
        with explained(self._url):
            listed = self._client.containers(all=True, filters={"label": f"{PROJECT_LABEL}={project}"})
            rows = read_all(ApiListedContainer, listed)
            ids = [row.Id for row in rows if (row.Labels or {}).get(ONE_OFF_LABEL) != "True"]
            documents = [document for name in ids for document in self._inspected(name)]
            restarted = any(was_restarted(document) for document in documents)
            now = parsed(read(ApiInfo, self._client.info()).SystemTime) if restarted else None
            found = [container_of(document, now) for document in documents]
        return tuple(sorted(found, key=lambda container: container.name))

    def _inspected(self, container: str) -> list[ApiContainer]:
        """Return a container's document; nothing of one that is gone since it was listed."""
        try:
            return [read(ApiContainer, self._client.inspect_container(container))]
        except docker.errors.NotFound:
            return []

    def container_logs(self, container: str, lines: int) -> tuple[str, ...]:
        """Return the last lines of a container's log."""
        with explained(self._url):
            config = read(ApiContainer, self._client.inspect_container(container)).Config
            return self._log(f"/containers/{container}/logs", lines, framed=not (config and config.Tty))

    def init(self, founding: SwarmInit) -> str:
        """Make the engine the first manager of a new Swarm."""
        with explained(self._url, self._hint_of_member):
            node = self._client.init_swarm(
                advertise_addr=founding.advertise,
                listen_addr=_everywhere(founding.advertise),
                swarm_spec=spec_with({}, founding.settings),
                default_addr_pool=list(founding.pools) or None,
                subnet_size=founding.subnet_size if founding.pools else None,
                data_path_port=founding.data_path_port,
            )
            return read_name(node)

    def force_new_cluster(self, advertise: str) -> None:
        """Make the engine the only manager of its Swarm."""
        with explained(self._url, self._hint_of_member):
            # An empty spec: what the Swarm was set to stays as it is.
            self._client.init_swarm(
                advertise_addr=advertise, listen_addr=_everywhere(advertise), force_new_cluster=True, swarm_spec={}
            )

    def join(self, managers: tuple[str, ...], token: str, advertise: str) -> None:
        """Ask managers to be let in."""
        with explained(self._url, lambda: hint_of_member(self._place, joins=True)):
            before = node_status_of(self._client.info()).state
            try:
                self._client.join_swarm(list(managers), token, _everywhere(advertise), advertise)
            except docker.errors.APIError:
                # Not let in within 20 s it goes on by itself, with the status of an engine that is a member already.
                status = self._place() if before == INACTIVE else None
                if status is None or status.state not in (PENDING, ACTIVE):
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
        with self._managing():
            return cluster_of(self._client.inspect_swarm())

    def unlock_key(self) -> str:
        """Return the key that unlocks managers."""
        with self._managing():
            return read(ApiUnlockKey, self._client.get_unlock_key()).UnlockKey

    def change_cluster(self, settings: SwarmSettings, rotation: Rotation) -> None:
        """Change settings, and replace keys."""

        def change(found: ApiVersioned) -> None:
            self._client.update_swarm(
                found.Version.Index,
                spec_with(found.Spec, settings, new_authority=rotation.authority),
                rotate_worker_token=rotation.worker_token,
                rotate_manager_token=rotation.manager_token,
                rotate_manager_unlock_key=rotation.unlock_key,
            )

        self._unless_stale(self._client.inspect_swarm, change)

    def nodes(self) -> tuple[SwarmNode, ...]:
        """Return all nodes."""
        with self._managing():
            return self._nodes()

    def change_node(self, node: str, change: NodeChange) -> None:
        """Change a node; not at all where it is so already."""

        def write(found: ApiVersioned) -> None:
            changed = _changed(found.Spec, change)
            if changed != found.Spec:
                self._client.update_node(node, found.Version.Index, changed)

        self._unless_stale(lambda: self._client.inspect_node(node), write)

    def remove_node(self, node: str, *, force: bool = False) -> None:
        """Forget a node."""
        with self._managing():
            try:
                self._client.remove_node(node, force=force)
            except docker.errors.NotFound:
                return

    def tasks_on(self, node: str) -> int:
        """Return how many tasks of services have not stopped on a node."""
        with self._managing():
            found = read_all(ApiTask, self._client.tasks(filters={"node": node}))
        return sum(not has_ended(task) for task in found)

    def services(self, stack: str = "") -> tuple[Service, ...]:
        """Return the services of stacks."""
        label = {"label": f"{STACK_LABEL}={stack}" if stack else STACK_LABEL}
        with self._managing():
            # Tasks first: a service that is made in between has none yet, and is not taken for one that runs.
            tasks, documents = self._client.tasks(filters=label), self._client.services(filters=label)
            known = read_all(ApiTask, tasks)
            found = [service_of(document, known) for document in read_list(documents, "services")]
        return tuple(sorted(found, key=lambda service: service.name))

    def logs(self, service: str, lines: int) -> tuple[str, ...]:
        """Return the last lines of a service's log."""
        with self._managing():
            template = read(ApiService, self._client.inspect_service(service)).Spec.TaskTemplate
            container = template.ContainerSpec if template else None
            return self._log(f"/services/{service}/logs", lines, framed=not (container and container.TTY))

    def _log(self, path: str, lines: int, *, framed: bool) -> tuple[str, ...]:
        """Return the end of a log. The SDK would read a service's as a stream, for as long as it goes on."""
        url = f"{self._client.base_url}/v{self._client.api_version}{path}"
        asked = {"stdout": "1", "stderr": "1", "tail": str(lines)}
        answer = self._client.get(url, params=asked, timeout=self._client.timeout)
        try:
            answer.raise_for_status()
        except requests.exceptions.HTTPError as error:
            docker.errors.create_api_error_from_http_exception(error)
        return last_lines(answer.content, lines, framed=framed)

    def _nodes(self) -> tuple[SwarmNode, ...]:
        found = map(node_of, read_list(self._client.nodes(), "nodes"))
        return tuple(sorted(found, key=lambda node: (node.hostname, node.id)))

    def _managing(self) -> AbstractContextManager[None]:
        return managing(self._url, self._place, self._has_quorum)

    def _place(self) -> NodeStatus | None:
        """Return the engine's place; None where it does not tell."""
        try:
            return self.node_status()
        except PymachineError:
            return None

    def _has_quorum(self) -> bool:
        """Whether enough managers answer each other; also where that cannot be asked."""
        try:
            with explained(self._url):
                return quorum_of(self._nodes()).holds
        except PymachineError:
            return True

    def _hint_of_member(self) -> str | None:
        return hint_of_member(self._place, joins=False)

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _unless_stale(self, inspect: Callable[[], Any], change: Callable[[ApiVersioned], None]) -> None:
        """Read and write; again where another client's change came in between.

        An engine says that in English alone; its document has another version then.
        """
        with self._managing():
            found = read(ApiVersioned, inspect())
            for _ in self._clock.ticks(CONFLICT_PATIENCE, CONFLICT_PAUSE):
                try:
                    return change(found)
                except docker.errors.APIError as error:
                    now = read(ApiVersioned, inspect())
                    if now.Version == found.Version:
                        raise
                    found, conflict = now, error
            raise conflict


def _changed(spec: Mapping[str, Any], change: NodeChange) -> dict[str, Any]:
    changed = dict(spec)
    if change.role is not None:
        changed["Role"] = change.role
    if change.availability is not None:
        changed["Availability"] = change.availability
    if change.labels is not None:
        changed["Labels"] = change.labels(dict(read(ApiNodeSpec, spec).Labels or {}))
    return changed


def _tls(folder: Path) -> TLSConfig:
    pair = (str(folder / "cert.pem"), str(folder / "key.pem"))
    return TLSConfig(client_cert=pair, ca_cert=str(folder / "ca.pem"), verify=True)


def _everywhere(advertise: str) -> str:
    """Where a manager listens: on all addresses of the family that it advertises."""
    return "[::]:2377" if ":" in advertise else "0.0.0.0:2377"


def _numbers(version: str) -> tuple[int, ...]:
    """Return the two numbers of an API version, none for what is not one."""
    parts = version.split(".")
    return tuple(map(int, parts[:2])) if all(part.isascii() and part.isdecimal() for part in parts) else ()
