"""Runs this computer's Compose to resolve the files of a stack."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pymachine import expansion
from pymachine.docker_environ import docker_environ
from pymachine.errors import PymachineError
from pymachine.fleet.apply.compose_variables import Ask, Missing, missing, variables
from pymachine.fleet.apply.private_files import private_folder, quoted, write
from pymachine.fleet.apply.subprocesses import CompletedProgram, Computer, NotInstalled
from pymachine.fleet.inventory.model import StackSpec
from pymachine.fleet.plan.observed import Unresolved, Why
from pymachine.swarm_api.services import Replicas
from pymachine.user_path import read_whole

DEADLINE = 120.0  # seconds: an `include` may be fetched from afar
OLDEST = 2  # the first that is a plugin of the client, and prints JSON
# What the docker client and its plugins need of their own environment: a stack's variables do not replace it.
_CLIENTS_OWN = re.compile(
    "PATH|HOME|DOCKER_(API_VERSION|AUTH_CONFIG|BUILDKIT|CERT_PATH|CONFIG|CONTENT_TRUST|CONTENT_TRUST_SERVER|CONTEXT"
    "|CUSTOM_HEADERS|DEFAULT_PLATFORM|HIDE_LEGACY_COMMANDS|HOST|TLS|TLS_VERIFY)"
)
_YES = ("1", "t", "true", "y", "yes")
_OF_MACHINE = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")  # set where the client speaks to a machine
_VERSION = re.compile(r"v?(\d+)\.\d+")
_INSTALL = "install Docker's Compose plugin (docker-compose-plugin or docker-compose) on this computer"


@dataclass(frozen=True, slots=True)
class Composed:
    """The resolved files of a stack: one document with all included files and the values of all variables.

    ``contents`` are the values of its configs and secrets, as ``configs.NAME``, ``secrets.NAME``. Both contain
    secrets.
    """

    document: Mapping[str, Any] = field(repr=False)
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def digest(self, stack: StackSpec) -> str:
        """Return the SHA-256 of everything with which the stack is deployed.

        The contents of an image or a build folder are not in it: a stack with an unchanged tag has to be deployed
        again by hand.
        """
        found = hashlib.sha256(json.dumps(self.document, sort_keys=True).encode())
        for name, content in sorted(self.contents.items()):
            found.update(f"\0{name}\0{len(content)}\0".encode() + content)
        found.update(json.dumps({"build": stack.build, "prune": stack.prune}).encode())
        return found.hexdigest()

    def services(self, stack: StackSpec) -> dict[str, Replicas]:
        """Return the services that shall run, as they are called in a Swarm, or by Compose for a stack on a machine,
        with how many tasks or containers of each.
        """
        services = self.document.get("services") or {}
        if stack.on:
            given = {name: one.get("scale", _deploy(one).get("replicas")) for name, one in services.items()}
            return {name: _replicas(count) for name, count in given.items() if count != 0}
        return {f"{stack.name}_{name}": _tasks(_deploy(one)) for name, one in services.items()}

    @property
    def builds(self) -> dict[str, bool]:
        """The services with ``build``, and whether they also have ``image``."""
        services = self.document.get("services") or {}
        return {name: bool(one.get("image")) for name, one in services.items() if one.get("build")}


def _deploy(service: Mapping[str, Any]) -> Mapping[str, Any]:
    found = service.get("deploy")
    return found if isinstance(found, dict) else {}


def _tasks(deploy: Mapping[str, Any]) -> Replicas:
    """Return how many tasks a service has; a global one has one on each node that it may run on."""
    return Replicas(0) if str(deploy.get("mode", "")).startswith("global") else _replicas(deploy.get("replicas"))


def _replicas(count: Any) -> Replicas:
    """Return a number of replicas; where none is given there is one, and somebody may make more of it."""
    return Replicas(count, count) if isinstance(count, int) and count >= 0 else Replicas()


def resolve(stack: StackSpec, computer: Computer) -> Composed | Unresolved:
    """Resolve a stack's files; nothing is changed, and no engine is asked."""
    overgrown = _overgrown(stack)
    if overgrown is not None:
        return overgrown
    with options(stack, computer.environ) as words:
        return _resolved(stack, words, computer)


