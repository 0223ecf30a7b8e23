"""What a stack is made of: its Compose files, the files that these name, its values."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pymachine import expansion
from pymachine.errors import UsageFault
from pymachine.inventory.model import StackSpec

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")


def digest_of(stack: StackSpec) -> str:
    """Return the SHA-256 of everything that a stack is deployed with. Raises ``UsageFault`` for a missing file.

    What an image or a folder to build from holds is not in it: a stack whose tag stays is deployed again by hand.
    """
    found = hashlib.sha256()
    for path in (*stack.files, *stack.env_files, *_named_in(stack)):
        found.update(f"{path}\0".encode() + _read(Path(path)) + b"\0")
    values = {"environment": dict(stack.environment), "build": stack.build, "prune": stack.prune}
    found.update(json.dumps(values, sort_keys=True).encode())
    return found.hexdigest()


def values_of(stack: StackSpec) -> dict[str, str]:
    """Return the variables for the Compose files: of the env files, in their order, then the stack's own.

    `docker stack deploy` reads no env files itself. Raises ``UsageFault`` for a line that is none.
    """
    found: dict[str, str] = {}
    for path in stack.env_files:
        text = _read(Path(path)).decode(errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            found.update(_assignment(line, f"{path}:{number}"))
    return {**found, **stack.environment}


def builds(stack: StackSpec) -> dict[str, bool]:
    """Return the services that say how to build their image, and whether they also name it."""
    return {
        name: bool(service.get("image"))
        for name, service in _services(stack)
        if isinstance(service, dict) and service.get("build")
    }


def _assignment(line: str, where: str) -> dict[str, str]:
    if not line.strip() or line.lstrip().startswith("#"):
        return {}
    match = _LINE.fullmatch(line)
    if not match:
        raise UsageFault(f"{where}: not of the form NAME=value", hint="write one variable a line")
    value = match[2]
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return {match[1]: value[1:-1] if quoted else re.split(r"\s+#", value)[0]}


def _named_in(stack: StackSpec) -> list[str]:
    """Files that the Compose files read: of services' environments, of configs and secrets."""
    if not stack.files:
        return []
    folder = Path(stack.files[0]).parent
    named = [name for _, service in _services(stack) for name in _env_files(service)]
    for document in _documents(stack):
        for part in ("configs", "secrets"):
            entries = document.get(part) or {}
            named += [str(entry["file"]) for entry in entries.values() if isinstance(entry, dict) and "file" in entry]
    paths = [folder / name for name in dict.fromkeys(named) if "$" not in name]
    return [str(path) for path in paths if path.is_file()]


def _env_files(service: Any) -> list[str]:
    given = service.get("env_file") if isinstance(service, dict) else None
    entries = given if isinstance(given, list) else [given] if given else []
    return [str(entry.get("path", "")) if isinstance(entry, dict) else str(entry) for entry in entries]


def _services(stack: StackSpec) -> Iterator[tuple[str, Any]]:
    for document in _documents(stack):
        services = document.get("services")
        yield from services.items() if isinstance(services, dict) else ()


def _documents(stack: StackSpec) -> Iterator[Mapping[str, Any]]:
    for path in stack.files:
        try:
            document = expansion.load(_read(Path(path)))
        except expansion.Overgrown as error:
            mark = error.problem_mark
            place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
            raise UsageFault(f"{place}: {error.problem}", hint="write fewer aliases of aliases") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            first = str(error).splitlines()[0]
            raise UsageFault(f"{path}: not a Compose file: {first}") from None
        yield document if isinstance(document, dict) else {}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageFault(f"{path}: {(error.strerror or str(error)).lower()}") from None
