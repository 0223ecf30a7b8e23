"""The engine's port is closed to everybody but the holder of this machine's client certificate."""

from __future__ import annotations

import re
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lab import Host
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

PORT = 2376
# What is left of the alert depends on which side closes first.
REFUSED = r"(?i)certificate|alert|reset|EOF"


@pytest.fixture(scope="module")
def guarded(course_machine: tuple[Workstation, str]) -> tuple[Workstation, str, str]:
    """A ready machine: whose it is, its name and its address."""
    workstation, name = course_machine
    return workstation, name, workstation.pymachine("ip", name).stdout.strip()


def _get(address: str, context: ssl.SSLContext) -> int:
    with urllib.request.urlopen(f"https://{address}:{PORT}/version", context=context, timeout=10) as answer:
        return int(answer.status)


def _trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))


def test_the_own_certificate_is_let_in_under_strict_rules(guarded: tuple[Workstation, str, str]) -> None:
    workstation, name, address = guarded
    folder = workstation.store / "certs" / name
    context = _trusting(folder)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    assert _get(address, context) == 200


def test_no_certificate_is_refused(guarded: tuple[Workstation, str, str]) -> None:
    workstation, name, address = guarded
    with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError), match=REFUSED):
        _get(address, _trusting(workstation.store / "certs" / name))


def test_another_machines_certificate_is_refused(
    guarded: tuple[Workstation, str, str], second_machine: tuple[Workstation, str]
) -> None:
    workstation, name, address = guarded
    stranger = second_machine[0].store / "certs" / second_machine[1]
    context = _trusting(workstation.store / "certs" / name)
    context.load_cert_chain(stranger / "cert.pem", stranger / "key.pem")
    with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError), match=REFUSED):
        _get(address, context)


def test_plain_http_is_refused(guarded: tuple[Workstation, str, str]) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"http://{guarded[2]}:{PORT}/version", timeout=10)


def test_the_server_key_is_roots_alone(course_host: Host) -> None:
    listing = course_host.run("find /etc/docker /var/lib/pymachine -name '*key*' -printf '%m %U %p\\n'").stdout
    keys = [line.split(maxsplit=2) for line in listing.splitlines()]
    assert keys, "the server key must be somewhere below /etc/docker"
    assert all((mode, owner) == ("600", "0") for mode, owner, _ in keys), listing


def test_client_files_are_the_owners_alone(guarded: tuple[Workstation, str, str]) -> None:
    folder = guarded[0].store / "certs" / guarded[1]
    assert {path.name for path in folder.iterdir()} == {"ca.pem", "cert.pem", "key.pem"}
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    assert guarded[0].store.stat().st_mode & 0o077 == 0


def test_nothing_secret_is_left_where_others_look(course_host: Host, course_debug_output: str) -> None:
    """Process list, journal, shell history, world-readable files below /tmp and /var, and our own debug output."""
    key = course_host.run("cat $(find /etc/docker -name '*key*.pem')").stdout
    body = [line for line in key.splitlines() if line and not line.startswith("-----")]
    assert len(body) >= 2, "a P-256 key has several lines"
    course_host.run("umask 077; cat > /root/.looked-for", input="\n".join(body) + "\n")
    found = course_host.run(
        "{ ps axww -o args; journalctl --no-pager -q -o cat; cat /root/.*history;"
        " find /tmp /var/tmp /var/log /run -xdev -type f -size -2M ! -path '/run/credentials/*' -exec cat {} +; }"
        " 2>/dev/null | grep -acF -f /root/.looked-for || true"
    ).stdout.strip()
    assert found == "0"
    assert not [line for line in body if line in course_debug_output]
    assert not re.search(r"BEGIN (EC |RSA |OPENSSH )?PRIVATE KEY", course_debug_output)
