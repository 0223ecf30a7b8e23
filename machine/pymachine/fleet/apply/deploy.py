"""Deploys stacks with this computer's docker client: to the Swarm through a manager, or to one machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pymachine.docker_environ import docker_environ
from pymachine.errors import CheckFailed, PymachineError
from pymachine.fleet.apply.compose import Composed, for_stack, options, resolve
from pymachine.fleet.apply.private_files import private_folder, write_private
from pymachine.fleet.apply.stack_document import stack_document
from pymachine.fleet.apply.subprocesses import Computer
from pymachine.fleet.inventory.model import StackSpec
from pymachine.model import Machine
from pymachine.steps.renewal import client_folder
from pymachine.steps.services import Services
from pymachine.swarm_api.services import Replicas

DEADLINE = 1800.0  # images are pulled and built meanwhile
ANSWER = 30.0
_VERBS = ("deploy", "rm", "up", "down", "build")


def deploy(
    stack: StackSpec, manager: Machine, nodes: int, tools: Services, computer: Computer
) -> dict[str, Replicas]:
    """Deploy a stack to the Swarm that ``manager`` manages, of ``nodes`` nodes; return its services there.

    The client is given what Compose made of the files: it would read them in another way, and no `.env` at all.
    """
    composed, client = _resolved(stack, computer), for_stack(stack, computer)
    if _is_built(stack, composed, nodes):
        with options(stack, computer.environ) as words:
            _call(stack.name, ["compose", *words, "build"], manager, tools, client)
    with private_folder() as folder:
        files = write_private(folder, composed.contents)
        document = json.dumps(stack_document(composed.document, stack.name, files)).encode()
        prune = ["--prune"] if stack.prune else []
        words = ["stack", "deploy", "--detach=true", "--with-registry-auth", "--compose-file", "-", *prune]
        _call(stack.name, [*words, stack.name], manager, tools, client, document)
    return composed.services(stack)


def specs_of(name: str, manager: Machine, tools: Services) -> dict[str, str]:
    """Return the digests of a stack's services by name, to know them again; none if they cannot be asked for."""
    assert manager.endpoint is not None
    folder = client_folder(manager, tools)
    try:
        with tools.connect_cluster(manager.endpoint, folder, deadline=ANSWER) as engine:
            return {service.name: service.spec for service in engine.services(name) if service.spec}
    except PymachineError as error:
        tools.reporter.notice(
            name, f"changes by others will not be seen, the services could not be asked: {error.message}"
        )
        return {}


def up(stack: StackSpec, machine: Machine, tools: Services, computer: Computer) -> dict[str, Replicas]:
    """Bring a stack up on one machine; return its services there."""
    composed = _resolved(stack, computer)
    build = ["--build"] if stack.build and composed.builds else []
    prune = ["--remove-orphans"] if stack.prune else []
    with options(stack, computer.environ) as words:
        line = ["compose", *words, "up", "--detach", *build, *prune]
        _call(stack.name, line, machine, tools, for_stack(stack, computer))
    return composed.services(stack)


def withdraw(name: str, manager: Machine, tools: Services, computer: Computer) -> None:
    """Remove a stack from the Swarm; it is not an error if it is already gone."""
    _call(name, ["stack", "rm", name], manager, tools, computer)


def down(name: str, machine: Machine, tools: Services, computer: Computer) -> None:
    """Remove a stack from one machine; its volumes stay. Its files are not needed."""
    _call(name, ["compose", "-p", name, "down", "--remove-orphans"], machine, tools, computer)


def client_environ(machine: Machine, tools: Services, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the docker client's environment for a machine, without a proxy."""
    assert machine.endpoint is not None
    folder = client_folder(machine, tools)
    pairs = [
        ("DOCKER_HOST", machine.endpoint.url),
        ("DOCKER_CONTEXT", None),
        ("DOCKER_TLS_VERIFY", "1" if folder else None),
        ("DOCKER_CERT_PATH", str(folder) if folder else None),
    ]
    return docker_environ(environ, pairs, host=machine.endpoint.host)


def _resolved(stack: StackSpec, computer: Computer) -> Composed:
    found = resolve(stack, computer)
    if not isinstance(found, Composed):
        raise CheckFailed(found.message, hint=found.hint or None)
    return found


def _is_built(stack: StackSpec, composed: Composed, nodes: int) -> bool:
    """Whether the images of a stack are built for its Swarm, which only a single node can use.

    Raises ``CheckFailed`` for ``build`` without ``image`` in a Swarm of several nodes, which need images that all
    can pull.
    """
    if not stack.build or not composed.builds or nodes == 1:
        return stack.build and bool(composed.builds)
    unnamed = sorted(name for name, named in composed.builds.items() if not named)
    if unnamed:
        raise CheckFailed(
            f"stack {stack.name} builds {', '.join(unnamed)}, but its Swarm has {nodes} nodes",
            hint="build and push the image, and name it with `image:`; or put the stack `on` one machine",
        )
    return False


def _call(
    name: str, words: Sequence[str], machine: Machine, tools: Services, computer: Computer, given: bytes | None = None
) -> None:
    step = " ".join((words[0], *(word for word in words if word in _VERBS)))
    ended = computer.run(
        ["docker", *words],
        client_environ(machine, tools, computer.environ),
        deadline=DEADLINE,
        on_line=lambda line: tools.reporter.progressed(name, step, line),
        given=given,
    )
    ended.require(f"docker {step} for {name}")
