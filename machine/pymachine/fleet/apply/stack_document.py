"""Converts a resolved Compose document for `docker stack deploy`, which reads the older format 3. Pure.

`docker compose config` writes several things in a form that this format does not accept (docker/compose#13459, #9424,
#7772); the differences were found with the schemas of docker/cli (cli/compose/schema/data). Keys of the user that the
format does not support are left for the client to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pymachine.errors import CheckFailed

OLD, NEW = "3.9", "3.13"  # docker 20.10 knows the first, docker 25 the second
Document = dict[str, Any]


def stack_document(document: Mapping[str, Any], name: str, files: Mapping[str, str]) -> Document:
    """Return the document in the form that `docker stack deploy` accepts.

    ``files`` are paths for configs and secrets without a file (``configs.NAME``, ``secrets.NAME``). Raises
    ``CheckFailed`` for what a Swarm does not support: a port on one address only.
    """
    services = {key: _service(key, entry, name) for key, entry in (document.get("services") or {}).items()}
    kept = {key: value for key, value in document.items() if key not in ("name", "services", "models")}
    for part in ("configs", "secrets"):
        if part in kept:
            kept[part] = {key: _file(entry, files.get(f"{part}.{key}")) for key, entry in kept[part].items()}
    found: Document = _with_plain_keys({"version": _version(services), **kept, "services": services})
    return found


def _with_plain_keys(value: Any) -> Any:
    """Compose doubles every dollar sign of what it prints; the client makes one of them again, but not in keys."""
    if isinstance(value, Mapping):
        return {key.replace("$$", "$"): _with_plain_keys(part) for key, part in value.items()}
    return [_with_plain_keys(part) for part in value] if isinstance(value, list) else value


def _version(services: Mapping[str, Document]) -> str:
    newer = any(
        "start_interval" in (one.get("healthcheck") or {}) or "oom_score_adj" in one for one in services.values()
    )
    return NEW if newer else OLD


def _file(entry: Mapping[str, Any], path: str | None) -> Document:
    found = {key: value for key, value in entry.items() if key not in ("content", "environment")}
    return {**found, "file": path} if path and len(found) < len(entry) else found


def _service(key: str, entry: Mapping[str, Any], name: str) -> Document:
    found = {part: value for part, value in entry.items() if value is not None and part not in _LEFT_OUT}
    if entry.get("build") and not entry.get("image"):
        found["image"] = f"{name}-{key}"  # what Compose calls what it builds
    for part, change in _CHANGES.items():
        if part in found:
            found[part] = change(found[part])
    if "ports" in found:
        found["ports"] = [_port(key, port) for port in found["ports"]]
    return found


def _port(service: str, port: Mapping[str, Any]) -> Document:
    """Refuse a port on one address: a Swarm node publishes on all of its addresses, 127.0.0.1 as well."""
    address = port.get("host_ip", "")
    if address not in ("", "0.0.0.0", "::"):
        raise CheckFailed(
            f"service {service} publishes port {port.get('target')} on {address} only, "
            "but a Swarm publishes on every address",
            hint="omit the address if the port may be open, or put the stack `on` one machine",
        )
    found = {key: value for key, value in port.items() if key in ("mode", "target", "published", "protocol")}
    published = str(found.get("published", ""))
    return {**found, "published": int(published)} if published.isdecimal() else found


def _depends(value: Any) -> Any:
    return sorted(value) if isinstance(value, Mapping) else value


def _hosts(value: Any) -> Any:
    return [entry.replace("=", ":", 1) for entry in value] if isinstance(value, list) else value


def _environment(value: Any) -> Any:
    """Drop variables without a value, which the client would take from its own environment."""
    return {name: text for name, text in value.items() if text is not None} if isinstance(value, Mapping) else value


def _mounts(value: Any) -> Any:
    return [_mount(entry) for entry in value]


def _mount(entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    found = dict(entry)
    if isinstance(found.get("bind"), Mapping):
        found["bind"] = {key: text for key, text in found["bind"].items() if key != "create_host_path"}
    tmpfs = found.get("tmpfs")
    if isinstance(tmpfs, Mapping) and str(tmpfs.get("size", "")).isdecimal():
        found["tmpfs"] = {**tmpfs, "size": int(tmpfs["size"])}
    return found


def _grants(value: Any) -> Any:
    return [_grant(entry) for entry in value]


def _grant(entry: Any) -> Any:
    mode = entry.get("mode") if isinstance(entry, Mapping) else None
    return {**entry, "mode": int(mode, 8)} if isinstance(mode, str) else entry


def _devices(value: Any) -> Any:
    return [_device(entry) if isinstance(entry, Mapping) else entry for entry in value]


def _device(entry: Mapping[str, Any]) -> str:
    return ":".join(str(entry[key]) for key in ("source", "target", "permissions") if entry.get(key))


def _deploy(value: Any) -> Any:
    found = dict(value)
    resources = found.get("resources")
    if isinstance(resources, Mapping):
        found["resources"] = {kind: _amounts(amounts) for kind, amounts in resources.items()}
    return found


def _amounts(amounts: Any) -> Any:
    if not isinstance(amounts, Mapping) or "cpus" not in amounts:
        return amounts
    return {**amounts, "cpus": str(amounts["cpus"])}


_LEFT_OUT = ("build", "profiles", "env_file")  # built before, chosen and read by Compose
_CHANGES: Mapping[str, Callable[[Any], Any]] = {
    "depends_on": _depends,
    "extra_hosts": _hosts,
    "environment": _environment,
    "volumes": _mounts,
    "configs": _grants,
    "secrets": _grants,
    "devices": _devices,
    "deploy": _deploy,
}
