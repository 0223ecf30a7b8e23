"""Machines of docker-machine as machines of ours: with certificates and keys, and without asking their hosts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pymachine import tls
from pymachine.docker_machine.config import DEFAULT_SCRIPT, MachineConfig, read_config
from pymachine.docker_machine.files import CONFIG, MACHINES, ORIGIN, StoreFiles, config_of
from pymachine.docker_machine.view import OURS
from pymachine.documents import to_document
from pymachine.driver import Driver, RecordedInstance, TakesOver
from pymachine.engine.options import wanted_config
from pymachine.errors import CheckFailed, PymachineError, TlsError, ValueFault
from pymachine.model import Endpoint, EngineSpec, Machine, Phase, check_name
from pymachine.options.fields import option_fields
from pymachine.steps.session import timestamp
from pymachine.store import Store
from pymachine.store.client_files import CLIENT_FILES, LOGIN_KEY
from pymachine.transport.key_files import is_private_key

OTHERS = "ssh"  # the driver of those whose own is not known here: their hosts are reached, not made
_PROVIDER = "provider="  # the label that docker-machine adds


@dataclass(frozen=True, slots=True)
class Takeover:
    """A machine that can be taken over. ``before`` is the driver it had; ``notes`` are sentences about it.

    ``origin`` is the folder or file of the store that it comes from.
    """

    machine: Machine
    secrets: Mapping[str, bytes]
    before: str
    notes: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A machine that cannot be taken over, and why."""

    name: str
    reason: str


def take_over(
    names: Sequence[str], files: StoreFiles, drivers: Mapping[str, Driver], store: Store, now: float
) -> list[Takeover | LeftOut]:
    """Return what becomes of each machine. Reads the other store and this one; changes nothing, asks no host.

    ``drivers`` are those installed here, by name; ``now`` is in seconds since the epoch.
    """
    return [_taken(name, files, drivers, store, now) for name in names]


def keep(takeover: Takeover, store: Store) -> Machine:
    """Write a machine to the store, with its certificates and keys, and where it came from.

    Raises ``StoreError``, ``Conflict``, ``CheckFailed``.
    """
    store.keep(f"{ORIGIN}{takeover.machine.id}", {"from": takeover.origin})
    return store.put(takeover.machine, secrets=takeover.secrets)


def _taken(
    name: str, files: StoreFiles, drivers: Mapping[str, Driver], store: Store, now: float
) -> Takeover | LeftOut:
    try:
        return _takeover(name, files, drivers, store, now)
    except PymachineError as error:
        return LeftOut(name, error.message)
    except OSError as error:
        return LeftOut(name, f"{error.filename or CONFIG}: {(error.strerror or str(error)).lower()}")
    except ValueError as error:
        return LeftOut(name, str(error))


def _takeover(name: str, files: StoreFiles, drivers: Mapping[str, Driver], store: Store, now: float) -> Takeover:
    check_name(name)
    if store.find(name) is not None:
        raise CheckFailed(f"machine {name} already exists in this store")
    data = config_of(files, name)
    if data is None:
        raise CheckFailed("it has no config.json")
    config = read_config(name, data)
    driver_name, driver = _driver_of(config, drivers)
    machine_id = uuid.uuid4().hex
    recorded = RecordedInstance(config.driver, config.raw, machine_id)
    options, instance = driver.recorded(recorded)
    certificates = _client_files(config, files, needed=instance.ssh is not None)
    notes = [] if config.driver in driver.takes_over else [f"its host is not made or removed here: driver {OTHERS}"]
    notes += ["it took part in a Swarm of before Docker's own, which is not taken over"] if config.swarm else []
    secrets = dict(certificates)
    if instance.ssh is not None:
        others, more = _others(config, files, certificates)
        secrets |= others
        notes += more
    ssh = instance.ssh
    if ssh is not None:
        login, untaken = _login_key(name, recorded, files)
        notes += untaken
        if login is not None:
            ssh, secrets[LOGIN_KEY] = replace(ssh, key_path=LOGIN_KEY), login
    endpoint = instance.endpoint
    assert endpoint is not None, f"driver {driver_name} tells where a recorded engine listens"
    engine = _engine_of(config, endpoint)
    if ssh is not None:
        notes += _faults(engine, driver_name)
    machine = Machine(
        name=name,
        id=machine_id,
        driver=driver_name,
        phase=Phase.READY,
        handle=instance.handle,
        options=to_document(options),
        ssh=ssh,
        endpoint=endpoint,
        engine=engine,
        addresses=instance.addresses,
        certificates=tls.summary(secrets) if secrets else None,
        created=timestamp(now),
    )
    return Takeover(machine, secrets, config.driver, (*notes, *_dates(machine, now)), files.place)


