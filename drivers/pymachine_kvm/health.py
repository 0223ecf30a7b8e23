"""Whether libvirt answers on this computer, and whether it has hardware virtualisation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pymachine.driver import Handle, Health, HealthCheck
from pymachine.errors import CheckFailed, DriverError, DriverMissing
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import connect
from pymachine_kvm.libvirt_types import Connection
from pymachine_kvm.options import KvmOptions
from pymachine_kvm.virtualization import mend, promise_of, why_not

DEFAULT_URI = "LIBVIRT_DEFAULT_URI"


def health(handles: Sequence[Handle], environ: Mapping[str, str], deadline: float) -> list[HealthCheck]:
    """Check the daemon that new machines are made with, and those of existing ones. Raises ``DriverMissing``."""
    usual = environ.get(DEFAULT_URI) or KvmOptions().kvm_uri
    uris = dict.fromkeys((usual, *(Vm.of(handle).uri for handle in handles)))
    return [check for uri in uris for check in _of_daemon(uri, deadline / len(uris))]


def _of_daemon(uri: str, deadline: float) -> Iterator[HealthCheck]:
    name = f"libvirt {uri}"
    try:
        with connect(uri, read_only=True, deadline=deadline) as connection:
            version = _version(connection.getLibVersion())
            found = [HealthCheck(name, Health.FINE, f"libvirt {version}"), _virtualisation(connection, uri)]
    except DriverMissing:
        raise
    except CheckFailed as error:
        found = [HealthCheck(name, Health.FAULT, error.message, error.hint or "")]
    except DriverError as error:
        found = [HealthCheck(name, Health.UNKNOWN, error.message, error.hint or "")]
    yield from found


def _virtualisation(connection: Connection, uri: str) -> HealthCheck:
    promise = promise_of(connection, None)
    fault, name = why_not(promise), f"virtualisation {uri}"
    if fault:
        return HealthCheck(name, Health.FAULT, fault, mend(promise))
    return HealthCheck(name, Health.FINE, f"kvm for {promise.arch}")


def _version(number: int) -> str:
    """Return libvirt's version, which it tells as one number: 10.4.0 is 10004000."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