def without_compose(computer: Computer) -> Unresolved | None:
    """Return why the docker client has no usable Compose; None if it has one."""
    try:
        ended = _run(computer, ["version", "--short"])
    except NotInstalled as error:
        return Unresolved(Why.NO_CLIENT, error.message, "install the docker client on this computer")
    except PymachineError as error:
        return Unresolved(Why.NOT_ASKED, error.message)
    told = ended.output.decode(errors="replace").strip()
    version = _VERSION.match(told)
    if ended.code or version is None:
        return Unresolved(Why.NO_COMPOSE, "the docker client of this computer has no Compose", _INSTALL)
    if int(version[1]) < OLDEST:
        return Unresolved(Why.NO_COMPOSE, f"Compose {told} is too old: {OLDEST} or newer is needed", _INSTALL)
    return None


def for_stack(stack: StackSpec, computer: Computer) -> Computer:
    """Return the computer as a stack needs it: its programs run in the folder of the stack's files.

    The stack's variables are not in the environment, where they would override its env files.
    """
    hidden = [name for name in stack.environment if not _CLIENTS_OWN.fullmatch(name)]
    environ = docker_environ(computer.environ, [(name, None) for name in (*hidden, "DOCKER_CONTEXT")])
    return Computer(environ, partial(computer.run, folder=Path(stack.files[0]).parent))


