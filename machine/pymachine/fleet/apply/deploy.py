"""Deploys stacks with this computer's docker client: to the Swarm through a manager, or to one machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pymachine.docker_environ import docker_environ
from pymachine.errors import CheckFailed, PymachineError
from pymachine.fleet.apply.compose import Compose, Composed
from pymachine.fleet.apply.private_files import private_folder, write_private
from pymachine.fleet.apply.stack_document import stack_document
from pymachine.fleet.apply.subprocesses import RunProgram, run_program
from pymachine.fleet.inventory.model import StackSpec
from pymachine.model import Machine
from pymachine.steps.renewal import client_folder
from pymachine.steps.services import Services
from pymachine.swarm_api.services import Replicas

DEADLINE = 1800.0  # images are pulled and built meanwhile
_VERBS = ("deploy", "rm", "up", "down", "build")


@dataclass(frozen=True, slots=True)
class Docker:
    """The docker client for machines. ``environ`` is the environment of this process."""

    tools: Services
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    run: RunProgram = run_program

    def deploy(self, stack: StackSpec, manager: Machine, nodes: int) -> dict[str, Replicas]:
        """Deploy a stack to the Swarm that ``manager`` manages, of ``nodes`` nodes; return its services there.

        The client is given what Compose made of the files: it would read them in another way, and no `.env` at all.
        """
        composed = self._resolved(stack)
        with self.compose.options(stack) as options, private_folder() as folder:
            self._build_for_swarm(stack, composed, options, manager, nodes)
            files = write_private(folder, composed.contents)
            document = json.dumps(stack_document(composed.document, stack.name, files)).encode()
            prune = ["--prune"] if stack.prune else []
            words = ["stack", "deploy", "--detach=true", "--with-registry-auth", "--compose-file", "-", *prune]
            self._call(stack.name, [*words, stack.name], manager, stack, document)
        return composed.services(stack)

    def up(self, stack: StackSpec, machine: Machine) -> dict[str, Replicas]:
        """Bring a stack up on one machine; return its services there."""
        composed = self._resolved(stack)
        build = ["--build"] if stack.build and composed.builds else []
        prune = ["--remove-orphans"] if stack.prune else []
        with self.compose.options(stack) as options:
            self._call(stack.name, ["compose", *options, "up", "--detach", *build, *prune], machine, stack)
        return composed.services(stack)

    def withdraw(self, name: str, manager: Machine) -> None:
        """Remove a stack from the Swarm; it is not an error if it is already gone."""
        self._call(name, ["stack", "rm", name], manager)

    def down(self, name: str, machine: Machine) -> None:
        """Remove a stack from one machine; its volumes stay. Its files are not needed."""
        self._call(name, ["compose", "-p", name, "down", "--remove-orphans"], machine)

    @property
    def compose(self) -> Compose:
        """Compose as this client's plugin."""
        return Compose(self.environ, self.run)

    def environ_for(self, machine: Machine, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the docker client's environment for a machine, without a proxy."""
        assert machine.endpoint is not None
        folder = client_folder(machine, self.tools.store, self.tools.ask_engine)
        pairs = [
            ("DOCKER_HOST", machine.endpoint.url),
            ("DOCKER_CONTEXT", None),
            ("DOCKER_TLS_VERIFY", "1" if folder else None),
            ("DOCKER_CERT_PATH", str(folder) if folder else None),
        ]
        given = self.environ if environ is None else environ
        return docker_environ(given, pairs, host=machine.endpoint.host)

    def _resolved(self, stack: StackSpec) -> Composed:
        found = self.compose.resolve(stack)
        if not isinstance(found, Composed):
            raise CheckFailed(found.message, hint=found.hint or None)
        return found

    def _build_for_swarm(
        self, stack: StackSpec, composed: Composed, options: Sequence[str], manager: Machine, nodes: int
    ) -> None:
        """Refuse ``build`` without ``image`` in a Swarm of several nodes, which need images that all can pull."""
        found = composed.builds
        if not found or not stack.build:
            return
        if nodes == 1:
            self._call(stack.name, ["compose", *options, "build"], manager, stack)
            return
        unnamed = sorted(name for name, named in found.items() if not named)
        if unnamed:
            raise CheckFailed(
                f"stack {stack.name} builds {', '.join(unnamed)}, but its Swarm has {nodes} nodes",
                hint="build and push the image, and name it with `image:`; or put the stack `on` one machine",
            )

    def _call(
        self,
        name: str,
        words: Sequence[str],
        machine: Machine,
        stack: StackSpec | None = None,
        given: bytes | None = None,
    ) -> None:
        verbs = [word for word in words if word in _VERBS]
        step = " ".join((words[0], *verbs))
        ended = self.run(
            ["docker", *words],
            self.environ_for(machine, self.compose.environ_of(stack) if stack else None),
            deadline=DEADLINE,
            folder=Path(stack.files[0]).parent if stack else None,
            on_line=lambda line: self.tools.reporter.progressed(name, step, line),
            given=given,
        )
        if ended.code:
            last = "".join(f"\n  {line}" for line in ended.lines[-5:])
            raise PymachineError(f"docker {step} for {name} ended with code {ended.code}{last}")