def _driver_of(config: MachineConfig, drivers: Mapping[str, Driver]) -> tuple[str, Any]:
    """Return the driver that takes a machine over: one that knows its driver, else the one for any host with SSH."""
    able = {name: driver for name, driver in drivers.items() if isinstance(driver, TakesOver)}
    fitting = [name for name, driver in able.items() if config.driver in driver.takes_over]
    fitting = fitting or [name for name in able if name == OTHERS]
    if not fitting:
        raise CheckFailed(f"driver {config.driver} is not known here, and driver {OTHERS} is not installed")
    # Ours may have their name too, as an alias: on record is our own.
    name = min(fitting, key=lambda name: name in OURS)
    return name, able[name]


def _client_files(config: MachineConfig, files: StoreFiles, *, needed: bool) -> dict[str, bytes]:
    """Return the three files of the client: those of the machine's own folder, as docker-machine's ``env`` names.

    An engine that somebody else set up may have none: all three, or nothing.
    """
    recorded = dict(zip(CLIENT_FILES, (config.files.ca, config.files.client, config.files.client_key), strict=True))
    found: dict[str, bytes] = {}
    for file, path in recorded.items():
        content = files.read(config.name, f"{MACHINES}/{config.name}/{file}")
        if content is None and path:
            content = files.read(config.name, path)
        if content is not None:
            found[file] = content
    missing = [file for file in recorded if file not in found]
    if missing and (found or needed):
        raise CheckFailed(f"{missing[0]} is missing: its engine cannot be verified without it")
    if found:
        tls.verify_set(found)
    return found


def _others(
    config: MachineConfig, files: StoreFiles, client: Mapping[str, bytes]
) -> tuple[dict[str, bytes], list[str]]:
    """Return the server's files and the authority's key, as far as they are there and fit; and what to say of it."""
    paths = config.files
    server = _pair(config, files, {"server.pem": paths.server, "server-key.pem": paths.server_key}, client)
    authority = _pair(config, files, {"ca-key.pem": paths.ca_key}, client)
    notes = []
    if not authority:
        notes.append("its authority's key is not there: the next `provision` gives it an authority of its own")
    return server | authority, notes


def _pair(
    config: MachineConfig, files: StoreFiles, paths: Mapping[str, str], client: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return some files where all are there and fit the client's; nothing otherwise: they can be made again."""
    try:
        read = {file: files.read(config.name, path) if path else None for file, path in paths.items()}
        found = {file: content for file, content in read.items() if content is not None}
        if len(found) != len(paths):
            return {}
        tls.verify_set({**client, **found})
    except (OSError, ValueError, TlsError):
        return {}
    return found


def _login_key(name: str, recorded: RecordedInstance, files: StoreFiles) -> tuple[bytes | None, list[str]]:
    """Return the private key that the machine is logged in to with, None where the user's own keys are used.

    Where one is on record but cannot be taken over, the machine is imported without it, with a note.
    """
    own = f"{MACHINES}/{name}/id_rsa"
    given = recorded.text("SSHKey")
    paths = [path for path in (recorded.text("SSHKeyPath"), "" if given else own, given) if path]
    reason = "is not there"
    for path in paths:
        try:
            content = files.read(name, path)
        except OSError:
            reason = "cannot be read"
            continue
        if content is not None and is_private_key(content):
            return content, []
        reason = reason if content is None else "is not a private key"
    return None, [f"its SSH key {reason}: your own keys are used"] if paths else []


def _faults(engine: EngineSpec, driver: str) -> list[str]:
    """Say which option of the engine a set-up would refuse; docker-machine took any."""
    try:
        for option in option_fields(EngineSpec):
            value = getattr(engine, option.name)
            for item in value if option.shape.many else [value] if value is not None else []:
                if option.check is not None:
                    option.check(item)
        wanted_config(engine, driver)
    except ValueFault as fault:
        return [f"`provision` will refuse an option of its engine: {fault.message}"]
    return []


def _engine_of(config: MachineConfig, endpoint: Endpoint) -> EngineSpec:
    engine = config.engine
    install = "auto" if engine.install_url in ("", DEFAULT_SCRIPT) else engine.install_url
    return EngineSpec(
        install=install,
        port=endpoint.port,
        opts=engine.opts,
        labels=tuple(label for label in engine.labels if not label.startswith(_PROVIDER)),
        env=engine.env,
        insecure_registries=engine.insecure_registries,
        registry_mirrors=engine.registry_mirrors,
        storage_driver=engine.storage_driver or None,
        sans=config.files.sans,
    )


def _dates(machine: Machine, now: float) -> list[str]:
    """Say which certificates have ended."""
    found = machine.certificates
    ends = {"authority": found.ca_expires, "client certificate": found.client_expires} if found else {}
    return [
        f"its {what} expired on {end[:10]}"
        for what, end in ends.items()
        if end and datetime.fromisoformat(end).timestamp() < now
    ]