@contextmanager
def options(stack: StackSpec, environ: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield Compose's options for the stack, with the stack's variables in a private file.

    They are in no environment and on no command line. Raises ``PymachineError`` if the file cannot be written.
    """
    # Naming a file takes away those that Compose reads where none is named.
    given = [*stack.env_files] or (_default(stack, environ) if stack.environment else [])
    files = [word for path in stack.files for word in ("-f", path)]
    with private_folder() as folder:
        if stack.environment:
            path = folder / "variables.env"
            write(path, "".join(f"{name}={quoted(text)}\n" for name, text in stack.environment.items()).encode())
            given.append(str(path))
        yield ["-p", stack.name, *(word for path in given for word in ("--env-file", path)), *files]


def _default(stack: StackSpec, environ: Mapping[str, str]) -> list[str]:
    """Return the env files that Compose reads if none is named."""
    named = environ.get("COMPOSE_ENV_FILES", "")
    if named or environ.get("COMPOSE_DISABLE_ENV_FILE", "").strip().lower() in _YES:
        return [name for name in named.split(",") if name]
    beside = _beside(stack)
    return [str(beside)] if beside.is_file() else []


def _resolved(stack: StackSpec, words: Sequence[str], computer: Computer) -> Composed | Unresolved:
    # What holds in Swarm mode and not for Compose itself (a container's name beside replicas) is accepted there.
    lax = [] if stack.on else ["--no-consistency"]
    client = for_stack(stack, computer)
    ask = partial(_run, client)
    try:
        ended = ask([*words, "config", *lax, "--format", "json"])
        if ended.code:
            return without_compose(computer) or _refused(stack, ended)
        without = missing(words, ended.lines, _default(stack, computer.environ), ask)
        if without is not None:
            return _unset(stack, without)
        taken = _taken(stack, client.environ, words, ask)
        if taken:
            return _not_the_stacks(stack, taken)
        document = _document(ended.output)
        return Composed(document, _contents(document, words, ask))
    except NotInstalled as error:
        return Unresolved(Why.NO_CLIENT, error.message, "install the docker client on this computer")
    except PymachineError as error:
        return Unresolved(Why.NOT_ASKED, f"{stack.name}: {error.message}", error.hint or "")


def _taken(stack: StackSpec, environ: Mapping[str, str], words: Sequence[str], ask: Ask) -> list[str]:
    """Return the variables of a stack whose value its files do not get, since the client itself has another."""
    environ = {**environ, **(dict.fromkeys(_OF_MACHINE, "") if stack.on else {})}
    mine = [name for name, text in stack.environment.items() if environ.get(name, text) != text]
    if not mine:
        return []
    used = variables(words, ask)
    return [name for name in mine if name in used]


def _contents(document: Mapping[str, Any], words: Sequence[str], ask: Ask) -> dict[str, bytes]:
    """Return the contents of configs and secrets: of files, texts, and variables, which Compose resolves."""
    found, variables = dict[str, bytes](), dict[str, str]()
    for part in ("configs", "secrets"):
        for name, entry in (document.get(part) or {}).items():
            key = f"{part}.{name}"
            if "file" in entry:
                found[key] = _read(Path(entry["file"]))
            elif "content" in entry:
                found[key] = str(entry["content"]).replace("$$", "$").encode()
            elif "environment" in entry:
                variables[key] = entry["environment"]
    return {**found, **(_values(variables, words, ask) if variables else {})}


def _values(variables: Mapping[str, str], words: Sequence[str], ask: Ask) -> dict[str, bytes]:
    """Return the values of variables, which Compose resolves in a document that contains nothing else."""
    wanted = {f"v{number}": f"${{{name}?}}" for number, name in enumerate(variables.values())}
    asked = json.dumps({"services": {"values": {"image": "none", "environment": wanted}}}).encode()
    mine = [word for place, word in enumerate(words) if word != "-f" and words[place - 1] != "-f"]
    ended = ask([*mine, "-f", "-", "config", "--format", "json"], asked)
    if ended.code:
        raise PymachineError(f"a secret or config takes its value from a variable that is not set: {_last(ended)}")
    told = _document(ended.output)["services"]["values"]["environment"]
    return {key: str(told[f"v{number}"]).replace("$$", "$").encode() for number, key in enumerate(variables)}


def _run(computer: Computer, words: Sequence[str], given: bytes | None = None) -> CompletedProgram:
    line = ["docker", "compose", *words]
    return computer.run(line, computer.environ, deadline=DEADLINE, given=given, apart=True)


def _beside(stack: StackSpec) -> Path:
    return Path(stack.files[0]).parent / ".env"


def _document(output: bytes) -> Mapping[str, Any]:
    """Parse the output of Compose. Raises ``PymachineError`` for anything but a document of services."""
    try:
        document = json.loads(output)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not all(
        _of_tables(document.get(part) or {}) for part in ("services", "configs", "secrets")
    ):
        raise PymachineError("the output of Compose is not a document of services")
    return document


def _of_tables(part: Any) -> bool:
    return isinstance(part, dict) and all(isinstance(entry, dict) for entry in part.values())


def _refused(stack: StackSpec, ended: CompletedProgram) -> Unresolved:
    return Unresolved(Why.REFUSED, f"Compose refuses the files of stack {stack.name}: {_last(ended)}")


def _overgrown(stack: StackSpec) -> Unresolved | None:
    """Refuse nested aliases that Compose would expand until this computer's memory is full."""
    for path in stack.files:
        try:
            expansion.guard(_read(Path(path)))
        except expansion.Overgrown as error:
            mark = error.problem_mark
            place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
            return Unresolved(Why.REFUSED, f"{place}: {error.problem}", "use fewer nested aliases")
        except PymachineError as error:
            return Unresolved(Why.REFUSED, error.message)
    return None


def _unset(stack: StackSpec, without: Missing) -> Unresolved:
    names, more = without.names, " and perhaps more" if without.more else ""
    if not names:
        return Unresolved(Why.REFUSED, f"stack {stack.name} uses a variable that has no value, in {without.said}")
    return Unresolved(
        Why.REFUSED,
        f"stack {stack.name} uses {', '.join(names)}{more}, which {'has' if len(names) == 1 else 'have'} no value",
        f"set it in `environment` or `env_file`, or write ${{{names[0]}-}} for an empty one and $$ for a dollar sign",
    )


def _not_the_stacks(stack: StackSpec, names: Sequence[str]) -> Unresolved:
    told = ", ".join(names)
    return Unresolved(
        Why.REFUSED,
        f"stack {stack.name} sets {told}, of which the docker client needs another value for itself",
        "use another name in the files and in `environment`",
    )


def _last(ended: CompletedProgram) -> str:
    told = [line for line in ended.lines if line and "level=warning" not in line]
    return told[-1] if told else f"it ended with code {ended.code}"


def _read(path: Path) -> bytes:
    try:
        return read_whole(path)
    except OSError as error:
        raise PymachineError(f"{path}: {(error.strerror or str(error)).lower()}") from None
