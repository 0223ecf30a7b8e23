"""Three managers on real hosts whose engines all have to restart: no request is lost, and never the majority."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from lab import Host
from lab.client import docker_cli
from lab.core import Lab
from lab.fleets import BUSYBOX, LabFleet, awaited, with_image
from lab.watch import answers, watched
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

NAMES = ("q-1", "q-2", "q-3")
PORT = 8088
WEB = "mkdir -p /www && echo here > /www/index.html && exec httpd -f -p 80 -h /www"
# The program, whose server certificates live for a hundred days: for any other they are due for renewal at once.
SHORT_LIVED = """
import sys
from datetime import timedelta
from pymachine.tls import profile
profile.SERVER_LIFE = timedelta(days=100)
from pymachine.cli import main
sys.exit(main())
"""
CHANGES = {
    "env": "env: [FOO=bar]",
    "proxy": "http_proxy: http://192.0.2.9:3128, no_proxy: [localhost]",
    "label": "labels: [rack=7]",
}


@pytest.fixture(scope="module")
def fleet(
    module_engine_host: Callable[..., Host], lab_session: Lab, tmp_path_factory: pytest.TempPathFactory
) -> LabFleet:
    """The fleet, applied with certificates that fall due together, and a service on each of its nodes."""
    user = Workstation(tmp_path_factory.mktemp("quorum"), docker_cli(), lab_session.key)
    hosts = {name: module_engine_host(name=name, wait=False) for name in NAMES}
    for host in hosts.values():
        host.wait_ssh()
    with_image(list(hosts.values()))
    made = LabFleet(user, hosts, dict.fromkeys(NAMES, "swarm: manager"))
    made.write()
    words = ("apply", "-y", "-f", str(made.file))
    subprocess.run([sys.executable, "-c", SHORT_LIVED, *words], env=user.env(), check=True, timeout=600)
    publish = ("--publish", f"mode=host,target=80,published={PORT}", "--mode", "global", "--endpoint-mode", "dnsrr")
    create = ("service", "create", "--detach", "--name", "web", "--no-resolve-image", "--stop-grace-period", "1s")
    user.docker(NAMES[0], *create, *publish, BUSYBOX, "sh", "-c", WEB)
    awaited(lambda: all(answers(host, PORT) for host in hosts.values()), "the service")
    return made


def _applied_under_watch(fleet: LabFleet, kind: str) -> None:
    document = json.loads(fleet.run("plan", "--json", check=6).stdout)
    found = {change["subject"]: change for change in document["changes"]}
    assert sorted(found) == list(NAMES), document
    assert {(change["action"], change["restarts_engine"], change["drained"]) for change in found.values()} == {
        (kind, True, True)
    }
    assert sorted(len(change["needs"]) for change in found.values()) == [0, 1, 1], "one after the other"
    with watched(fleet.user, fleet.hosts, PORT) as account:
        fleet.apply()
    told = (
        f"{account.asked} requests, {len(account.failed)} failed {account.failed[:5]}; {account.looks} looks at "
        f"managers, at least {account.fewest()} of 3 took part; no leader for {account.leaderless():.1f} s at most"
    )
    print(told)
    assert not account.failed, told
    assert account.asked > 100
    assert account.fewest() == len(NAMES) - 1, told  # also that engines did restart under our eyes
    assert fleet.planned() == {}
    # The leader was the last to restart: until they have spoken to the new one, it calls the others unknown.
    awaited(lambda: bool(fleet.status(NAMES[0])["healthy"]), "a healthy Swarm")


@pytest.mark.soak(70)
def test_renewed_certificates(fleet: LabFleet) -> None:
    """First: their renewal would come with any other change."""
    _applied_under_watch(fleet, "renew")


@pytest.mark.parametrize(
    "change", ["env", *(pytest.param(name, marks=pytest.mark.soak(100)) for name in CHANGES if name != "env")]
)
def test_a_change_of_all_engines(fleet: LabFleet, change: str) -> None:
    fleet.entries = {name: f"{entry}, engine: {{{CHANGES[change]}}}" for name, entry in _plain(fleet).items()}
    _applied_under_watch(fleet, "configure")


def _plain(fleet: LabFleet) -> dict[str, str]:
    return {name: entry.partition(", engine")[0] for name, entry in fleet.entries.items()}
