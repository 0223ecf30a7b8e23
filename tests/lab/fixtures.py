"""Pytest fixtures on top of the lab; a conftest takes them with `from lab.fixtures import *`.

Where the lab cannot run, its tests are skipped with the reason; in CI, or with PYMACHINE_REQUIRE_LAB set, they fail.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from lab.aptrepo import AptRepo, start_aptrepo
from lab.core import Lab
from lab.host import Host
from lab.images import rootfs
from lab.leftovers import sweep
from lab.options import HostSpec
from lab.prepare import require_root
from lab.registry import Registry, start_registry
from lab.sh import LabError

__all__ = [
    "apt_repo",
    "engine_host",
    "fresh_host",
    "lab_session",
    "many_engine_hosts",
    "module_engine_host",
    "module_fresh_host",
    "module_host",
    "registry",
    "registry_address",
]

FreshHost = Callable[..., Host]
ManyHosts = Callable[..., list[Host]]

_numbers = itertools.count(1)


def impossible(reason: object) -> NoReturn:
    """Fail where the lab is required, else skip with a reason nobody overlooks."""
    if os.environ.get("PYMACHINE_REQUIRE_LAB") or os.environ.get("CI"):
        pytest.fail(f"THE LAB DOES NOT RUN HERE, AND IT HAS TO: {reason}", pytrace=False)
    pytest.skip(f"THE LAB DOES NOT RUN HERE, so nothing was proved on a real host: {reason}")


@pytest.fixture(scope="session")
def lab_session() -> Iterator[Lab]:
    """The lab of this test run, proved to boot a host; leftovers of earlier runs are removed first."""
    try:
        require_root()
        sweep()
        lab = Lab.create()
    except (LabError, OSError) as error:
        impossible(error)
    with lab:
        try:
            lab.boot("probe").destroy()
        except LabError as error:
            impossible(error)
        yield lab


@pytest.fixture(scope="session")
def registry(lab_session: Lab) -> Registry:
    """A registry with busybox, redis:alpine and nginx:alpine on the bridge."""
    return start_registry(lab_session)


@pytest.fixture(scope="session")
def registry_address(registry: Registry) -> str:
    """Its host:port, which hosts need among their insecure registries."""
    return registry.address


@pytest.fixture(scope="session")
def apt_repo(lab_session: Lab) -> AptRepo:
    """Docker's packages in two versions, for both suites."""
    return start_aptrepo(lab_session)


def _factory(lab: Lab, made: list[Host], **fixed: object) -> FreshHost:
    def boot(suite: str = "trixie", *, name: str = "", wait: bool = True, **options: object) -> Host:
        host = lab.define(_spec(name or f"host{next(_numbers)}", suite, {**fixed, **options}))
        made.append(host)
        host.start()
        if wait:
            host.wait_ssh()
        return host

    return boot


def _spec(name: str, suite: str, options: dict[str, object]) -> HostSpec:
    spec = HostSpec(name, suite, **options)  # type: ignore[arg-type]
    if not spec.engine:
        return spec
    tar = {"/root/busybox.tar": (rootfs().read_bytes(), 0o644)}
    return HostSpec(**{**vars(spec), "files": {**tar, **spec.files}})


def _hosts(lab: Lab, **fixed: object) -> Iterator[FreshHost]:
    made: list[Host] = []
    yield _factory(lab, made, **fixed)
    for host in made:
        host.destroy()


@pytest.fixture
def fresh_host(lab_session: Lab) -> Iterator[FreshHost]:
    """Boot a new host: fresh_host(suite="trixie", name="", wait=True, **HostOptions); gone after the test."""
    yield from _hosts(lab_session)


@pytest.fixture(scope="module")
def module_fresh_host(lab_session: Lab) -> Iterator[FreshHost]:
    """The same for hosts that a module's tests share."""
    yield from _hosts(lab_session)


@pytest.fixture(scope="module")
def module_host(module_fresh_host: FreshHost) -> Host:
    """One bare host for a module."""
    return module_fresh_host()


@pytest.fixture
def engine_host(lab_session: Lab) -> Iterator[FreshHost]:
    """Like fresh_host, with docker.io running and busybox in /root/busybox.tar for `docker import`."""
    yield from _hosts(lab_session, engine=True)


@pytest.fixture(scope="module")
def module_engine_host(lab_session: Lab) -> Iterator[FreshHost]:
    """The same for hosts that a module's tests share."""
    yield from _hosts(lab_session, engine=True)


@pytest.fixture(scope="module")
def many_engine_hosts(lab_session: Lab) -> Iterator[ManyHosts]:
    """Boot many at once: many_engine_hosts(20, suite="trixie", **HostOptions); gone after the module."""
    made: list[Host] = []

    def boot(count: int, suite: str = "trixie", **options: object) -> list[Host]:
        settings = {"engine": True, **options}
        specs = [_spec(f"many{next(_numbers)}", suite, settings) for _ in range(count)]
        made.extend(lab_session.boot_many(specs))
        return made[-count:]

    yield boot
    for host in made:
        host.destroy()
